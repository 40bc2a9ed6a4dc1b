#!/usr/bin/env bash
# onnxruntime-web 1.30.0, WebGPU: LayerNormalization takes the variance as the mean of the squares less the square of
# the mean, in float32, of which nothing is left where a row's mean is large beside its deviation. A row of 10000,
# 10001, 10002, 10003 and again comes out 350 times as large as it should, without an error; a mean of 3,000 times the
# deviation costs 12 %, one of 1,000 times is right to three digits. The same file on the same package's WebAssembly is
# right (two passes), as PyTorch is. Seen in Chromium 153 on its software adapter.
#
# Seen: largest values 474 instead of 1.34, 1.50 instead of 1.34. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TMPDIR="$folder"
python3 -m venv venv
venv/bin/pip install -q onnx==1.23.2 numpy==2.4.6
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-web@1.30.0 @sparticuz/chromium@153.0.0 \
  puppeteer-core@25.16.0
venv/bin/python - <<'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper

inputs = [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 8])]
outputs = [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 8])]
one = helper.make_tensor('scale', TensorProto.FLOAT, [8], np.ones(8, np.float32))
none = helper.make_tensor('bias', TensorProto.FLOAT, [8], np.zeros(8, np.float32))
node = helper.make_node('LayerNormalization', ['x', 'scale', 'bias'], ['y'], axis=-1, epsilon=1e-5)
graph = helper.make_graph([node], 'norm', inputs, outputs, [one, none])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=10), 'norm.onnx')
PY
cat > see.js <<'JS'
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';

import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const TYPES = { mjs: 'text/javascript', wasm: 'application/wasm' };
const server = createServer((request, response) => {
  const file = `.${request.url}`;
  if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<title>see</title>');
  if (!existsSync(file)) return response.writeHead(404).end();
  const type = TYPES[file.split('.').at(-1)] ?? 'application/octet-stream';
  createReadStream(file).pipe(response.writeHead(200, { 'content-type': type }));
}).listen(0);
const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: [...chromium.args, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
  headless: 'shell',
});
const page = await browser.newPage();
await page.goto(`http://localhost:${server.address().port}/`);
const MEANS = [0, 100, 1000, 3000, 10000];
const rowOf = (mean, step) => Array.from({ length: 8 }, (_, i) => mean + step * (i % 4));
const rows = [1, 0.01].flatMap((step) => MEANS.map((mean) => rowOf(mean, step)));
const seen = await page.evaluate(async (all) => {
  const dist = '/node_modules/onnxruntime-web/dist/';
  const ort = await import(`${dist}ort.webgpu.bundle.min.mjs`);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = dist;
  const found = {};
  for (const provider of ['wasm', 'webgpu']) {
    const session = await ort.InferenceSession.create('/norm.onnx', { executionProviders: [provider] });
    found[provider] = [];
    for (const row of all) {
      const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from(row), [1, 8]) });
      found[provider].push(Math.max(...(await y.getData())));
    }
  }
  return found;
}, rows);
await browser.close();
server.close();
const right = rows.map((row) => {
  const values = Array.from(Float32Array.from(row));
  const mean = values.reduce((sum, value) => sum + value, 0) / 8;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 8;
  return (Math.max(...values) - mean) / Math.sqrt(variance + 1e-5);
});
for (const [i, [mean, next]] of rows.entries()) {
  const [wasm, webgpu] = [seen.wasm[i], seen.webgpu[i]].map((value) => value.toPrecision(4));
  const row = `from ${mean} by ${(next - mean).toPrecision(1)}`;
  console.log(`${row}: largest ${webgpu} on WebGPU, ${wasm} on WebAssembly, right ${right[i].toPrecision(4)}`);
}
const off = (provider, i) => Math.abs(seen[provider][i] / right[i] - 1);
const isRight = off('webgpu', 0) < 1e-3 && [0, 1, 2, 3, 4].every((i) => off('wasm', i) < 1e-3);
process.exitCode = isRight && off('webgpu', 3) > 0.05 && off('webgpu', 4) > 10 ? 0 : 1;
JS
node see.js
