#!/usr/bin/env python3
"""Records a whole training run so that another implementation can replay it: which pictures, which crops, which mirror
images, in which order, from which start; and the loss of every step, the tuned tensors and every test prediction.

Usage: record.py --data TASK --method mudpt --epochs 5 --out GOLDEN/replay/NAME [--once]
Methods are those of tune.py, and promptsrc and mmrlpp. A TASK is a folder with a split.json. Its place and the model's
are written relative to the folder that holds GOLDEN.
The run is computed in float64; two more measure what float32 and another picture decoder change. --once leaves these
out and computes in float32: for comparisons of whole tasks, not for golden files.
"""
import argparse
import json
import os
import random
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from tune import HERE, PHRASE, Model, crop_size, few, load_reference, test_view, to_tensor


def crop_box(w, h, rng, smallest=0.08):
    """RandomResizedCrop's box and a coin for mirroring: (top, left, height, width, flip)."""
    cw, ch = crop_size(w, h, rng, smallest)
    return [rng.randint(0, h - ch), rng.randint(0, w - cw), ch, cw, int(rng.random() < 0.5)]


def view(img, box, size):
    """Cut the box out, then resize, then mirror."""
    top, left, height, width, flip = box
    out = img.crop((left, top, left + width, top + height)).resize((size, size), Image.BICUBIC)
    return to_tensor(out.transpose(Image.FLIP_LEFT_RIGHT) if flip else out)


def plan(shots, epochs, batch, rng, images):
    steps = []
    for epoch in range(epochs):
        order = rng.sample(range(len(shots)), len(shots))
        for i in range(0, len(order) - batch + 1, batch):
            rows = [shots[j] for j in order[i:i + batch]]
            steps.append(
                {
                    "epoch": epoch,
                    "images": [[p, *crop_box(*images[p].size, rng)] for p, _ in rows],
                    "labels": [l for _, l in rows],
                }
            )
    return steps


class Earlier:
    """A method of reference.py."""

    optimizer = "sgd"

    def __init__(self, model, method):
        self.ref, self.model, self.case = model.ref, model, model.case(method, 4)
        self.forward = model.ref.forward

    def inputs(self, names, template):
        return self.model.inputs(self.case, names, template)

    def start(self, seed, phrase, classes):
        return self.ref.initial_parameters(self.case, self.model.arch, seed, self.model.clip, phrase, classes)

    def begin(self, params):
        self.velocity = {k: torch.zeros_like(v) for k, v in params.items()}

    def shares(self, epochs):
        """Of what each epoch ends with, where the run's end is an average of that; or None."""

    def step(self, clip, params, inputs, pixels, labels, rate):
        loss, grads, _ = self.ref.loss_and_gradients(clip, self.case, params, inputs, pixels, labels)
        self.ref.sgd_step(params, grads, self.velocity, rate)
        return loss


class Later(Earlier):
    """A method of later.py, which lies beside reference.py, in sizes of the small model."""

    CASES = {
        "promptsrc": {"n_text": 4, "n_visual": 4, "depth_text": 3, "depth_visual": 3, "text_weight": 25.0,
                      "image_weight": 10.0, "average_mean": 4.0, "average_std": 1.0},
        "mmrlpp": {"n": 5, "layers": [3, 4], "space": 64, "rank": 4, "proj_rank": 16, "beta": 0.9, "alpha": 0.7,
                   "scale": "model"},
    }
    TEMPLATES = {
        "promptsrc": ["a photo of a {}.", "a drawing of the {}.", "an icon of {}."],
        "mmrlpp": [PHRASE + " {}."],
    }

    def __init__(self, model, method, beside):
        self.model, self.case = model, self.CASES[method] | {"phrase": PHRASE, "method": method, "name": method}
        # It imports the reference: the one that tune.py has exchanged parts of.
        sys.modules["reference"] = model.ref
        sys.path.insert(0, str(beside))
        import later

        self.later, self.forward, self.optimizer = later, later.forward, later.OPTIMIZERS[method]

    def inputs(self, names, template):
        clip, inputs = super().inputs(names, template)
        rows = lambda t: self.model.ref.token_rows(self.model.tok, [t.format(n) for n in names], self.model.context)[0]
        inputs["teacher_ids"] = torch.stack([rows(t) for t in self.TEMPLATES[self.case["method"]]])
        inputs["teacher"] = self.later.teacher_of(self.model.clip, inputs["teacher_ids"])
        return clip, inputs

    def start(self, seed, phrase, classes):
        return self.later.initial_parameters(self.case, self.model.arch, seed, self.model.clip, phrase, zero=0)

    def begin(self, params):
        self.state = {}

    def step(self, clip, params, inputs, pixels, labels, rate):
        loss, grads, _ = self.later.loss_and_gradients(clip, self.case, params, inputs, pixels, labels)
        self.later.optimizer_step(self.case["method"], params, grads, self.state, rate)
        return loss

    def shares(self, epochs):
        if self.case["method"] != "promptsrc":
            return None
        return self.later.epoch_weights(epochs, self.case["average_mean"], self.case["average_std"])


def run(model, method, clip, inputs, steps, images, start, rates, shares, kind, noise=0.0):
    """Losses and final tensors; kind is the float type; noise adds that many 8-bit units (another picture decoder)."""
    g = torch.Generator().manual_seed(0)
    typed = lambda v: v.to(kind) if torch.is_tensor(v) and v.is_floating_point() else v
    clip, inputs = ({k: typed(v) for k, v in tensors.items()} for tensors in (clip, inputs))
    params = {k: v.to(kind).clone() for k, v in start.items()}
    average = {k: torch.zeros_like(v) for k, v in params.items()}
    method.begin(params)
    losses = []
    for s, after in zip(steps, [*steps[1:], {"epoch": None}]):
        x = torch.stack([view(images[p], box, model.size) for p, *box in s["images"]])
        if noise:
            x = x + noise / 255 / 0.27 * torch.randn(x.shape, generator=g)
        labels, epoch = torch.tensor(s["labels"]), s["epoch"]
        losses.append(float(method.step(clip, params, inputs, x.to(kind), labels, rates[epoch])))
        if shares and after["epoch"] != epoch:
            average = {k: v + shares[epoch] * params[k] for k, v in average.items()}
    return losses, average if shares else params


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=HERE.parent)
    ap.add_argument("--reference", type=Path, default=HERE.parents[2] / "tests" / "reference" / "reference.py")
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--method", default="mudpt")
    ap.add_argument("--shots", type=int, default=16)
    ap.add_argument("--epochs", type=int, default=5)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--lr", type=float, default=2.5e-3)
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--once", action="store_true")
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    model = Model(args.model, load_reference(args.reference))
    ref, split = model.ref, json.loads((args.data / "split.json").read_text())
    is_later = args.method in Later.CASES
    method = Later(model, args.method, args.reference.parent) if is_later else Earlier(model, args.method)
    case, shares = method.case, method.shares(args.epochs)
    clip, inputs = method.inputs(split["classes"], split["template"])
    shots = few(args.data, args.shots, args.seed)
    images = {p: Image.open(args.data / p).convert("RGB") for p, _ in shots}
    phrase = ref.encode(model.tok, PHRASE)
    start = method.start(args.seed, phrase, len(inputs["eot"]))
    steps = plan(shots, args.epochs, args.batch, random.Random(args.seed), images)
    rates = [ref.learning_rate(args.lr, args.epochs, e) for e in range(args.epochs)]

    repeat = lambda kind, **noise: run(
        model, method, clip, inputs, steps, images, start, rates, shares, kind, **noise
    )
    losses, final = repeat(torch.float32 if args.once else torch.float64)
    gap = lambda a, b: max(abs(x - y) for x, y in zip(a, b))
    difference = {}
    if not args.once:
        difference["float32"] = gap(losses, repeat(torch.float32)[0])
        difference["half a unit of noise on the pixels"] = gap(losses, repeat(torch.float32, noise=0.5)[0])
    test = torch.stack([test_view(Image.open(args.data / p).convert("RGB"), model.size) for p, _ in split["test"]])
    labels = torch.tensor([l for _, l in split["test"]])
    with torch.no_grad():
        logits = method.forward(clip, case, {k: v.float() for k, v in final.items()}, inputs, test)["logits"]
    guess = logits.argmax(1)
    for s, loss in zip(steps, losses):
        s["loss"] = round(loss, 7)
    args.out.mkdir(parents=True, exist_ok=True)
    tensors = {f"init.{k}": v.float() for k, v in start.items()} | {f"final.{k}": v.float() for k, v in final.items()}
    tensors["test_logits"] = logits
    if "teacher_ids" in inputs:
        tensors["teacher_ids"] = inputs["teacher_ids"].int()
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(args.out / "replay.safetensors"))
    first, second = logits.topk(2, 1).values.T
    place = lambda folder: Path(os.path.relpath(folder, args.out.resolve().parents[2])).as_posix()
    doc = {
        "model": place(args.model),
        "data": place(args.data),
        "method": args.method,
        "hyper_parameters": {k: v for k, v in case.items() if k not in ("name", "method")},
        "classes": split["classes"],
        "shots": args.shots,
        "batch": args.batch,
        "epochs": args.epochs,
        "base_learning_rate": args.lr,
        "learning_rate_per_epoch": rates,
        "optimizer": method.optimizer,
        **({"epoch_weights": shares} if shares else {}),
        "steps": steps,
        "test": [[p, l, int(i)] for (p, l), i in zip(split["test"], guess)],
        "test_accuracy": round(float((guess == labels).float().mean()), 6),
        "test_margin": {f"below_{m}": int((first - second < m).sum()) for m in (0.01, 0.1)},
        "loss_difference": difference,
    }
    (args.out / "replay.json").write_text(json.dumps(doc).replace('{"epoch"', '\n{"epoch"'))
    print(json.dumps({k: doc[k] for k in ("test_accuracy", "test_margin", "loss_difference")}), "steps", len(steps))


if __name__ == "__main__":
    main()
