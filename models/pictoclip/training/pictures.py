"""Rendered pictures in memory, and random training views of them (all in torch, a batch at a time)."""
import json
import math
import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import captions

UNFLIPPED = {"arrow", "av-symbol", "punctuation", "math", "alphanum", "keycap", "currency", "transport-sign", "zodiac",
             "hand-single-finger", "other-symbol", "warning", "time"}
COLOUR_NAMES = list(captions.COLOURS)
COLOUR_TABLE = torch.tensor([captions.COLOURS[c] for c in COLOUR_NAMES], dtype=torch.float32) / 255
GREY = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


class Pictures:
    """Pictures of one role ("train" or "held_out"); blank ones and near-copies within a set are left out."""

    def __init__(self, concepts, render, role, sets=None):
        entries = json.loads(Path(concepts).read_text(encoding="utf-8"))
        self.entries, self.colour, self.place = [], {}, []
        for name in dict.fromkeys(e["set"] for e in entries if e["role"] == role):
            if sets and name not in sets:
                continue
            mine = [e for e in entries if e["set"] == name]
            info = json.loads((Path(render) / f"{name}.json").read_text())
            assert info["icons"] == [e["icon"] for e in mine], f"{name}: render.mjs must be run again"
            s, ch = info["size"], info["channels"]
            data = np.fromfile(Path(render) / f"{name}.bin", np.uint8).reshape(len(mine), s, s, ch)
            data = torch.from_numpy(np.ascontiguousarray(data.transpose(0, 3, 1, 2)))
            self.colour[name] = data
            thumbs = F.avg_pool2d(data.float(), s // 8).flatten(1)
            seen = set()
            for i, e in enumerate(mine):
                key = (e["label"], tuple((thumbs[i] / 6).round().int().tolist()))
                if float(thumbs[i].max()) < 16 or key in seen:
                    continue
                seen.add(key)
                sided = re.search(r"\b(left|right|clock|letter|sign|text)\b", e["label"])
                e["flip"] = e["group"] not in UNFLIPPED and not sided
                self.entries.append(e)
                self.place.append((name, i))

    def __len__(self):
        return len(self.entries)

    def rgba(self, index):
        """(channels, S, S) uint8, colours multiplied by alpha; one channel means alpha only"""
        name, i = self.place[index]
        return self.colour[name][i]


def uniform(n, low, high, g):
    return torch.rand(n, generator=g) * (high - low) + low


def chance(n, p, g):
    return torch.rand(n, generator=g) < p


def outline(luma, alpha):
    """Where brightness or alpha changes within a few pixels: 1 on the line, 0 off it."""
    both = torch.cat([luma, alpha], 1)
    spread = F.max_pool2d(both, 3, 1, 1) + F.max_pool2d(-both, 3, 1, 1)
    return F.avg_pool2d((spread.amax(1, keepdim=True) * 2.5).clamp(0, 1), 3, 1, 1).mul(1.4).clamp(0, 1)


def views(pictures, index, size, g, strength=1.0):
    """Random views of pictures[index]: (B, 3, size, size) in 0..1, and what was done, for the captions.

    strength 0 gives near-upright pictures on plain ground, 1 everything below in full.
    """
    B = len(index)
    first = pictures.rgba(index[0])
    S = first.shape[-1]
    raw = torch.zeros(B, 4, S, S, dtype=torch.uint8)
    single = torch.zeros(B, dtype=torch.bool)
    for b, i in enumerate(index):
        x = pictures.rgba(i)
        single[b] = len(x) == 1
        raw[b, 4 - len(x):] = x
    layers = raw.float().mul_(1 / 255)

    # Colour pictures turn grey, negative or into a bare outline now and then, for styles not in the training sets.
    style = torch.rand(B, generator=g) / max(strength, 0.01)
    style[single] = 1
    shares = ((0, .08), (.08, .12), (.12, .15), (.15, .22), (.22, .34))
    grey, hard, dark, lines, inked = (((low <= style) & (style < high)) for low, high in shares)
    changed = style < 0.34
    luma = torch.zeros(B, 1, S, S)
    luma[changed] = (layers[changed, :3] * GREY).sum(1, keepdim=True)
    layers[grey, :3] = luma[grey]
    if hard.any():                                          # two tones
        alpha = layers[hard, 3:]
        cut = uniform(len(alpha), 0.35, 0.65, g).view(-1, 1, 1, 1)
        layers[hard, :3] = ((luma[hard] > cut * alpha).float() * alpha).expand(-1, 3, -1, -1)
    layers[dark, :3] = layers[dark, 3:] - layers[dark, :3]  # negative
    if lines.any():                                         # outline only
        layers[lines, 3:] = outline(luma[lines], layers[lines, 3:])
        layers[lines, :3] = 0
    if inked.any():                                         # flatter colours under a dark outline
        ink = outline(luma[inked], layers[inked, 3:])
        steps = torch.tensor([2.0, 3.0, 5.0])[torch.randint(3, (len(ink),), generator=g)].view(-1, 1, 1, 1)
        layers[inked, :3] = (layers[inked, :3] * steps).round() / steps * (1 - ink)
        layers[inked, 3:] = torch.maximum(layers[inked, 3:], ink)
    flat = single | lines

    # Background: white, a named colour, a gradient of two, or soft noise.
    pick = torch.randint(len(COLOUR_NAMES), (B,), generator=g)
    other = torch.randint(len(COLOUR_NAMES), (B,), generator=g)
    kind = torch.rand(B, generator=g) * (0.55 + 0.45 * strength)
    pick[kind < 0.22] = 0                                   # COLOUR_NAMES[0] is white
    base = COLOUR_TABLE[pick]
    base = (base + 0.06 * torch.randn(B, 3, generator=g)).clamp(0, 1)
    ground = base.view(B, 3, 1, 1).expand(-1, -1, size, size).clone()
    ramp = (kind >= 0.55) & (kind < 0.78)
    cloud = kind >= 0.78
    if ramp.any():
        n = int(ramp.sum())
        angle = uniform(n, 0, 2 * math.pi, g).view(n, 1, 1)
        line = torch.linspace(-1, 1, size)
        t = (angle.cos() * line.view(1, 1, -1) + angle.sin() * line.view(1, -1, 1)).mul(0.4).add(0.5).clamp(0, 1)
        ground[ramp] += t[:, None] * (COLOUR_TABLE[other[ramp]] - base[ramp]).view(n, 3, 1, 1)
    if cloud.any():
        n = int(cloud.sum())
        coarse = torch.rand(n, 3, 5, 5, generator=g) - 0.5
        soft = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
        ground[cloud] += soft * uniform(n, 0.3, 1.2, g).view(n, 1, 1, 1)
    ground = ground.clamp(0, 1)

    # Ink of one-colour pictures: any named colour that stands out from the background.
    ink_pick = torch.randint(len(COLOUR_NAMES), (B,), generator=g)
    ink_pick[chance(B, 0.4, g)] = 1                         # black
    weight = GREY.view(1, 3)
    contrast = ((COLOUR_TABLE[ink_pick] - ground.mean((2, 3))) * weight).sum(1).abs()
    light = (ground.mean((2, 3)) * weight).sum(1) > 0.5
    ink_pick = torch.where(contrast < 0.3, torch.where(light, 1, 0), ink_pick)
    ink = COLOUR_TABLE[ink_pick].view(B, 3, 1, 1)
    layers[flat, :3] = ink[flat] * layers[flat, 3:]

    # Place: scale, shift, turn, shear, mirror. A picture of scale 1 fills the view.
    scale = torch.exp(uniform(B, math.log(0.88 - 0.26 * strength), math.log(1.08 + 0.27 * strength), g))
    stretch = torch.exp(uniform(B, -0.18 * strength, 0.18 * strength, g))
    turn = torch.where(chance(B, 0.55, g), uniform(B, -0.42, 0.42, g), torch.zeros(B)) * strength
    shear = torch.where(chance(B, 0.25, g), uniform(B, -0.25, 0.25, g), torch.zeros(B)) * strength
    room = ((1 - scale).abs() + 0.12) * (0.4 + 0.6 * strength)
    dx, dy = (uniform(B, -1, 1, g) * room for _ in range(2))
    mirror = torch.where(chance(B, 0.5, g) & torch.tensor([pictures.entries[i]["flip"] for i in index]), -1.0, 1.0)
    cos, sin = turn.cos(), turn.sin()
    a, b_ = mirror * cos / (scale * stretch), mirror * (sin + shear) / scale
    c, d = -sin / scale, cos * stretch / scale
    theta = torch.stack([torch.stack([a, b_, -(a * dx + b_ * dy)], 1), torch.stack([c, d, -(c * dx + d * dy)], 1)], 1)
    grid = F.affine_grid(theta, [B, 4, size, size], align_corners=False)
    drawn = F.grid_sample(layers, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    x = torch.addcmul(ground + drawn[:, :3], drawn[:, 3:], ground, value=-1)

    # A patch laid over a part of the view.
    for b in chance(B, 0.2 * strength, g).nonzero().flatten().tolist():
        w, h = (int(v) for v in torch.randint(size // 8, int(size * 0.42), (2,), generator=g))
        left = int(torch.randint(0, size - w + 1, (1,), generator=g))
        top = int(torch.randint(0, size - h + 1, (1,), generator=g))
        colour = COLOUR_TABLE[int(torch.randint(len(COLOUR_NAMES), (1,), generator=g))]
        x[b, :, top:top + h, left:left + w] = colour.view(3, 1, 1)

    # Colour, blur, pixels, noise.
    jitter = chance(B, 0.6 * strength, g)
    n = int(jitter.sum())
    part = x[jitter]
    level = (part * GREY).sum(1, keepdim=True)
    part = torch.lerp(level.expand_as(part), part, uniform(n, 0.4, 1.5, g).view(n, 1, 1, 1))
    gain = uniform(n, 0.65, 1.3, g).view(n, 1, 1, 1)
    x[jitter] = part.mul_(gain).add_(0.5 - 0.5 * gain + uniform(n, -0.12, 0.12, g).view(n, 1, 1, 1))
    grey_all = chance(B, 0.06 * strength, g)
    x[grey_all] = (x[grey_all] * GREY).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    mood = torch.rand(B, generator=g) / max(strength, 0.01)
    blur, pixel = mood < 0.12, (mood >= 0.12) & (mood < 0.18)
    if blur.any():
        x[blur] = F.avg_pool2d(F.avg_pool2d(F.pad(x[blur], (2, 2, 2, 2), "replicate"), 3, 1), 3, 1)
    if pixel.any():
        x[pixel] = F.interpolate(F.avg_pool2d(x[pixel], 3, 3, ceil_mode=True), size=size, mode="nearest")
    noisy = chance(B, 0.25 * strength, g)
    if noisy.any():
        n = int(noisy.sum())
        x[noisy] += torch.randn(n, 3, size, size, generator=g) * uniform(n, 0.01, 0.10, g).view(n, 1, 1, 1)
    done = dict(ground=[COLOUR_NAMES[p] if k < 0.55 else None for p, k in zip(pick.tolist(), kind.tolist())],
                ink=[COLOUR_NAMES[p] if f else None for p, f in zip(ink_pick.tolist(), flat.tolist())],
                gray=(grey | grey_all).tolist(), blur=blur.tolist(), pixel=pixel.tolist(), line=lines.tolist())
    return x.clamp(0, 1), done
