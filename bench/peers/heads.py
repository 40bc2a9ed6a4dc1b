"""Heads of papers on cached features in PyTorch, as ./run bench heads asks for them.

    python heads.py < facts and features > {"HEAD": test accuracy, ...}

A line of JSON, then f32 in the machine's order: class features [classes, e], the projection [d, e], features of the
pictures that are learned from [pictures, e] and before the projection [pictures, d], the same two of the test pictures.
One view of each picture, one template. Sources, defaults and what was found in the authors' code: docs/methods.md.
"""

import json
import math
import sys

import numpy
import torch
from torch.nn.functional import cross_entropy, normalize, one_hot

torch.set_num_threads(2)
facts = json.loads(sys.stdin.buffer.readline())
values = torch.from_numpy(numpy.frombuffer(sys.stdin.buffer.read(), numpy.float32).copy())
torch.manual_seed(facts["seed"])
classes, pictures, scale = facts["classes"], facts["pictures"], facts["scale"]
e, d = facts["width"], facts["unprojected"]
answers = torch.tensor(facts["answers"])
y = torch.tensor(facts["labels"])
at = 0


def take(rows, columns):
    global at
    at += rows * columns
    return values[at - rows * columns : at].view(rows, columns)


texts, projection = take(classes, e), take(d, e)
support, before = take(pictures, e), take(pictures, d)
query, query_before = take(len(answers), e), take(len(answers), d)
t, x, q = normalize(texts), normalize(support), normalize(query)
hot = one_hot(y, classes).float()


def batches(rows, size, epochs):
    for epoch in range(epochs):
        for index in torch.randperm(rows).split(size):
            yield epoch, index


def cosine(step, steps):
    return (1 + math.cos(math.pi * step / steps)) / 2


def sstext(settings, plus=False):
    counts = hot.sum(0)
    ridge = (1 / counts).clamp(min=1e-3) if plus else torch.full((classes,), max(1 / pictures, 1e-3))
    w = scale * (hot.T @ x) / (pictures * ridge)[:, None] + t
    if plus:
        w = w - normalize(2 * w - w.mean(0))
    return q @ normalize(w).T


def gda(settings):
    means = hot.T @ x / hot.sum(0)[:, None]
    rest = (x - means[y]).double()
    scatter = rest.T @ rest
    inverse = e * torch.linalg.inv(scatter + scatter.trace() / (pictures - 1) * torch.eye(e))
    w = means.double() @ inverse
    b = -(w * means).sum(1) / 2
    return scale * q @ t.T + settings["alpha"] * (q.double() @ w.T + b)


def keys(rows, cache, settings):
    return scale * rows @ t.T + settings["alpha"] * torch.exp(-settings["beta"] * (1 - rows @ cache.T)) @ hot


def tip(settings):
    return keys(q, x, settings)


def tip_f(settings):
    cache = x.clone().requires_grad_()
    optimizer = torch.optim.AdamW([cache], lr=settings["rate"], eps=1e-4, weight_decay=0.01)
    steps = settings["epochs"] * math.ceil(pictures / settings["batch"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _, index in batches(pictures, settings["batch"], settings["epochs"]):
        optimizer.zero_grad()
        cross_entropy(keys(x[index], cache, settings), y[index]).backward()
        optimizer.step()
        schedule.step()
    return keys(q, cache.detach(), settings)


def lp(settings):
    own = (hot * (x @ t.T)).sum(0) / hot.sum(0)
    w, b = (hot.T @ x).requires_grad_(), ((2 * torch.rand(classes) - 1) / math.sqrt(e)).requires_grad_()
    alpha = torch.full((classes,), 250 * own.mean().item(), requires_grad=True)
    rate = 4 * pictures / torch.linalg.eigvalsh(x.T @ x)[-1].item()
    rate_of_alpha = pictures / (4 * ((x @ t.T) ** 2).sum(0).max().item())
    optimizer = torch.optim.SGD([w, b], lr=rate, momentum=0.9)
    for step in range(settings["epochs"]):
        optimizer.zero_grad()
        cross_entropy(x @ w.T + b + alpha * (x @ t.T), y).backward()
        optimizer.step()
        # As the authors' code has it the gradient of alpha is never cleared, and so the sum of all is applied.
        if step % 10 == 9:
            with torch.no_grad():
                alpha -= rate_of_alpha * alpha.grad
    return (q @ w.T + b + alpha * (q @ t.T)).detach()


def clap(settings):
    start = texts if settings["raw"] else t
    logits = scale * x @ t.T
    strength = (hot * logits.softmax(1)).sum(0) / hot.sum(0)
    w = start.clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=1, momentum=0.9)
    for epoch, index in batches(pictures, settings["batch"], settings["epochs"]):
        rate = settings["rate"] * cosine(epoch - 1, settings["epochs"]) if epoch else 1e-5
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = cross_entropy(scale * x[index] @ normalize(w).T, y[index])
        (loss + (strength * ((w - start) ** 2).sum(1)).mean()).backward()
        optimizer.step()
    return (q @ normalize(w).T).detach()


def prolip(settings):
    w = projection.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=settings["rate"], eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["epochs"])
    for _ in range(settings["epochs"]):
        optimizer.zero_grad()
        loss = cross_entropy(scale * normalize(before @ w) @ t.T, y)
        (loss + settings["lambda"] * ((w - projection) ** 2).sum()).backward()
        optimizer.step()
        schedule.step()
    return normalize(query_before @ w.detach()) @ t.T


HEADS = {
    "sstext": sstext,
    "sstext+": lambda settings: sstext(settings, True),
    "gda": gda,
    "tip": tip,
    "tip-f": tip_f,
    "lp++": lp,
    "clap": clap,
    "prolip": prolip,
}
accuracies = {}
for name, settings in facts["settings"].items():
    accuracies[name] = (HEADS[name](settings).argmax(1) == answers).float().mean().item()
print(json.dumps(accuracies))
