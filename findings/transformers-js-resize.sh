#!/usr/bin/env bash
# @huggingface/transformers 4.3.2 (JavaScript) in Node: bicubic and bilinear resizing, what CLIP's and SigLIP's
# processors ask for, interpolates between the nearest pixels only, however much smaller the picture becomes; Pillow
# 12.2.0, and transformers in Python with it, averages over what a pixel covers. So fine patterns alias. Only Lanczos
# averages.
#
# Seen: stripes of a pixel each, 0 and 255, 512 x 512, resized to 64 x 64 have values of 123 to 132 with Pillow and are
# all 0 in JavaScript, but 128 with Lanczos. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q Pillow==12.2.0
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
venv/bin/python - <<'PY'
from PIL import Image

stripes = Image.new('RGB', (512, 512))
stripes.putdata([(255 * (x % 2),) * 3 for _ in range(512) for x in range(512)])
stripes.save('stripes.png')
for name, method in ('bilinear', Image.Resampling.BILINEAR), ('bicubic', Image.Resampling.BICUBIC):
    print(f'Pillow, {name}: {stripes.resize((64, 64), method).getextrema()[0]}')
PY
cat > see.js <<'JS'
import { CLIPImageProcessor, RawImage } from '@huggingface/transformers';

const stripes = await RawImage.read('stripes.png');
const ends = {};
for (const [name, resample] of Object.entries({ lanczos: 1, bilinear: 2, bicubic: 3 })) {
  const size = { do_resize: true, size: { shortest_edge: 64 }, do_center_crop: false };
  const processor = new CLIPImageProcessor({ ...size, resample, do_rescale: true, do_normalize: false });
  const { pixel_values: pixels } = await processor(stripes);
  const values = Array.from(pixels.data, (value) => Math.round(255 * value));
  ends[name] = [Math.min(...values), Math.max(...values)];
  console.log(`transformers.js, ${name}: ${ends[name].join(' to ')}`);
}
const isGrey = ([least, most]) => least > 100 && most < 155;
process.exitCode = isGrey(ends.lanczos) && !isGrey(ends.bilinear) && !isGrey(ends.bicubic) ? 0 : 1;
JS
node see.js
