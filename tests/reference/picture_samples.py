#!/usr/bin/env python3
"""Makes tests/data/pictures: a small file of every kind that is read or refused, and in expected.txt what Pillow sees in
it: its size and a sum (FNV-1a) over its RGB pixels, or that it refuses it. And the WebP files of tests/data/formats.

  picture_samples.py tests/data/pictures tests/data/formats        needs what tests/trust/pictures.py needs
  tar -C tests/data -cf tests/data/pictures.tar pictures           the archive that is kept
"""
import os
import random
import struct
import sys
import zlib

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'trust'))
from pictures import SAMPLINGS, bmp_by_hand, chunk, lzw, pillow, png_by_hand, ppm, run, saved  # noqa: E402

y, x = np.mgrid[0:13, 0:21]
PIXELS = np.stack([x * 12, y * 19, (x * x + 7 * y) % 256], -1).astype(np.uint8)


def sum_of(pixels):
    total = 2166136261
    for value in pixels.tobytes():
        total = (total ^ value) * 16777619 & 0xffffffff
    return f'{pixels.shape[1]} {pixels.shape[0]} {total:08x}'


def without(data, marker):
    """A JPEG less all segments of one kind."""
    at, out = 2, data[:2]
    while data[at + 1] != 0xda:
        end = at + 2 + struct.unpack('>H', data[at + 2:at + 4])[0]
        out += b'' if data[at + 1] == marker else data[at:end]
        at = end
    return out + data[at:]


def jpegs():
    cjpeg = lambda *options: run(['cjpeg', '-quality', '40', *options], ppm(PIXELS))
    for sampling in SAMPLINGS:
        yield 'sampling-' + sampling.replace(',', '-'), cjpeg('-sample', sampling)
    yield 'progressive-1x2', cjpeg('-sample', '1x2', '-progressive')
    yield 'arithmetic', cjpeg('-arithmetic', '-restart', '1B')
    yield 'arithmetic-progressive', cjpeg('-arithmetic', '-progressive')
    yield 'restarts', cjpeg('-restart', '2B', '-sample', '1x1')
    yield 'rgb', cjpeg('-rgb')
    yield 'grey', cjpeg('-grayscale', '-sample', '2x2')
    cmyk = saved(Image.fromarray(PIXELS).convert('CMYK'), 'JPEG', quality=40)
    yield 'cmyk', cmyk
    yield 'cmyk-without-adobe', without(cmyk, 0xee)
    ycck = run(['convert', 'ppm:-', '-colorspace', 'CMYK', '-quality', '40', '-sampling-factor', '2x1', 'jpg:-'], ppm(PIXELS))
    at = ycck.index(b'Adobe')
    yield 'ycck', ycck[:at + 11] + b'\2' + ycck[at + 12:]
    baseline = cjpeg('-sample', '1x1')
    yield 'standard-tables', without(baseline, 0xc4)
    at = baseline.index(b'\xff\xc4')
    yield 'restart-marker-in-header', baseline[:at] + b'\xff\xd3' + baseline[at:]
    yield 'trailer-instead-of-end', baseline[:-2] + b'\0' * 40
    yield 'no-end', baseline[:-40]
    yield 'end-too-early', baseline[:-60] + b'\xff\xd9'
    at = baseline.index(b'\xff\xda') + 40
    yield 'damaged-inside', baseline[:at] + bytes([baseline[at] ^ 0x55]) + baseline[at + 1:]
    yield 'another-scan-behind', baseline[:-2] + baseline[baseline.index(b'\xff\xda'):]
    progressive = cjpeg('-progressive')
    scans = [i for i in range(len(progressive)) if progressive[i:i + 2] == b'\xff\xda']
    yield 'progressive-first-scan-only', progressive[:scans[1]] + b'\xff\xd9'
    yield 'progressive-three-scans', progressive[:scans[3]] + b'\xff\xd9'
    yield 'two-channels', baseline.replace(b'\xff\xc0\0\x11', b'\xff\xc0\0\x0e', 1)


def pngs():
    seeds = {}
    for seed in range(3000):
        data = png_by_hand(random.Random(seed))
        depth, colour, interlaced = data[24], data[25], data[28]
        kind = f'{dict(enumerate(["grey", "", "rgb", "palette", "grey-alpha", "", "rgba"]))[colour]}-{depth}' + '-interlaced' * interlaced
        if kind not in seeds or len(data) < len(seeds[kind]) and data[16:24].count(0) == 6 and data[19] > 8 < data[23]:
            seeds[kind] = data
    # Of 16-bit grey Pillow makes everything above 255 white.
    yield from sorted((kind, data) for kind, data in seeds.items() if not kind.startswith('grey-16'))
    whole = saved(Image.fromarray(PIXELS), 'PNG')
    yield 'no-iend', whole[:-12]
    yield 'no-checksum-of-last-chunk', whole[:-15]
    yield 'pixels-cut-off', whole[:-40]
    at = whole.index(b'IDAT')
    yield 'wrong-sum-of-a-chunk-of-pixels', whole[:-13] + b'?' + whole[-12:]
    yield 'wrong-sum-of-pixels', whole[:-17] + b'?' + whole[-16:]
    flipped = bytearray(whole)
    flipped[at + 60] ^= 1
    yield 'one-bit-flipped', bytes(flipped)
    yield 'wrong-sum-of-text', whole[:at - 4] + chunk(b'tEXt', b'a\0b')[:-1] + b'?' + whole[at - 4:]
    yield 'wrong-sum-of-header', whole[:29] + b'????' + whole[33:]
    yield 'text-cut-off', whole[:-12] + chunk(b'tEXt', b'a\0bcdef')[:-6]
    control = chunk(b'fcTL', struct.pack('>IIIIIHHBB', 0, 21, 13, 0, 0, 1, 10, 0, 0))
    yield 'animated', whole[:33] + chunk(b'acTL', struct.pack('>II', 1, 0)) + control + whole[33:]


def gifs():
    head = lambda palette: b'GIF89a' + struct.pack('<HHBBB', 5, 4, 0x81, 0, 0) + palette
    frame = b',' + struct.pack('<HHHHB', 0, 0, 5, 4, 0)
    palette, indices, r = bytes([9, 8, 7, 250, 1, 2, 3, 251, 4, 5, 6, 252]), [i * i % 4 for i in range(20)], random.Random(1)
    for size in range(2, 12):
        yield f'code-size-{size}', head(palette) + frame + lzw(indices, size, r) + b';'
    whole = head(palette) + frame + lzw(indices, 2, r)
    yield 'no-trailer', whole
    yield 'no-terminator', whole[:-1]
    yield 'second-frame-cut-off', whole + frame + lzw(indices, 2, r)[:4]
    yield 'something-behind', whole + b'!\xf9\4'
    yield 'pixels-missing', head(palette) + frame + lzw(indices[:9], 2, r) + b';'
    greys = bytes(i // 3 for i in range(12))
    yield 'greys-beyond-palette', head(greys) + frame + lzw([9 * i % 16 for i in range(20)], 4, r) + b';'
    yield 'interlaced', head(palette) + frame[:-1] + b'\x40' + lzw(indices, 2, r) + b';'


def bmps():
    seen = set()
    for seed in range(4000):
        data = bmp_by_hand(random.Random(seed))
        header, start = struct.unpack('<I', data[14:18])[0], struct.unpack('<I', data[10:14])[0]
        bits = struct.unpack('<H', data[24:26] if header == 12 else data[28:30])[0]
        packed = 0 if header == 12 else data[30]
        place = {0: 'no-place', 14 + header: 'at-palette'}.get(start, '') if bits <= 8 else ''
        kind = '-'.join(filter(None, [f'header-{header}', f'{bits}-bits', ['', 'runs', 'runs', 'masks'][packed], place,
                                      'downwards' if header > 12 and data[25] == 0xff else '']))
        wanted = header in (12, 40, 124) or (bits in (8, 16) and not place)
        if wanted and kind not in seen and len(data) < 1400:
            seen.add(kind)
            yield kind, data
    run_end = b'BM' + struct.pack('<IHHIIiiHHIIiiII', 0, 0, 0, 62, 40, 5, 3, 1, 8, 1, 0, 0, 0, 2, 0) + bytes(range(8))
    yield 'runs-all-kinds', run_end + bytes([9, 1, 0, 0, 0, 2, 2, 1, 0, 3, 1, 0, 1, 0, 4, 1, 0, 0, 0, 1])
    yield 'runs-that-end-early', run_end + bytes([3, 1, 0, 0, 0, 1])
    yield 'runs-cut-off', run_end + bytes([3, 1, 0, 0, 5])


def webps():
    image, other = Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())
    transparent = image.copy()
    transparent.putalpha(Image.fromarray((x * 12 * (y > 3)).astype(np.uint8)))
    yield 'lossy', saved(image, 'WEBP', quality=60)
    yield 'lossless', saved(image, 'WEBP', lossless=True)
    yield 'lossy-transparent', saved(transparent, 'WEBP', quality=60)
    yield 'lossless-hidden-colours', saved(transparent, 'WEBP', lossless=True, exact=True)
    yield 'animated', saved(image, 'WEBP', quality=60, save_all=True, append_images=[other])
    yield 'animated-transparent', saved(transparent, 'WEBP', lossless=True, save_all=True, append_images=[image])
    exif = Image.Exif()
    exif[0x112] = 6
    yield 'turned', saved(image, 'WEBP', lossless=True, exif=exif)


def main(folder, formats):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(formats, 'webp.txt'), 'w') as expected:
        for name, data in webps():
            with open(os.path.join(formats, name + '.webp'), 'wb') as file:
                file.write(data)
            expected.write(f'{name}.webp {sum_of(pillow(file.name)[0])}\n')
    with open(os.path.join(folder, 'expected.txt'), 'w') as expected:
        for kind, make in ('jpg', jpegs), ('png', pngs), ('gif', gifs), ('bmp', bmps):
            for name, data in make():
                name = f'{name}.{kind}'
                with open(os.path.join(folder, name), 'wb') as file:
                    file.write(data)
                seen = pillow(os.path.join(folder, name))
                if isinstance(seen, str):
                    expected.write(f'{name} refused\n')
                    continue
                expected.write(f'{name} {sum_of(seen[0])}\n')


if __name__ == '__main__':
    main(*sys.argv[1:3])
