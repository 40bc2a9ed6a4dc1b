#!/usr/bin/env python3
"""Step 2b: draw the sets that are no SVG files: glyphs of a font, and small WebP pictures.

Both name their pictures by code points ("1f600", "1f468-200d-1f33e"). Writes the same files as render.mjs.

Usage: rasters.py --modules node_modules --concepts cache/concepts.json --out cache/render
"""
import argparse
import json
from io import BytesIO
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def codes_of(rule, modules):
    """The names of a set's pictures, or None where the set is one of SVG icons."""
    if "images" in rule:
        return sorted(p.stem for p in (modules / rule["images"]).glob("*.webp"))
    if "glyphs" in rule:
        return sorted(f"{c:x}" for c in glyphs(rule, modules) if c > 0x200)
    return None


def glyphs(rule, modules):
    """{code point: file} of a font that is cut into several files"""
    from fontTools.ttLib import TTFont
    files = sorted(modules.glob(rule["glyphs"]))
    return {code: f for f in files if "emoji-emoji" not in f.name for code in TTFont(f).getBestCmap()}


def draw_glyphs(rule, modules, icons, size):
    """(icons, size, size, 1) coverage, each glyph as large as fits"""
    from fontTools.ttLib import TTFont
    from PIL import Image, ImageDraw, ImageFont
    place, fonts, out = glyphs(rule, modules), {}, np.zeros((len(icons), size, size, 1), np.uint8)
    for i, icon in enumerate(icons):
        file = place[int(icon, 16)]
        if file not in fonts:
            plain = TTFont(file)
            plain.flavor = None
            plain.save(data := BytesIO())
            fonts[file] = ImageFont.truetype(BytesIO(data.getvalue()), size * 3)
        big = Image.new("L", (size * 6, size * 6))
        ImageDraw.Draw(big).text((size * 3, size * 3), chr(int(icon, 16)), 255, fonts[file], anchor="mm")
        if box := big.getbbox():
            side = max(box[2] - box[0], box[3] - box[1]) * 1.06
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            square = (middle[0] - side / 2, middle[1] - side / 2, middle[0] + side / 2, middle[1] + side / 2)
            out[i, :, :, 0] = np.asarray(big.resize((size, size), Image.Resampling.LANCZOS, box=square))
    return out


def draw_images(rule, modules, icons, size):
    """(icons, size, size, 4) RGBA, colours multiplied by alpha"""
    from PIL import Image
    out = np.zeros((len(icons), size, size, 4), np.uint8)
    for i, icon in enumerate(icons):
        with Image.open(modules / rule["images"] / f"{icon}.webp") as image:
            pixels = image.convert("RGBa").resize((size, size), Image.Resampling.LANCZOS)
            out[i] = np.frombuffer(pixels.tobytes(), np.uint8).reshape(size, size, 4)
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--modules", type=Path, default=HERE / "node_modules")
    ap.add_argument("--sources", type=Path, default=HERE / "sources.json")
    ap.add_argument("--concepts", type=Path, default=HERE / "cache" / "concepts.json")
    ap.add_argument("--out", type=Path, default=HERE / "cache" / "render")
    ap.add_argument("--size", type=int, default=80)
    args = ap.parse_args()
    entries = json.loads(args.concepts.read_text(encoding="utf-8"))
    for name, rule in json.loads(args.sources.read_text(encoding="utf-8"))["train"].items():
        if codes_of(rule, args.modules) is None:
            continue
        icons = [e["icon"] for e in entries if e["set"] == name]
        draw = draw_images if "images" in rule else draw_glyphs
        pixels = draw(rule, args.modules, icons, args.size)
        pixels.tofile(args.out / f"{name}.bin")
        (args.out / f"{name}.json").write_text(json.dumps(
            dict(set=name, size=args.size, channels=pixels.shape[-1], icons=icons, blank=[])))
        print(f"{name}: {len(icons)} pictures, {args.size} px, {pixels.shape[-1]} channel(s)")


if __name__ == "__main__":
    main()
