#!/usr/bin/env bash
# TensorFlow.js 4.22.0 with its WebAssembly back end makes plausible numbers of NaN: relu6 and clipByValue give their
# lower end, maximum the other one where NaN comes second, conv2d with weights of NaN -Infinity. The back end in plain
# JavaScript gives NaN in each case. So weights that a run with too high a rate has lost are seen in one back end and
# hidden in the other, behind an activation whose output is in range.
#
# Seen: relu6(NaN) = 0, clipByValue(NaN, 0, 1) = 0, maximum(1, NaN) = 1 but maximum(NaN, 1) = NaN, conv2d: -Infinity.
# Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
cat > see.js <<'JS'
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

console.warn = () => {}; // that there is a faster back end for Node
setWasmPaths('node_modules/@tensorflow/tfjs-backend-wasm/dist/');
const seen = {};
for (const backend of ['cpu', 'wasm']) {
  await tf.setBackend(backend);
  const [none, one] = [tf.tensor([NaN]), tf.tensor([1])];
  const cases = {
    relu: tf.relu(none),
    relu6: tf.relu6(none),
    clipByValue: tf.clipByValue(none, 0, 1),
    'maximum, NaN first': tf.maximum(none, one),
    'maximum, NaN second': tf.maximum(one, none),
    matMul: tf.matMul(tf.tensor2d([[0, 1]]), tf.tensor2d([[NaN], [1]])),
    conv2d: tf.conv2d(tf.ones([1, 1, 1, 1]), tf.fill([1, 1, 1, 1], NaN), 1, 'valid'),
  };
  seen[backend] = Object.entries(cases).map(([name, tensor]) => `${name} ${tensor.dataSync()[0]}`);
  console.log(`${tf.getBackend()}: ${seen[backend].join(', ')}`);
}
const isPlain = seen.cpu.every((each) => each.endsWith(' NaN'));
const theirs = 'relu NaN, relu6 0, clipByValue 0, maximum, NaN first NaN, maximum, NaN second 1, matMul NaN, ';
process.exit(isPlain && seen.wasm.join(', ') === `${theirs}conv2d -Infinity` ? 0 : 1);
JS
node see.js
