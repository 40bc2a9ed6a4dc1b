#!/usr/bin/env bash
# ONNX Runtime 1.32.0, CPU: Sigmoid of float32 is 0 from -18 down, and not monotonic before it: on an x86-64 with
# AVX-512 that of -17 is larger than that of -16. float32 itself holds these numbers to 1e-38. SigLIP's scores are
# sigmoids of a logit whose bias is about -16.5: what does not fit a picture has scores of that size, whose order is
# lost, and turned where both lie there. onnxruntime-web 1.30.0, WebAssembly: the same zeros, and 7 to 47 % off from -14
# to -17.
#
# Seen: sigmoid(-17) = 8.9e-08 > sigmoid(-16) = 6.0e-08; sigmoid(-18) = 0; right are 4.1e-08, 1.1e-07 and 1.5e-08. Exits
# with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts onnxruntime-web@1.30.0
venv/bin/python - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in 'xy']
graph = helper.make_graph([helper.make_node('Sigmoid', ['x'], ['y'])], 'sigmoid', values[:1], values[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=10), 'sigmoid.onnx')
x = np.float32([-8, -12, -14, -16, -17, -18, -20, -25])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
y, = onnxruntime.InferenceSession('sigmoid.onnx', options).run(None, {'x': x})
right = 1 / (1 + np.exp(-x.astype(np.float64)))
for row in zip(x, y, right):
    print('sigmoid(%g): %.3g, right %.3g' % row)
assert abs(y[3] / right[3] - 1) > 0.2 and not y[5:].any()
PY
cat > see.js <<'JS'
import * as ort from 'onnxruntime-web';

ort.env.wasm.numThreads = 1;
const x = Float32Array.of(-8, -12, -14, -16, -17, -18, -20, -25);
const session = await ort.InferenceSession.create('sigmoid.onnx', { executionProviders: ['wasm'] });
const { y } = await session.run({ x: new ort.Tensor('float32', x, [8]) });
console.log(`onnxruntime-web: ${Array.from(y.data, (value) => value.toPrecision(3)).join(' ')}`);
const errors = Array.from(x, (each, i) => y.data[i] * (1 + Math.exp(-each)) - 1);
process.exitCode = errors[0] < 0.01 && Math.abs(errors[3]) > 0.2 && y.data.slice(5).every((each) => each === 0) ? 0 : 1;
JS
node see.js
