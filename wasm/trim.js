/**
 * Takes what fetches the module out of Emscripten's run-time code, before that is minified: js/core/module.js brings
 * the module compiled, and pages need not download the rest. `node trim.js FILE`
 */
import { readFileSync, writeFileSync } from 'node:fs';

const PARTS = [
  /\/\/ include: web_or_worker_shell_read\.js\n[^]*?\/\/ end include: web_or_worker_shell_read\.js\n/,
  /wasmBinaryFile \?\?= findWasmBinary\(\);[^]*?catch\(readyPromiseReject\);/,
];

const [, , file] = process.argv;
let text = readFileSync(file, 'utf8');
for (const part of PARTS) {
  if (!part.test(text)) throw new Error(`Emscripten's run-time code has no ${part}`);
  text = text.replace(part, '');
}
writeFileSync(file, text);
