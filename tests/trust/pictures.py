#!/usr/bin/env python3
"""Thousands of picture files of every kind, from several encoders, decoded here and by Pillow: a table of what is equal
to the last bit, what both refuse, and what differs and why.

  pictures.py DECODER FOLDER [FILES]   FILES of each format; 1000 (./run soak pictures does it)

Needs Pillow 13 and imagecodecs, cjpeg and jpegtran (libjpeg-turbo), gifsicle, ImageMagick. Everything is drawn from a
seed: the same versions make the same files. Exits with 1 where a difference has no known reason.
"""
import collections
import io
import os
import platform
import random
import struct
import subprocess
import sys
import warnings
import zlib

import imagecodecs
import numpy as np
import PIL
from PIL import Image, features

warnings.simplefilter('ignore')
Case = collections.namedtuple('Case', 'format encoder data')

# ============================================================ the two decoders

class Decoder:
    """tests/c/decode_pictures.c, which is told the path of a file a line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def decode(self, path):
        self.process.stdin.write(path.encode() + b'\n')
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        if not head:
            sys.exit(f'the decoder stopped at {path}')
        if head[0] == b'refused':
            return self.process.stdout.read(int(head[1])).decode()
        width, height = int(head[1]), int(head[2])
        return np.frombuffer(self.process.stdout.read(3 * width * height), np.uint8).reshape(height, width, 3)


def pillow(path):
    try:
        with Image.open(path) as image:
            if image.size[0] * image.size[1] > 1 << 25:
                return 'beyond our limits'
            return np.asarray(image.convert('RGB')), image.mode
    except Exception as error:  # of any kind: it is a refusal
        return f'{type(error).__name__}: {error}'

# ============================================================ pictures

def draw(r):
    """Noise, a smooth one, flat shapes: small, of odd sizes."""
    width, height = r.randint(1, 80), r.randint(1, 80)
    y, x = np.mgrid[0:height, 0:width]
    kind = r.randrange(3)
    if kind == 0:
        return np.random.default_rng(r.getrandbits(32)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == 1:
        waves = [128 + 120 * np.sin(x / r.uniform(3, 20) + y / r.uniform(3, 20) + r.random() * 6) for _ in range(3)]
        return np.stack(waves, -1).astype(np.uint8)
    colours = np.array([[r.randrange(256) for _ in range(3)] for _ in range(6)], np.uint8)
    return colours[(x // r.randint(2, 9) + y // r.randint(2, 9)) % 6]


def run(command, data):
    """What a program makes of its standard input, or nothing where it refuses."""
    done = subprocess.run(command, input=data, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def ppm(pixels):
    return b'P6\n%d %d\n255\n' % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()

# ============================================================ JPEG

SAMPLINGS = ['1x1', '2x1', '2x2', '1x2', '4x1', '4x2', '1x4', '2x4', '2x2,2x1,1x1', '2x2,1x2,1x1', '2x2,1x2,2x1',
             '4x1,2x1,1x1', '1x1,2x2,1x2', '1x4,1x2,1x1', '2x2,2x2,1x1', '1x1,2x1,2x1', '3x1,1x1,1x1', '1x3,1x1,1x1']


def jpeg(r):
    pixels = draw(r)
    kind = r.choice(['Pillow', 'cjpeg', 'cjpeg', 'cjpeg', 'ImageMagick', 'imagecodecs', 'jpegtran'])
    quality = r.randint(1, 100)
    if kind == 'Pillow':
        mode = r.choice(['RGB', 'RGB', 'L', 'CMYK'])
        options = dict(quality=quality, progressive=r.random() < .4, optimize=r.random() < .3)
        if mode == 'RGB':
            options.update(r.choice([{'subsampling': 0}, {'subsampling': 1}, {'subsampling': 2}, {'keep_rgb': True}]))
        if r.random() < .3:
            options['restart_marker_blocks'] = r.randint(1, 9)
        data = saved(Image.fromarray(pixels).convert(mode), 'JPEG', **options)
        if mode == 'CMYK' and r.random() < .5:  # without Adobe's marker
            at = data.index(b'\xff\xee')
            data = data[:at] + data[at + 2 + struct.unpack('>H', data[at + 2:at + 4])[0]:]
        return Case('JPEG', kind + (', CMYK' if mode == 'CMYK' else ''), data)
    if kind == 'ImageMagick':
        sampling = r.choice(SAMPLINGS)
        command = ['convert', 'ppm:-', '-quality', str(quality), '-sampling-factor', sampling]
        command += r.choice([[], ['-interlace', 'JPEG'], ['-colorspace', 'Gray'], ['-colorspace', 'CMYK']])
        return Case('JPEG', kind, run(command + ['jpg:-'], ppm(pixels)))
    if kind == 'imagecodecs':
        sampling = r.choice(['444', '422', '420', '440', '411', '410', '441'])
        try:
            return Case('JPEG', kind + "'s libjpeg-turbo", imagecodecs.jpeg8_encode(
                np.ascontiguousarray(pixels), level=quality, subsampling=sampling, optimize=r.random() < .5))
        except Exception:
            return None
    arithmetic, progressive = r.random() < .25, r.random() < .5
    command = ['cjpeg', '-quality', str(quality), '-sample', r.choice(SAMPLINGS)]
    command += ['-restart', r.choice(['1B', '3B', '1', '2'])] if r.random() < .4 else []
    command += r.choice([[], [], [], [], ['-grayscale'], ['-rgb']])
    if kind == 'cjpeg':
        command += ['-arithmetic'] * arithmetic + ['-progressive'] * progressive
    data = run(command, ppm(pixels))
    if kind == 'jpegtran' and data:
        turn = r.choice([[], ['-rotate', '90'], ['-flip', 'vertical'], ['-transpose'], ['-grayscale']])
        coding = ['-arithmetic'] * arithmetic + ['-progressive'] * progressive + ['-optimize'] * (r.random() < .3)
        data = run(['jpegtran', '-copy', 'all', *turn, *coding], data)
    return Case('JPEG', kind + (', arithmetic' if arithmetic else ''), data)

# ============================================================ PNG

def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def filtered(rows, pixel, r):
    """Every row with a filter of its own."""
    above, out = bytes(len(rows[0]) if rows else 0), b''
    for row in rows:
        kind = r.randrange(5)
        line = bytearray()
        for i, value in enumerate(row):
            a, b, c = (row[i - pixel], above[i], above[i - pixel]) if i >= pixel else (0, above[i], 0)
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line.append(value - [0, a, b, (a + b) // 2, nearest][kind] & 255)
        out += bytes([kind]) + bytes(line)
        above = row
    return out


def png_by_hand(r):
    """Every depth and colour, plain and interlaced, every filter, short palettes, transparency, pixels in pieces."""
    colour = r.choice([0, 2, 3, 4, 6])
    depth = r.choice({0: [1, 2, 4, 8, 16], 3: [1, 2, 4, 8]}.get(colour, [8, 16]))
    width, height = r.randint(1, 40), r.randint(1, 40)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    values = np.random.default_rng(r.getrandbits(32)).integers(0, 1 << depth, (height, width, channels))
    bits = (values[..., None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8).reshape(height, width, -1)
    interlaced = r.random() < .5
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b''
    for x, y, across, down in passes:
        part = bits[y::down, x::across]
        if part.size:
            rows = [np.packbits(row.reshape(-1)).tobytes() for row in part]
            raw += filtered(rows, max(1, channels * depth // 8), r)
    data = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, interlaced))
    if r.random() < .3:
        data += chunk(b'tEXt', b'Title\0nothing')
    if colour == 3:
        count = r.randint(1, 1 << depth)
        data += chunk(b'PLTE', r.randbytes(3 * count)) + (chunk(b'tRNS', r.randbytes(count)) if r.random() < .5 else b'')
    elif colour in (0, 2) and r.random() < .3:
        data += chunk(b'tRNS', struct.pack('>H', 1) * (1 if colour == 0 else 3))
    packed = zlib.compress(raw, r.randint(0, 9))
    piece = r.randint(1, len(packed))
    for at in range(0, len(packed), piece):
        data += chunk(b'IDAT', packed[at:at + piece])
    return data + (chunk(b'IEND', b'') if r.random() < .8 else b'')


def png(r):
    kind = r.choice(['Pillow', 'by hand', 'by hand', 'ImageMagick', "imagecodecs' libpng"])
    if kind == 'by hand':
        return Case('PNG', kind, png_by_hand(r))
    pixels = draw(r)
    if kind == 'Pillow':
        mode = r.choice(['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'])
        image = Image.fromarray(pixels).convert('L' if mode == 'I;16' else mode)
        if mode == 'I;16':
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
        if mode in ('RGBA', 'LA'):
            image.putalpha(Image.fromarray(pixels[..., 0]))
        return Case('PNG', kind, saved(image, 'PNG', optimize=r.random() < .3, compress_level=r.randint(0, 9)))
    if kind == 'ImageMagick':
        colour, depth = r.choice([(0, 1), (0, 2), (0, 4), (0, 8), (2, 8), (2, 16), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)])
        command = ['convert', 'ppm:-', '-define', f'png:color-type={colour}', '-define', f'png:bit-depth={depth}']
        return Case('PNG', kind, run(command + r.choice([[], ['-interlace', 'PNG']]) + ['png:-'], ppm(pixels)))
    shape = r.choice(['L', 'LA', 'RGB', 'RGBA'])
    values = {'L': pixels[..., 0], 'LA': pixels[..., :2], 'RGB': pixels, 'RGBA': np.dstack([pixels, pixels[..., 0]])}[shape]
    values = values.astype(np.uint16) * 251 if shape != 'L' and r.random() < .4 else values
    return Case('PNG', kind, imagecodecs.png_encode(np.ascontiguousarray(values), level=r.randint(0, 9)))

# ============================================================ GIF

def lzw(indices, size, r):
    """Codes from `size` + 1 bits on; now and then the table is cleared early, or never again."""
    clear, out, bits, count = 1 << size, bytearray(), 0, 0
    patience = r.choice([40, 3000, 1 << 30])

    def put(code, width):
        nonlocal bits, count
        bits |= code << count
        count += width
        while count >= 8:
            out.append(bits & 255)
            bits >>= 8
            count -= 8

    table, width, string, codes = {}, size + 1, b'', 0
    put(clear, width)
    for index in indices:
        longer = string + bytes([index])
        if len(longer) == 1 or longer in table:
            string = longer
            continue
        put(table[string] if len(string) > 1 else string[0], width)
        codes += 1
        if clear + 2 + len(table) < 4096:
            table[longer] = clear + 2 + len(table)
            if clear + 2 + len(table) > 1 << width and width < 12:
                width += 1
        elif codes > patience:
            put(clear, width)
            table, width, codes = {}, size + 1, 0
        string = bytes([index])
    put(table[string] if len(string) > 1 else string[0], width)
    put(clear + 1, width)
    put(0, -count % 8)
    blocks = b''.join(bytes([len(out[at:at + 255])]) + out[at:at + 255] for at in range(0, len(out), 255))
    return bytes([size]) + blocks + b'\0'


def gif_by_hand(r):
    """Frames beside the corner, local palettes, transparency, odd sizes of codes, what may be missing at the end."""
    width, height, left, top = r.randint(1, 40), r.randint(1, 40), r.randint(0, 5), r.randint(0, 5)
    depth = r.randint(1, 8)
    size = max(2, depth) if r.random() < .7 else r.randint(max(2, depth), 11)
    palette = lambda: bytes(v for i in range(1 << depth) for v in [i] * 3) if r.random() < .1 else r.randbytes(3 << depth)
    indices = [r.randrange(1 << depth) if r.random() < .5 else 0 for _ in range(width * height)]
    everywhere = r.random() < .7
    data = b'GIF89a' + struct.pack('<HH', width + left * r.randint(0, 2), height + top * r.randint(0, 2))
    data += bytes([0x80 | depth - 1 if everywhere else 0, r.randrange(256), 0]) + (palette() if everywhere else b'')
    if r.random() < .5:
        data += b'!\xf9\4' + bytes([r.randrange(2), 1, 0, r.randrange(256)]) + b'\0'
    if r.random() < .3:
        data += b'!\xfe\5hello\0'
    local = not everywhere or r.random() < .3
    data += b',' + struct.pack('<HHHH', left, top, width, height)
    data += bytes([(0x80 | depth - 1 if local else 0) | 0x40 * (r.random() < .4)]) + (palette() if local else b'')
    data += lzw(indices, size, r)
    return data + r.choice([b';', b';', b'', b'!\xf9', b',\0\0\0\0\1', b'\0;'])


def gif(r):
    kind = r.choice(['Pillow', 'gifsicle', 'ImageMagick', 'by hand', 'by hand'])
    if kind == 'by hand':
        return Case('GIF', kind, gif_by_hand(r))
    pixels = draw(r)
    if kind == 'ImageMagick':
        command = ['convert', 'ppm:-', '-colors', str(r.randint(2, 256))] + r.choice([[], ['-interlace', 'GIF']])
        command += r.choice([[], ['-transparent', 'black'], ['-dither', 'None']])
        return Case('GIF', kind, run(command + ['gif:-'], ppm(pixels)))
    image = Image.fromarray(pixels).quantize(r.randint(2, 256))
    frames = [Image.fromarray(pixels[::-1]).quantize(16)] if r.random() < .3 else []
    options = {'transparency': 0} if r.random() < .3 else {}
    data = saved(image, 'GIF', interlace=r.randrange(2), save_all=bool(frames), append_images=frames, **options)
    if kind == 'Pillow':
        return Case('GIF', kind, data)
    command = ['gifsicle', r.choice(['--interlace', '--no-interlace']), r.choice(['-O1', '-O3'])]
    command += r.choice([[], ['--colors', '8'], ['--crop', '0,0+9x9'], ['--rotate-90'], ['--flip-vertical']])
    return Case('GIF', kind, run(command, data))

# ============================================================ BMP

def runs(values, four, width, r):
    """A row as runs, single pixels and jumps."""
    out, at = b'', 0
    while at < width:
        length = min(width - at, r.randint(1, 255 if r.random() < .2 else 9))
        if r.random() < .1:  # the pixels passed over have colour 0
            out += bytes([0, 2, length, 0])
        elif r.random() < .5 or length < 3:
            out += bytes([length, values[at] * 17 & 255 if four else values[at]])
        else:
            part = [int(v) for v in values[at:at + length]]
            if four:
                part = [a << 4 | b for a, b in zip(part[::2], part[1::2] + [0] * (length % 2))]
            out += bytes([0, length]) + bytes(part) + b'\0' * (len(part) % 2)
        at += length
    return out


def bmp_by_hand(r):
    """All headers, depths and masks, both directions, runs, places of the pixels that are given in odd ways."""
    header = r.choice([12, 40, 40, 40, 52, 56, 64, 108, 124])
    bits = r.choice([1, 4, 8, 24] if header == 12 else [1, 4, 8, 16, 24, 32])
    width, height = r.randint(1, 40), r.randint(1, 40)
    used = r.choice([0, 0, r.randint(1, 1 << bits)]) if bits <= 8 and header > 12 else 0
    packed = bits in (4, 8) and header > 12 and r.random() < .6
    masks, compression = b'', 0
    if bits in (16, 32) and header > 12 and r.random() < .6:
        compression = 3
        masks = struct.pack('<III', *r.choice([(0xf800, 0x7e0, 0x1f), (0x7c00, 0x3e0, 0x1f)] if bits == 16 else [
            (0xff0000, 0xff00, 0xff), (0xff000000, 0xff0000, 0xff00)]))
    if packed:
        compression = 1 if bits == 8 else 2
    colours = r.randbytes((3 if header == 12 else 4) * (used or 1 << bits)) if bits <= 8 else b''
    inside = masks and header >= 52
    if header == 12:
        head = struct.pack('<IHHHH', 12, width, height, 1, bits)
    else:
        upwards = r.random() < .6
        head = struct.pack('<IiiHHIIiiII', header, width, height if upwards else -height, 1, bits, compression, 0, 0, 0,
                           used, 0)
        head = (head + (masks if inside else b'')).ljust(header, b'\0')
    stride = (width * bits + 31) // 32 * 4
    if packed:
        values = np.random.default_rng(r.getrandbits(32)).integers(0, 1 << bits, (height, width))
        body = b''.join(runs(row, bits == 4, width, r) + bytes(2) for row in values) + b'\0\1'
    else:
        body = r.randbytes(stride * height)
    rest = (b'' if inside else masks) + colours
    start = 14 + len(head) + len(rest)
    odd = bits <= 8 and header != 12 and r.random() < .2 and not packed
    place = r.choice([0, 14 + len(head)]) if odd else start
    return b'BM' + struct.pack('<IHHI', start + len(body), 0, 0, place) + head + rest + body


def bmp(r):
    kind = r.choice(['Pillow', 'ImageMagick', 'ImageMagick', 'by hand', 'by hand', 'by hand'])
    if kind == 'by hand':
        return Case('BMP', kind, bmp_by_hand(r))
    pixels = draw(r)
    if kind == 'Pillow':
        return Case('BMP', kind, saved(Image.fromarray(pixels).convert(r.choice(['1', 'L', 'P', 'RGB', 'RGBA'])), 'BMP'))
    version = r.choice(['bmp2', 'bmp3', 'bmp'])
    command = ['convert', 'ppm:-'] + r.choice([[], ['-type', 'Palette', '-compress', 'RLE'], ['-monochrome'],
                                               ['-colors', '16'], ['-define', 'bmp:subtype=RGB565'],
                                               ['-alpha', 'set', '-channel', 'A', '-evaluate', 'set', '50%']])
    return Case('BMP', kind, run(command + [version + ':-'], ppm(pixels)))

# ============================================================ damage

def damaged(case, r):
    data, kind = bytearray(case.data), r.randrange(3)
    if kind == 0:
        data = data[:r.randrange(len(data))]
    elif kind == 1:
        for _ in range(r.choice([1, 1, 3])):
            data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    else:
        data = data[:len(data) - r.randint(1, 14)] + r.choice([b'', bytes(40), r.randbytes(60)])
    return case._replace(encoder=['cut off', 'flipped bits', 'another end'][kind], data=bytes(data))

# ============================================================ the table

def reason(case, ours, theirs):
    """Why a difference is no fault of ours, in a line; None where nobody knows."""
    kind, data = case.format, case.data
    if isinstance(ours, str):
        if 'too large' in ours:
            return 'beyond our limit of a side or of pixels'
        if kind == 'GIF' and 'missing' in ours:
            return 'pixels are missing: refused, where Pillow unpacks what lies behind the frame'
        if kind == 'PNG' and 'missing' in ours:
            return 'rows are missing: refused, where Pillow shows them black'
        if kind == 'PNG' and 'do not fit' in ours:
            return 'pixels that do not fit their checksum, which begins a chunk: refused, where Pillow has stopped before'
        return None
    if isinstance(theirs, str):
        if kind == 'BMP' and 'bitfields' in theirs:
            return 'masks that Pillow does not know: read'
        if kind == 'PNG' and 'Truncated File Read' in theirs:
            return 'a piece of the pixels that is cut off and not needed: read'
        if kind == 'PNG' and ('truncated' in theirs or 'broken PNG file (chunk' in theirs):
            return 'a file that is cut off right behind its pixels: read, where Pillow has not unpacked the last ones yet'
        if kind == 'JPEG' and 'truncated' in theirs and data[-2:] != b'\xff\xd9':
            return "JPEG that ends within the last bytes of its pixels: read, where Pillow's reading ahead decides"
        return None
    if kind == 'PNG' and theirs[1] == 'I;16':
        return '16-bit grey: the high byte counts, where Pillow makes everything above 255 white'
    if kind == 'GIF' and theirs[1] == 'L':
        return "a frame's own palette of greys: Pillow shows its pixels in the picture's other palette"
    if kind == 'BMP' and theirs[1] in ('1', 'L'):
        return "BMP with two or few shades of grey: Pillow takes the pixels for ones of 1 or 8 bits"
    return None


def main(program, folder, files=1000):
    decoder, path = Decoder(program), os.path.join(folder, 'picture')
    counts, reasons, unknown = collections.defaultdict(collections.Counter), collections.Counter(), 0
    os.makedirs(folder, exist_ok=True)
    for make in (jpeg, png, gif, bmp):
        r = random.Random(f'pictures {make.__name__}')
        whole = []
        while len(whole) < files:
            case = make(r)
            if case and case.data:
                whole.append(case)
        for case in whole + [damaged(case, r) for case in whole]:
            with open(path, 'wb') as file:
                file.write(case.data)
            ours, theirs = decoder.decode(path), pillow(path)
            count = counts[case.format, case.encoder]
            count['files'] += 1
            if isinstance(ours, str) and isinstance(theirs, str):
                count['refused'] += 1
            elif not isinstance(ours, str) and not isinstance(theirs, str) and np.array_equal(ours, theirs[0]):
                count['equal'] += 1
            else:
                why = reason(case, ours, theirs)
                count['known' if why else 'unknown'] += 1
                reasons[why] += bool(why)
                if not why:
                    unknown += 1
                    kept = os.path.join(folder, f'differs-{unknown}.{case.format.lower()}')
                    os.replace(path, kept)
                    what = [x if isinstance(x, str) else 'read' for x in (ours, theirs)]
                    print(f'{kept} ({case.encoder}): ours: {what[0]}; Pillow: {what[1]}', file=sys.stderr)
    print(f'Pillow {PIL.__version__} (libjpeg-turbo {features.version("libjpeg_turbo")}, zlib {features.version("zlib")}), '
          f'imagecodecs {imagecodecs.__version__}, Python {platform.python_version()}\n')
    print('| format | made by | files | equal to the last bit | refused by both | differ, for a known reason | differ |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for (kind, encoder), count in counts.items():
        print(f'| {kind} | {encoder} | ' + ' | '.join(
            str(count[key]) for key in ('files', 'equal', 'refused', 'known', 'unknown')) + ' |')
    print('\n| files | what differs and why |\n| --- | --- |')
    for why, count in reasons.most_common():
        if why:
            print(f'| {count} | {why} |')
    return 1 if unknown else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3], *map(int, sys.argv[3:])))
