"""A MuDPT training step in PyTorch as its authors compute it: python3 step.py SETTINGS (JSON), told to by run.js.

Every class's sentence through the text tower with all 77 positions (`truncate`: up to the longest end of text), the whole
batch through the image tower, autograd, SGD. Weights are noise, which changes no speed. With `data` instead a whole run
over a folder of pictures, which PIL crops, resizes and mirrors as CLIP's training transform does.
"""
import json
import math
import os
import random
import sys

import torch
import torch.nn.functional as F

from towers import Towers, first_rows, last_rows, minimize, noise, serve, with_context

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings.get("threads", 2))
torch.manual_seed(1)
arch = settings["arch"]
ids = settings["ids"]
n, batch = settings["promptLength"], settings.get("batch", 4)
context = max(len(row) for row in ids) if settings.get("truncate") else arch["context"]
towers = Towers(arch, ids, context)
layers, d_v, d_t = max(len(towers.vision), len(towers.language)), towers.d_v, towers.d_t

trained = {
    "text": noise(layers, n, d_t), "visual": noise(layers, n, d_v), "e": noise(d_v, d_t), "e_bias": noise(d_v),
    "tv": noise(d_v, d_t), "tv_bias": noise(d_v), "vt": noise(d_t, d_v), "vt_bias": noise(d_t),
}
for p in trained.values():
    p.requires_grad_(True)
optimizer = torch.optim.SGD(trained.values(), lr=2.5e-3, momentum=0.9, weight_decay=5e-4)


def features(pixels):
    w = trained
    visual = w["visual"] + torch.cat([F.linear(w["text"][:1], w["e"], w["e_bias"]),
                                      F.linear(w["text"][1:], w["tv"], w["tv_bias"])])
    deep = F.linear(w["visual"][1:], w["vt"], w["vt_bias"])
    texts = torch.cat([w["text"][:1], w["text"][1:] + deep])
    text = towers.text(with_context(towers.words, texts[0]), first_rows(texts))
    return towers.image(pixels, visual[0], last_rows(visual)), text


def step(pixels, labels):
    v, t = features(pixels)
    logits = 100 * F.normalize(v, dim=-1) @ F.normalize(t, dim=-1).T
    return minimize(optimizer, F.cross_entropy(logits, labels))


def normalized(image):
    raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(arch["image"], arch["image"], 3)
    return (raw.permute(2, 0, 1).float() / 255 - 0.45) / 0.27


def random_view(image):
    from PIL import Image
    width, height = image.size
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            image = image.crop((left, top, left + w, top + h))
            break
    image = image.resize((arch["image"],) * 2, Image.BICUBIC)
    return normalized(image.transpose(Image.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image)


def test_view(image):
    from PIL import Image
    size, (width, height) = arch["image"], image.size
    scale = size / min(width, height)
    w, h = max(size, round(width * scale)), max(size, round(height * scale))
    left, top = (w - size) // 2, (h - size) // 2
    return normalized(image.resize((w, h), Image.BICUBIC).crop((left, top, left + size, top + size)))


def run():
    """Epochs over the pictures of every class, then the test pictures by hundreds, the text tower with each hundred."""
    from PIL import Image
    folders = sorted(os.scandir(os.path.join(settings["data"], "train")), key=lambda entry: entry.name)
    pictures = [(file.path, label) for label, folder in enumerate(folders) if folder.is_dir()
                for file in sorted(os.scandir(folder.path), key=lambda entry: entry.name)[:settings["shots"]]]
    random.seed(1)
    for _ in range(settings["epochs"]):
        random.shuffle(pictures)
        for i in range(0, len(pictures) - batch + 1, batch):
            part = pictures[i:i + batch]
            pixels = torch.stack([random_view(Image.open(path).convert("RGB")) for path, _ in part])
            step(pixels, torch.tensor([label for _, label in part]))
    tests = [file.path for folder in sorted(os.scandir(os.path.join(settings["data"], "test")), key=lambda e: e.name)
             if folder.is_dir() for file in os.scandir(folder.path)]
    with torch.no_grad():
        for i in range(0, len(tests), 100):
            features(torch.stack([test_view(Image.open(path).convert("RGB")) for path in tests[i:i + 100]]))


pixels, labels = torch.randn(batch, 3, arch["image"], arch["image"]), torch.arange(batch) % len(ids)
if "data" in settings:
    serve(run, warm=0)
else:
    serve(lambda: step(pixels, labels))
