#!/usr/bin/env bash
# datasets 5.2.0, imagefolder: where one of the classes' folders has a word of a split in its name (train, test, dev,
# validation; "bullet train" and "test tube" as well, COCO and VOC have a class "train"), that folder alone becomes the
# data set. All other classes are gone and there are no labels, without a word. Whoever writes a folder a class, as
# torchvision's ImageFolder reads it, trains on one class or finds no column.
#
# Seen: of 18 pictures in bus, car and bullet-train 6, without labels; of beaker, flask and test-tube a split "test" of
# 6; with the folder called bullettrain 18 with three labels. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
HF_HUB_OFFLINE=1 HF_DATASETS_CACHE="$folder/cache" venv/bin/python - <<'PY'
import os

import datasets
from PIL import Image

datasets.disable_progress_bars()


def load(*classes):
    root = '_'.join(classes)
    for name in classes:
        os.makedirs(f'{root}/{name}')
        for i in range(6):
            Image.new('RGB', (8, 8), (i, i, i)).save(f'{root}/{name}/{i}.png')
    loaded = datasets.load_dataset('imagefolder', data_dir=root)
    seen = {part: (len(rows), getattr(rows.features.get('label'), 'names', None)) for part, rows in loaded.items()}
    print(f'{", ".join(classes)}: {seen}')
    return seen


assert load('bus', 'car', 'bullettrain') == {'train': (18, ['bullettrain', 'bus', 'car'])}
assert load('bus', 'car', 'bullet-train') == {'train': (6, None)}
assert load('bus', 'car', 'train') == {'train': (6, None)}
assert load('beaker', 'flask', 'test-tube') == {'test': (6, None)}
PY
