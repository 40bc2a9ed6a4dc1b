#!/usr/bin/env bash
# @huggingface/transformers 4.3.2 (JavaScript) in Node does not read a PNG of grey and alpha, one of PNG's five kinds of
# colour, which icons and scans have: RawImage.read() throws, of channels that it counts as four. Pillow 12.2.0 reads
# the same file as mode LA. A picture of grey alone is read, and so is one of RGB and alpha.
#
# Seen: "Conversion failed due to unsupported number of channels: 4". Exits with 1 when that has changed.
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

for mode, colour in ('L', 99), ('LA', (99, 200)), ('RGBA', (1, 2, 3, 200)):
    Image.new(mode, (8, 8), colour).save(f'{mode}.png')
    print(f'Pillow, {mode}.png: {Image.open(f"{mode}.png").mode}')
PY
cat > see.js <<'JS'
import { RawImage } from '@huggingface/transformers';

const said = {};
for (const mode of ['L', 'RGBA', 'LA']) {
  said[mode] = await RawImage.read(`${mode}.png`).then(
    ({ channels }) => channels,
    ({ message }) => message,
  );
  console.log(`transformers.js, ${mode}.png: ${said[mode]}`);
}
process.exitCode = said.L === 1 && said.RGBA === 4 && /unsupported number of channels/.test(said.LA) ? 0 : 1;
JS
node see.js
