"""A training step of a method that came after MuDPT, in PyTorch as its authors' code computes it: python3 later.py
SETTINGS (JSON), told to by run.js.

Read in muzairkhattak/multimodal-prompt-learning (MaPLe), muzairkhattak/PromptSRC and yunncheng/MMRL (MMRL++), in f32.
All sentences go through the text tower with all 77 positions, the whole batch through the image tower, and once more
without prompts and gradients where a loss has the frozen model's features; the frozen model's of the classes are there
before the first step. Weights are noise, which changes no speed.
"""
import json
import sys

import torch
import torch.nn.functional as F

from towers import Towers, first_rows, last_rows, minimize, noise, serve, with_context

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings.get("threads", 2))
torch.manual_seed(1)
arch, ids, batch = settings["arch"], settings["ids"], settings["batch"]
n, depth = settings["promptLength"], settings["depth"]
towers = Towers(arch, ids, arch["context"])
d_v, d_t, embed = towers.d_v, towers.d_t, arch["embed"]
unit = lambda x: x / x.norm(dim=-1, keepdim=True)
teacher = unit(noise(len(ids), embed))


def frozen(pixels):
    with torch.no_grad():
        return unit(towers.image(pixels))


class MaPLe:
    def __init__(self):
        self.text = [noise(n, d_t) for _ in range(depth)]
        self.linear = [(noise(d_v, d_t), noise(d_v)) for _ in range(depth)]
        self.trained = [*self.text, *(p for pair in self.linear for p in pair)]

    def loss(self, pixels, labels):
        visual = [F.linear(t, *pair) for t, pair in zip(self.text, self.linear)]
        text = unit(towers.text(with_context(towers.words, self.text[0]), first_rows(self.text)))
        image = unit(towers.image(pixels, visual[0], last_rows(visual)))
        return F.cross_entropy(100 * image @ text.T, labels)


class PromptSRC:
    def __init__(self):
        self.text, self.visual = [noise(n, d_t) for _ in range(depth)], [noise(n, d_v) for _ in range(depth)]
        self.trained = [*self.text, *self.visual]

    def loss(self, pixels, labels):
        text = unit(towers.text(with_context(towers.words, self.text[0]), first_rows(self.text)))
        image = unit(towers.image(pixels, self.visual[0], last_rows(self.visual)))
        logits, before = 100 * image @ text.T, frozen(pixels)
        held = settings["textWeight"] * F.l1_loss(text, teacher) + settings["imageWeight"] * F.l1_loss(image, before)
        mine, theirs = logits.log_softmax(1), (100 * before @ teacher.T).log_softmax(1)
        divergence = F.kl_div(mine, theirs, reduction="sum", log_target=True) / logits.numel()
        return F.cross_entropy(logits, labels) + held + divergence


class MMRLpp:
    def __init__(self):
        space, rank, wide = settings["space"], settings["rank"], settings["projectionRank"]
        self.tokens, self.first = noise(n, space), settings["fromLayer"] - 1
        self.maps = {d: (noise(d, space), [(noise(d, rank), noise(rank, space), noise(d)) for _ in range(depth)])
                     for d in (d_t, d_v)}
        self.second = noise(d_v, wide), noise(wide, embed)
        self.trained = [self.tokens, *self.second]
        for shared, own in self.maps.values():
            self.trained += [shared, *(p for three in own for p in three)]

    def rows(self, d):
        """What enters the upper layers of a tower: inserted in the first of them, mixed with what is there later."""
        shared, own = self.maps[d]
        rows, kept = [F.linear(self.tokens, shared + a @ b, bias) for a, b, bias in own], 1 - settings["beta"]

        def enter(layer, x):
            i = layer - self.first
            if i < 0:
                return x
            new = rows[i].expand(len(x), -1, -1)
            if not i:
                return torch.cat([x[:, :1], new, x[:, 1:]], 1)
            return torch.cat([x[:, :1], settings["beta"] * new + kept * x[:, 1:1 + n], x[:, 1 + n:]], 1)
        return enter

    def loss(self, pixels, labels):
        before = frozen(pixels)
        text = unit(towers.text(towers.words, self.rows(d_t), n))
        rows = towers.image_rows(pixels, enter=self.rows(d_v))
        image, a = unit(towers.read(rows[:, 0]) @ towers.to_joint_v), settings["alpha"]
        second = towers.to_joint_v + self.second[0] @ self.second[1]
        other = unit((towers.read(rows[:, 1:1 + n]) @ second).mean(1))
        named = [F.cross_entropy(100 * x @ text.T, labels) for x in (image, other)]
        held = settings["imageWeight"] * (1 - F.cosine_similarity(image, before).mean())
        held = held + settings["textWeight"] * (1 - F.cosine_similarity(text, teacher).mean())
        return a * named[0] + (1 - a) * named[1] + held


method = {"maple": MaPLe, "promptsrc": PromptSRC, "mmrlpp": MMRLpp}[settings["method"]]()
for p in method.trained:
    p.requires_grad_(True)
rate, decay = settings["learningRate"], 5e-4
if settings["method"] == "mmrlpp":
    optimizer = torch.optim.AdamW(method.trained, lr=rate, weight_decay=decay)
else:
    optimizer = torch.optim.SGD(method.trained, lr=rate, momentum=0.9, weight_decay=decay)
pixels, labels = torch.randn(batch, 3, arch["image"], arch["image"]), torch.arange(batch) % len(ids)
serve(lambda: minimize(optimizer, method.loss(pixels, labels)))
