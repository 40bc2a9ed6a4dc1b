#!/usr/bin/env bash
# The thousand names of ImageNet's classes are not a thousand names, and each package repeats others. open_clip 3.3.0
# (OpenAI's list for zero-shot): "missile" (657 and 744) and "sunglasses" (836 and 837). torchvision 0.29.2:
# "cardigan" (264, a dog, and 474), as its weights' meta tells the categories. timm 1.0.31: "crane" (134, a bird, and
# 517), and by each description's first words "cardigan" and "maillot" (638 and 639) as well. Two classes of one name
# have one text feature: scores tie, and the pictures of the second, 50 of the validation set's 50,000, are counted as
# wrong. 296 of open_clip's names are not torchvision's, so that zero-shot accuracies by both are not to be compared.
#
# Seen: those. Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
# Without PyTorch: the lists are read as they stand in the packages' files.
venv/bin/pip install -q --no-deps open_clip_torch==3.3.0 torchvision==0.29.2 timm==1.0.31
venv/bin/python - <<'PY'
import ast
import collections
import sysconfig
from pathlib import Path

packages = Path(sysconfig.get_paths()['purelib'])


def literal(file, name):
    for node in ast.parse((packages / file).read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def twice(names):
    places = collections.defaultdict(list)
    for i, name in enumerate(names):
        places[name.lower()].append(i)
    return {name: found for name, found in places.items() if len(found) > 1}


open_clip = literal('open_clip/zero_shot_metadata.py', 'IMAGENET_CLASSNAMES')
torchvision = literal('torchvision/models/_meta.py', '_IMAGENET_CATEGORIES')
info = packages / 'timm/data/_info'
lemmas = dict(line.split('\t', 1) for line in (info / 'imagenet_synset_to_lemma.txt').read_text().splitlines())
timm = [lemmas[each] for each in (info / 'imagenet_synsets.txt').read_text().split()]
firsts = [name.split(',')[0] for name in timm]
for name, names in ('open_clip', open_clip), ('torchvision', torchvision), ('timm', timm), ("timm's firsts", firsts):
    print(f'{name}: {len(names)} names, {twice(names)}')
other = sum(a.lower() != b.lower() for a, b in zip(open_clip, torchvision))
print(f'{other} names of open_clip are not those of torchvision')
assert twice(open_clip) == {'missile': [657, 744], 'sunglasses': [836, 837]}
assert twice(torchvision) == {'cardigan': [264, 474]}
assert twice(timm) == {'crane': [134, 517]} and set(twice(firsts)) == {'crane', 'cardigan', 'maillot'}
assert other == 296
PY
