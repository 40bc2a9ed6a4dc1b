/** Files of the package that ./run build makes, from the root. */
const MODULES = ['mudpt.mjs', 'mudpt.wasm', 'mudpt-relaxed.wasm', 'mudpt-int8.wasm', 'mudpt-heads.wasm'];
export const MADE = [...MODULES.map((name) => `js/wasm/${name}`), 'js/vendor/tokenizers.mjs'];
