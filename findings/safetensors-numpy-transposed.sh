#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy.save and save_file: of a NumPy array that is transposed (or laid out in Fortran's
# order) the bytes are written as they lie in memory, under the shape of the transposed array, without an error or a
# warning: another matrix is read back. 0.7.0 writes the right one. safetensors.torch refuses such a tensor by name.
# Weights that NumPy code turns on their way to a file (a Linear from a framework that keeps [in, out]) are wrong in
# silence; np.ascontiguousarray before it helps.
#
# Seen: [[1, 2, 3], [4, 5, 6]].T saved and loaded is [[1, 2], [3, 4], [5, 6]] with 0.8.0, [[1, 4], [2, 5], [3, 6]] with
# 0.7.0. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 0.7.0 0.8.0; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install -q "safetensors==$version" numpy==2.4.6
    "venv-$version/bin/python" - <<'PY'
import numpy as np
import safetensors
from safetensors.numpy import load, save

matrix = np.float32([[1, 2, 3], [4, 5, 6]]).T
back = load(save({'matrix': matrix}))['matrix']
print(f'{safetensors.__version__}: saved {matrix.tolist()}, loaded {back.tolist()}')
assert np.array_equal(matrix, back) == (safetensors.__version__ == '0.7.0')
PY
done
