#!/usr/bin/env bash
# Pillow 13.0.0 makes other pixels of a valid PNG transparent than the PNG says, without a word: of a picture of 16-bit
# RGB the clear colour (tRNS) has 16 bits a sample, and a pixel is clear where all 48 are equal. Pillow keeps the high
# byte of each sample of a pixel, and compares it with the low byte of the clear colour's.
#
# Seen: of two pixels, (0x0102, 0x0304, 0x0506) and (0x0100, 0x0300, 0x0500), with the clear colour (0x0102, 0x0304,
# 0x0506) none is clear, where the first is; with the clear colour (1, 3, 5) both are clear, where neither is.
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
import zlib

import PIL
from PIL import Image


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def alphas(clear):
    row = struct.pack('>B6H', 0, 0x0102, 0x0304, 0x0506, 0x0100, 0x0300, 0x0500)
    file = (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 2, 1, 16, 2, 0, 0, 0))
            + chunk(b'tRNS', struct.pack('>3H', *clear)) + chunk(b'IDAT', zlib.compress(row)) + chunk(b'IEND', b''))
    image = Image.open(io.BytesIO(file)).convert('RGBA')
    return [image.getpixel((x, 0))[3] for x in range(2)]


seen = alphas((0x0102, 0x0304, 0x0506)), alphas((1, 3, 5))
print(f'Pillow {PIL.__version__}: alpha {seen[0]}, right is [0, 255]')
print(f'Pillow {PIL.__version__}: alpha {seen[1]}, right is [255, 255]')
sys.exit(seen != ([255, 255], [0, 0]))
PY
