"""A MuDPT training step in PyTorch as its authors compute it: python3 step.py SETTINGS (JSON), told to by run.js.

Every class's sentence through the text tower with all 77 positions (`truncate`: up to the longest end of text), the whole
batch through the image tower, autograd, SGD. Weights are noise, which changes no speed. With `data` instead a whole run
over a folder of pictures, which PIL crops, resizes and mirrors as CLIP's training transform does.
"""
import json
import math
import os
import random
import resource
import sys
import time

import torch
import torch.nn.functional as F

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings.get("threads", 2))
torch.manual_seed(1)
arch = settings["arch"]
ids = settings["ids"]
n, batch = settings["promptLength"], settings.get("batch", 4)
d_v, d_t = arch["visionWidth"], arch["textWidth"]
grid = arch["image"] // arch["patch"]


def noise(*shape):
    return torch.randn(*shape) * 0.02


class Block:
    def __init__(self, d, mlp, heads, causal):
        self.heads, self.causal = heads, causal
        self.qkv, self.out = (noise(3 * d, d), noise(3 * d)), (noise(d, d), noise(d))
        self.fc, self.proj = (noise(mlp, d), noise(mlp)), (noise(d, mlp), noise(d))
        self.norms = [(torch.ones(d), torch.zeros(d)) for _ in range(2)]

    def __call__(self, x):
        b, length, d = x.shape
        h = F.layer_norm(x, (d,), *self.norms[0])
        q, k, v = (t.view(b, length, self.heads, -1).transpose(1, 2) for t in F.linear(h, *self.qkv).chunk(3, -1))
        h = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + F.linear(h.transpose(1, 2).reshape(b, length, d), *self.out)
        u = F.linear(F.layer_norm(x, (d,), *self.norms[1]), *self.fc)
        return x + F.linear(u * torch.sigmoid(1.702 * u), *self.proj)


vision = [Block(d_v, arch["visionMlp"], arch["visionHeads"], False) for _ in range(arch["visionLayers"])]
text = [Block(d_t, arch["textMlp"], arch["textHeads"], True) for _ in range(arch["textLayers"])]
conv, cls, position = noise(d_v, 3, arch["patch"], arch["patch"]), noise(1, 1, d_v), noise(1, grid * grid + 1, d_v)
pre, post, final = [(torch.ones(d), torch.zeros(d)) for d in (d_v, d_v, d_t)]
to_joint_v, to_joint_t = noise(d_v, arch["embed"]), noise(d_t, arch["embed"])
positions = noise(arch["context"], d_t)
layers = max(len(vision), len(text))

context = max(len(row) for row in ids) if settings.get("truncate") else arch["context"]
end = torch.tensor([len(row) - 1 for row in ids])
words = noise(len(ids), context, d_t)

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
    count = len(ids)
    x = torch.cat([words[:, :1], texts[0].expand(count, -1, -1), words[:, 1 + n:]], 1) + positions[:context]
    for l, block in enumerate(text):
        if l:
            x = torch.cat([x[:, :1], texts[l].expand(count, -1, -1), x[:, 1 + n:]], 1)
        x = block(x)
    t = F.layer_norm(x, (d_t,), *final)[torch.arange(count), end] @ to_joint_t
    b = pixels.shape[0]
    x = F.conv2d(pixels, conv, stride=arch["patch"]).flatten(2).transpose(1, 2)
    x = torch.cat([cls.expand(b, -1, -1), x], 1) + position
    x = F.layer_norm(torch.cat([x, visual[0].expand(b, -1, -1)], 1), (d_v,), *pre)
    for l, block in enumerate(vision):
        if l:
            x = torch.cat([x[:, :-n], visual[l].expand(b, -1, -1)], 1)
        x = block(x)
    return F.layer_norm(x[:, 0], (d_v,), *post) @ to_joint_v, t


def step(pixels, labels):
    v, t = features(pixels)
    logits = 100 * F.normalize(v, dim=-1) @ F.normalize(t, dim=-1).T
    loss = F.cross_entropy(logits, labels)
    if not torch.isfinite(loss):
        raise FloatingPointError("the loss is not finite")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


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


def say(**message):
    print(json.dumps(message), flush=True)


pixels, labels = torch.randn(batch, 3, arch["image"], arch["image"]), torch.arange(batch) % len(ids)
once = run if "data" in settings else lambda: step(pixels, labels)
if "data" not in settings:
    once()
say(ready=True)
for line in sys.stdin:
    if line.strip() != "go":
        break
    start = time.perf_counter()
    once()
    say(ms=(time.perf_counter() - start) * 1000)
say(peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
