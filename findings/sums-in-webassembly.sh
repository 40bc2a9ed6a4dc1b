#!/usr/bin/env bash
# WebAssembly back ends add up float32 in one running sum: of 2^25 ones onnxruntime-web 1.30.0 (ReduceSum),
# TensorFlow.js 4.22.0 (sum) and jax-js 0.1.25 (sum) give 16,777,216, where one more changes nothing any more, and their
# means are 0.5. ONNX Runtime 1.32.0 for Python and TensorFlow.js' back end in plain JavaScript give 33,554,432 and 1.
# So losses, norms and statistics of many values are low, the more so the more there are, in a page and not where they
# were tried.
#
# Seen: as said. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-web@1.30.0 @jax-js/jax@0.1.25 \
    @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (('x', [None]), ('y', []))]
for kind in 'Sum', 'Mean':
    node = helper.make_node(f'Reduce{kind}', ['x'], ['y'], keepdims=0)
    graph = helper.make_graph([node], kind, values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=10), f'{kind}.onnx')
    y, = onnxruntime.InferenceSession(f'{kind}.onnx').run(None, {'x': np.ones(2**25, np.float32)})
    print(f'ONNX Runtime, Python: {kind} {y}')
    assert y == (2**25 if kind == 'Sum' else 1)
PY
cat > jax.js <<'JS'
import { defaultDevice, init, numpy } from '@jax-js/jax';

await init();
defaultDevice('wasm');
const first = async (reduce) => (await reduce(numpy.ones([2 ** 25])).data())[0];
console.log(JSON.stringify([await first(numpy.sum), await first(numpy.mean)]));
process.exit();
JS
cat > see.js <<'JS'
import { execFileSync } from 'node:child_process';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as ort from 'onnxruntime-web';

const count = 2 ** 25;
console.warn = () => {}; // that there is a faster back end for Node
const seen = { 'jax-js': JSON.parse(execFileSync(process.execPath, ['jax.js'], { encoding: 'utf8' })) };
ort.env.wasm.numThreads = 1;
const onnx = async (kind) => {
  const session = await ort.InferenceSession.create(`${kind}.onnx`, { executionProviders: ['wasm'] });
  return (await session.run({ x: new ort.Tensor('float32', new Float32Array(count).fill(1), [count]) })).y.data[0];
};
seen['onnxruntime-web'] = [await onnx('Sum'), await onnx('Mean')];
setWasmPaths('node_modules/@tensorflow/tfjs-backend-wasm/dist/');
for (const backend of ['wasm', 'cpu']) {
  await tf.setBackend(backend);
  const ones = tf.ones([count]);
  seen[`TensorFlow.js, ${tf.getBackend()}`] = [tf.sum(ones).dataSync()[0], tf.mean(ones).dataSync()[0]];
  ones.dispose();
}
for (const [name, both] of Object.entries(seen)) console.log(`${name}: sum and mean ${both.join(', ')}`);
const { 'TensorFlow.js, cpu': plain, ...wasm } = seen;
const isShort = Object.values(wasm).every(([sum, mean]) => sum === 2 ** 24 && mean === 0.5);
process.exit(isShort && Object.keys(wasm).length === 3 && plain[0] === count && plain[1] === 1 ? 0 : 1);
JS
node see.js
