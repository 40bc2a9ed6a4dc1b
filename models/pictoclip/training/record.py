#!/usr/bin/env python3
"""Records a whole training run so that another implementation can replay it: which pictures, which crops, which mirror
images, in which order, from which start; and the loss of every step, the tuned tensors and every test prediction.

Usage: record.py --data TASK --method mudpt --epochs 5 --out GOLDEN/replay/NAME [--once] [--base-to-new]
Methods are those of tune.py and of tests/reference/later.py, the latter in the product's settings but for what --set
changes (it must be built). A TASK is a folder with a split.json. Its place and the model's are written relative to the
folder that holds GOLDEN.
The run is computed in float64; two more measure what float32 and another picture decoder change. --once leaves these
out and computes in float32: for comparisons of whole tasks, not for golden files. With --base-to-new the first half of
the classes is trained on, and the other half is tested among its own names, too.
"""
import argparse
import json
import os
import random
import subprocess
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

    def __init__(self, model, method, n):
        self.ref, self.model, self.case = model.ref, model, model.case(method, n)
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
    """A method of later.py, which lies beside reference.py, as the product trains it but for what is set otherwise."""

    def __init__(self, model, method, beside, args):
        wanted = {"method": method, "epochs": args.epochs} | dict(args.set)
        command = ["node", str(HERE / "recipe.mjs"), str(args.model), json.dumps(wanted)]
        self.recipe = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
        self.templates = self.recipe["teacher"][:args.templates]
        self.model, self.case = model, sizes(method, self.recipe, model.layers) | {"method": method, "name": method}
        # It imports the reference: the one that tune.py has exchanged parts of.
        sys.modules["reference"] = model.ref
        sys.path.insert(0, str(beside))
        import later

        self.later, self.forward, self.optimizer = later, later.forward, later.OPTIMIZERS[method]

    def inputs(self, names, template):
        rows = lambda texts: self.model.ref.token_rows(self.model.tok, texts, self.model.context)
        ids, eot = rows(self.later.prompt_texts(self.case, names))
        length = int(eot.max()) + 1
        clip = dict(self.model.clip, positional_embedding=self.model.clip["positional_embedding"][:length])
        inputs = {"class_ids": ids[:, :length], "eot": eot}
        if self.case["method"] != "maple":
            of = lambda t: rows([t.format(n.replace("_", " ")) for n in names])[0]
            inputs["teacher_ids"] = torch.stack([of(t) for t in self.templates])
            inputs["teacher"] = self.later.teacher_of(self.model.clip, inputs["teacher_ids"])
        return clip, inputs

    def start(self, seed, phrase, classes):
        clip = self.model.clip
        return self.later.initial_parameters(self.case, self.model.arch, seed, clip, phrase, zero=0, clone=True)

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


def sizes(method, recipe, layers):
    """The product's settings by the reference's names."""
    n, depth, phrase = recipe["promptLength"], recipe.get("depth"), {"phrase": recipe["phrase"]}
    if method == "promptsrc":
        text, vision = (min(depth, count) for count in layers)
        held = {"text_weight": recipe["textWeight"], "image_weight": recipe["imageWeight"]}
        average = {"average_mean": recipe["averageMean"], "average_std": recipe["averageDeviation"]}
        return {"n_text": n, "n_visual": n, "depth_text": text, "depth_visual": vision} | phrase | held | average
    if method == "maple":
        return {"n": n, "depth": depth} | phrase
    if method == "kgcoop":
        return {"n": n, "text_weight": recipe["textWeight"]} | phrase
    if method == "tcp":
        return {"n": n, "layer": recipe["layer"], "text_weight": recipe["textWeight"]}
    first = recipe["fromLayer"]
    case = {"n": n, "layers": list(range(first, first + depth)), "space": recipe["space"], "alpha": recipe["alpha"]}
    case |= {"weight": recipe["textWeight"], "scale": "model"} | phrase
    if method == "mmrlpp":
        case |= {"beta": recipe["beta"], "rank": recipe["rank"], "proj_rank": recipe["projectionRank"]}
    return case


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


def cut(ids):
    """Token rows without what all of them have behind their ends."""
    return ids[..., :int(ids.argmax(-1).max()) + 1].int()


def predictions(method, params, names, template, data, rows, size):
    """Of test pictures among such classes; those that training has not seen are named by mmrl's first feature alone."""
    names, trained = names
    clip, inputs = method.inputs(names, template)
    pixels = torch.stack([test_view(Image.open(data / p).convert("RGB"), size) for p, _ in rows])
    with torch.no_grad():
        out = method.forward(clip, method.case, params, inputs, pixels)
    logits = out["logits" if trained else "logits_first"] if "logits_first" in out else out["logits"]
    guess, (first, second) = logits.argmax(1), logits.topk(2, 1).values.T
    right = guess == torch.tensor([l for _, l in rows])
    return logits, inputs.get("teacher_ids"), {
        "classes": names,
        "test": [[p, l, int(i)] for (p, l), i in zip(rows, guess)],
        "test_accuracy": round(float(right.float().mean()), 6),
        "test_margin": {f"below_{m}": int((first - second < m).sum()) for m in (0.01, 0.1)},
    }


def setting(text):
    name, value = text.split("=")
    return name, json.loads(value)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=HERE.parent)
    ap.add_argument("--reference", type=Path, default=HERE.parents[2] / "tests" / "reference" / "reference.py")
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--method", default="mudpt")
    ap.add_argument("--n", type=int, default=4, help="prompt tokens of tune.py's methods")
    ap.add_argument("--set", type=setting, nargs="+", default=[], metavar="NAME=VALUE", help="later.py's methods alone")
    ap.add_argument("--templates", type=int, help="that the frozen model reads, at most")
    ap.add_argument("--shots", type=int, default=16)
    ap.add_argument("--epochs", type=int, default=5)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--lr", type=float, help="2.5e-3; the product's for later.py's methods")
    ap.add_argument("--seed", type=int, default=7)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--once", action="store_true")
    ap.add_argument("--base-to-new", action="store_true")
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    model = Model(args.model, load_reference(args.reference))
    ref, split = model.ref, json.loads((args.data / "split.json").read_text())
    names, template = split["classes"], split["template"]
    base = (len(names) + 1) // 2 if args.base_to_new else len(names)
    is_later = args.method in ("maple", "promptsrc", "kgcoop", "tcp", "mmrl", "mmrlpp")
    method = Later(model, args.method, args.reference.parent, args) if is_later else Earlier(model, args.method, args.n)
    lr = args.lr or (method.recipe["learningRate"] if is_later else 2.5e-3)
    shares = method.shares(args.epochs)
    clip, inputs = method.inputs(names[:base], template)
    shots = [(p, l) for p, l in few(args.data, args.shots, args.seed) if l < base]
    images = {p: Image.open(args.data / p).convert("RGB") for p, _ in shots}
    phrase = ref.encode(model.tok, PHRASE)
    start = method.start(args.seed, phrase, base)
    steps = plan(shots, args.epochs, args.batch, random.Random(args.seed), images)
    rates = [ref.learning_rate(lr, args.epochs, e) for e in range(args.epochs)]

    repeat = lambda kind, **noise: run(
        model, method, clip, inputs, steps, images, start, rates, shares, kind, **noise
    )
    losses, final = repeat(torch.float32 if args.once else torch.float64)
    final = {k: v.float() for k, v in final.items()}
    gap = lambda a, b: max(abs(x - y) for x, y in zip(a, b))
    difference = {}
    if not args.once:
        difference["float32"] = gap(losses, repeat(torch.float32)[0])
        difference["half a unit of noise on the pixels"] = gap(losses, repeat(torch.float32, noise=0.5)[0])
    for s, loss in zip(steps, losses):
        s["loss"] = round(loss, 7)
    tested = lambda names, trained, rows: predictions(
        method, final, (names, trained), template, args.data, rows, model.size
    )
    logits, teacher_ids, test = tested(names[:base], True, [(p, l) for p, l in split["test"] if l < base])
    args.out.mkdir(parents=True, exist_ok=True)
    tensors = {f"init.{k}": v.float() for k, v in start.items()} | {f"final.{k}": v for k, v in final.items()}
    tensors["test_logits"] = logits
    if teacher_ids is not None:
        tensors["teacher_ids"] = cut(teacher_ids)
    if args.base_to_new:
        rows = [(p, l - base) for p, l in split["test"] if l >= base]
        _, teacher_ids, test["new"] = tested(names[base:], False, rows)
        if teacher_ids is not None:
            tensors["new.teacher_ids"] = cut(teacher_ids)
    save_file({k: v.contiguous() for k, v in tensors.items()}, str(args.out / "replay.safetensors"))
    place = lambda folder: Path(os.path.relpath(folder, args.out.resolve().parents[2])).as_posix()
    doc = {
        "model": place(args.model),
        "data": place(args.data),
        "method": args.method,
        "hyper_parameters": {k: v for k, v in method.case.items() if k not in ("name", "method")},
        "classes": test.pop("classes"),
        "shots": args.shots,
        "batch": args.batch,
        "epochs": args.epochs,
        "base_learning_rate": lr,
        "learning_rate_per_epoch": rates,
        "optimizer": method.optimizer,
        **({"epoch_weights": shares} if shares else {}),
        "steps": steps,
        **test,
        "loss_difference": difference,
    }
    (args.out / "replay.json").write_text(json.dumps(doc).replace('{"epoch"', '\n{"epoch"'))
    print(json.dumps({k: doc[k] for k in ("test_accuracy", "test_margin", "loss_difference")}), "steps", len(steps))


if __name__ == "__main__":
    main()
