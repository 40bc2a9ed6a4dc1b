#!/usr/bin/env bash
# What Chromium computes in WGSL where there is no GPU: Dawn (webgpu 0.6.2) on SwiftShader (of Chromium 153). WGSL
# allows all of it; none of it is what the same lines give in C, JavaScript or WebAssembly.
# - Rounding by a large constant, (x + 1.5 * 2^23) - 1.5 * 2^23, is taken for x: integers of a quantized product stay
#   fractions. With the constant read from a buffer it rounds.
# - `v != v` is false for NaN, so that it finds none, while `!(v == v)` is true of it; max(v, 0) makes 0 of it and
#   min(v, 1) makes 1: a ReLU and a clamp hide what went wrong.
# - tanh is NaN from about 89 up (GELU by tanh, as SigLIP and GPT-2 have it, of what is large), and off by 1.7 % at
#   1e-6.
# - What is below 1.2e-38 is 0, and 1 / 1e-38 infinite.
#
# Seen: those. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts webgpu@0.6.2 @sparticuz/chromium@153.0.0
node -e "
const { brotliDecompressSync } = require('node:zlib');
const { readFileSync, writeFileSync } = require('node:fs');
const packed = readFileSync('node_modules/@sparticuz/chromium/bin/swiftshader.tar.br');
writeFileSync('driver.tar', brotliDecompressSync(packed));
"
tar -xf driver.tar
cat > see.js <<'JS'
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const adapter = await create([]).requestAdapter();
if (!/swiftshader/i.test(`${adapter.info.device} ${adapter.info.description}`)) throw new Error('another adapter');
const device = await adapter.requestDevice();

/** What the lines leave in y, of the numbers x. */
async function computed(lines, x) {
  const code = `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main() { ${lines} }`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const size = 4 * 8;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const [from, to, seen] = [STORAGE | COPY_DST, STORAGE | COPY_SRC, MAP_READ | COPY_DST].map((usage) =>
    device.createBuffer({ size, usage }),
  );
  device.queue.writeBuffer(from, 0, Float32Array.from({ length: 8 }, (_, i) => x[i] ?? 0));
  const entries = [from, to].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const commands = device.createCommandEncoder();
  const pass = commands.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  commands.copyBufferToBuffer(to, 0, seen, 0, size);
  device.queue.submit([commands.finish()]);
  await seen.mapAsync(GPUMapMode.READ);
  return Array.from(new Float32Array(seen.getMappedRange()));
}

const each = (expression) => `for (var i = 0u; i < 4u; i++) { let v = x[i]; y[i] = ${expression}; }`;
const all = {
  'rounded by a constant': [each('(v + 12582912.0) - 12582912.0'), [0.4, 0.6, 1.5, 2.5]],
  'rounded by a number from a buffer': [each('(v + x[4]) - x[4]'), [0.4, 0.6, 1.5, 2.5, 12582912]],
  'NaN: v != v, !(v == v), max(v, 0), min(v, 1)': [
    `let v = x[0]; y[0] = select(0., 1., v != v); y[1] = select(0., 1., !(v == v));
     y[2] = max(v, 0.); y[3] = min(v, 1.);`,
    [NaN],
  ],
  'tanh of 1e-6, 20, 90, 1000': [each('tanh(v)'), [1e-6, 20, 90, 1000]],
  'half of 2e-38, 1 / 1e-38': ['y[0] = x[0] * 0.5; y[1] = 1.0 / x[1];', [2e-38, 1e-38]],
};
const seen = {};
for (const [what, [lines, x]] of Object.entries(all)) {
  seen[what] = await computed(lines, x);
  console.log(`${what}: ${seen[what].slice(0, 4).map((value) => Number(value.toPrecision(6))).join(', ')}`);
}
const [constant, buffer, none, tanh, small] = Object.values(seen);
const isSeen =
  Math.abs(constant[0] - 0.4) < 1e-6 && constant[3] === 2.5 && buffer.slice(0, 4).join() === '0,1,2,2' &&
  none.slice(0, 4).join() === '0,1,0,1' && Math.abs(tanh[0] / 1e-6 - 1) > 0.01 && tanh[1] === 1 &&
  tanh.slice(2, 4).every(Number.isNaN) && small[0] === 0 && small[1] === Infinity;
process.exit(isSeen ? 0 : 1);
JS
VK_DRIVER_FILES="$folder/vk_swiftshader_icd.json" LD_LIBRARY_PATH="$folder" node see.js
