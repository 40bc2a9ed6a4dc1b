#!/usr/bin/env bash
# Pillow 13.0.0 shows two kinds of valid pictures in wrong colours, without a word:
#
# - a GIF whose first frame has a palette of its own in which colour i is the grey (i, i, i): its pixels get the colours
#   of the picture's other palette. Seen: red and green instead of (0, 0, 0) and (1, 1, 1).
# - a BMP of 8 (or 4) bits a pixel whose header says 2 colours, black and white: the pixels are read as single bits.
#   Seen: black, black instead of white, black.
#
# Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import io
import struct
import sys

import PIL
from PIL import Image


def pixels(file):
    image = Image.open(io.BytesIO(file)).convert('RGB')
    return [image.getpixel((x, 0)) for x in range(image.width)]


gif = (b'GIF89a' + struct.pack('<HHBBB', 2, 1, 0x80, 0, 0) + bytes([255, 0, 0, 0, 255, 0])
       + b',' + struct.pack('<HHHHB', 0, 0, 2, 1, 0x80) + bytes([0, 0, 0, 1, 1, 1]) + b'\2\2\x44\x0a\0;')
bmp = (b'BM' + struct.pack('<IHHI', 66, 0, 0, 62) + struct.pack('<IiiHHIIiiII', 40, 2, 1, 1, 8, 0, 4, 0, 0, 2, 0)
       + bytes([0, 0, 0, 0, 255, 255, 255, 0]) + bytes([1, 0, 0, 0]))
seen = pixels(gif), pixels(bmp)
print(f'Pillow {PIL.__version__}: GIF {seen[0]}, right is (0, 0, 0), (1, 1, 1)')
print(f'Pillow {PIL.__version__}: BMP {seen[1]}, right is (255, 255, 255), (0, 0, 0)')
sys.exit(seen != ([(255, 0, 0), (0, 255, 0)], [(0, 0, 0), (0, 0, 0)]))
PY
