"""What onnxruntime makes of a file that ./run bench onnx has written.

    python onnx_peer.py FILE SIDE < pixels > probabilities

Both are f32 in the machine's order: [count, 3, SIDE, SIDE] in, [count, classes] out.
"""

import sys

import numpy
import onnxruntime

AT_ONCE = 16

file, side = sys.argv[1], int(sys.argv[2])
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
pixels = numpy.frombuffer(sys.stdin.buffer.read(), numpy.float32).reshape(-1, 3, side, side)
for start in range(0, len(pixels), AT_ONCE):
    (probabilities,) = session.run(["probabilities"], {"pixel_values": pixels[start : start + AT_ONCE]})
    sys.stdout.buffer.write(probabilities.tobytes())
