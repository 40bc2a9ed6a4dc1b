"""CLIP's towers in PyTorch with weights of noise, which change no speed, and how a peer talks with ../turns.js."""
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F


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


def as_it_is(layer, x):
    return x


class Towers:
    """`enter(layer, rows)` gives what a layer reads instead of the rows that reach it."""

    def __init__(self, arch, ids, context):
        d_v, d_t = self.d_v, self.d_t = arch["visionWidth"], arch["textWidth"]
        grid = arch["image"] // arch["patch"]
        self.patch, self.context = arch["patch"], context
        self.vision = [Block(d_v, arch["visionMlp"], arch["visionHeads"], False) for _ in range(arch["visionLayers"])]
        self.language = [Block(d_t, arch["textMlp"], arch["textHeads"], True) for _ in range(arch["textLayers"])]
        self.conv, self.cls = noise(d_v, 3, self.patch, self.patch), noise(1, 1, d_v)
        self.position, self.positions = noise(1, grid * grid + 1, d_v), noise(arch["context"], d_t)
        self.pre, self.post, self.final = [(torch.ones(d), torch.zeros(d)) for d in (d_v, d_v, d_t)]
        self.to_joint_v, self.to_joint_t = noise(d_v, arch["embed"]), noise(d_t, arch["embed"])
        self.words, self.end = noise(len(ids), context, d_t), torch.tensor([len(row) - 1 for row in ids])

    def text(self, words, enter=as_it_is, inserted=0):
        """inserted: rows more in front of each end of text"""
        x = words + self.positions[:self.context]
        for layer, block in enumerate(self.language):
            x = block(enter(layer, x))
        x = F.layer_norm(x, (self.d_t,), *self.final)
        return x[torch.arange(len(x)), self.end + inserted] @ self.to_joint_t

    def image_rows(self, pixels, prompts=None, enter=as_it_is):
        """What leaves the last block; prompts: behind the patches, before the first LayerNorm."""
        b = pixels.shape[0]
        x = F.conv2d(pixels, self.conv, stride=self.patch).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(b, -1, -1), x], 1) + self.position
        if prompts is not None:
            x = torch.cat([x, prompts.expand(b, -1, -1)], 1)
        x = F.layer_norm(x, (self.d_v,), *self.pre)
        for layer, block in enumerate(self.vision):
            x = block(enter(layer, x))
        return x

    def image(self, pixels, prompts=None, enter=as_it_is):
        return self.read(self.image_rows(pixels, prompts, enter)[:, 0]) @ self.to_joint_v

    def read(self, rows):
        return F.layer_norm(rows, (self.d_v,), *self.post)


def last_rows(prompts):
    """What enters layers of the image tower: each layer's prompts behind the patches."""
    def enter(layer, x):
        if not 0 < layer < len(prompts):
            return x
        return torch.cat([x[:, :-prompts[layer].shape[0]], prompts[layer].expand(len(x), -1, -1)], 1)
    return enter


def first_rows(prompts):
    """What enters layers of the text tower: each layer's prompts behind start of text."""
    def enter(layer, x):
        if not 0 < layer < len(prompts):
            return x
        return torch.cat([x[:, :1], prompts[layer].expand(len(x), -1, -1), x[:, 1 + prompts[layer].shape[0]:]], 1)
    return enter


def with_context(words, context):
    return torch.cat([words[:, :1], context.expand(len(words), -1, -1), words[:, 1 + context.shape[0]:]], 1)


def minimize(optimizer, loss):
    if not torch.isfinite(loss):
        raise FloatingPointError("the loss is not finite")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def serve(once, warm=1):
    """Does `once` whenever it is told to, and says how long that took."""
    def say(**message):
        print(json.dumps(message), flush=True)

    for _ in range(warm):
        once()
    say(ready=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        start = time.perf_counter()
        once()
        say(ms=(time.perf_counter() - start) * 1000)
    say(peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
