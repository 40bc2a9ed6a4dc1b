#!/usr/bin/env python3
"""Step 4: train the model on the rendered pictures and their names.

Loss: CLIP's symmetric contrastive loss, where a caption counts as a match for
every picture of the batch that has that name; plus, to make the most of a short
run, a classifier over all concepts that image and caption embeddings share
("prototypes", thrown away afterwards). Most of the run sees a random part of
the patches only; the last part sees all of them. The views get harder as it goes on.

Usage: train.py --concepts cache/concepts.json --render cache/render --tokenizer .. --out cache/run --minutes 50
"""
import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import captions
from model import Config, PictoCLIP, count, normalise
from pictures import Pictures, views

HERE = Path(__file__).resolve().parent
PATCH_STAGES = [(0.62, 28), (0.86, 40), (1.01, None)]      # up to this part of the run: patches seen


class Captions:
    """Token ids of frames ("a photo of a", ".") and names; a caption is their concatenation."""

    def __init__(self, tokenizer, context):
        self.tok, self.context, self.memo = tokenizer, context, {}
        self.start, self.end = tokenizer.token_to_id("<|startoftext|>"), tokenizer.token_to_id("<|endoftext|>")
        self.plain = np.array([w for _, w in captions.TEMPLATES], float)
        self.plain /= self.plain.sum()
        self.kind = np.array([w for _, w in captions.KIND_TEMPLATES], float)
        self.kind /= self.kind.sum()

    def ids(self, text):
        if text not in self.memo:
            self.memo[text] = self.tok.encode(text, add_special_tokens=False).ids
        return self.memo[text]

    def frame(self, entry, done, b, rng):
        """A template with one {} left for the name."""
        r = rng.random()
        if r < 0.08 and done["ground"][b]:
            frame = captions.BACKGROUND_TEMPLATES[rng.integers(len(captions.BACKGROUND_TEMPLATES))]
            return frame.replace("{c}", done["ground"][b])
        if r < 0.16 and done["ink"][b]:
            return captions.INK_TEMPLATES[rng.integers(len(captions.INK_TEMPLATES))].replace("{c}", done["ink"][b])
        if r < 0.40:
            for style, frames in captions.STYLE_TEMPLATES.items():
                if done[style][b]:
                    return frames[rng.integers(len(frames))]
        if r > 0.93 and entry["kinds"]:
            text = captions.KIND_TEMPLATES[rng.choice(len(self.kind), p=self.kind)][0]
            head, tail = text.rsplit("{}", 1)
            return head + entry["kinds"][rng.integers(len(entry["kinds"]))] + tail
        return captions.TEMPLATES[rng.choice(len(self.plain), p=self.plain)][0]

    def batch(self, entries, done, rng):
        names, rows = [], []
        for b, e in enumerate(entries):
            frame = self.frame(e, done, b, rng)
            name = e["label"] if "a type of" in frame or "a kind of" in frame else captions.sample_name(e, rng)
            head, tail = frame.split("{}")
            rows.append([self.start, *(self.ids(head) + self.ids(name) + self.ids(tail))[: self.context - 2], self.end])
            names.append(name)
        ids = torch.zeros(len(rows), self.context, dtype=torch.long)
        for b, row in enumerate(rows):
            ids[b, : len(row)] = torch.tensor(row)
        return names, ids

    def plain_ids(self, names, template=captions.PHOTO):
        ids = torch.zeros(len(names), self.context, dtype=torch.long)
        for b, n in enumerate(names):
            row = [self.start, *self.ids(template.format(n))[: self.context - 2], self.end]
            ids[b, : len(row)] = torch.tensor(row)
        return ids


def contrastive(logits, match):
    """Cross entropy both ways; the target is spread evenly over all matches."""
    rows = match / match.sum(1, keepdim=True)
    columns = match / match.sum(0, keepdim=True)
    return 0.5 * (-(rows * logits.log_softmax(1)).sum(1).mean() - (columns * logits.log_softmax(0)).sum(0).mean())


def on_white(pictures, index, size):
    """Plain test pictures: on white, filling the view."""
    out = []
    for i in index:
        x = pictures.rgba(i).float() / 255
        x = x[:3] + (1 - x[3:]) if len(x) == 4 else (1 - x).expand(3, -1, -1)
        out.append(F.interpolate(x[None], size=(size, size), mode="bicubic", antialias=True, align_corners=False)[0])
    return torch.stack(out).clamp(0, 1)


class Validation:
    """Zero-shot accuracy over 100 concepts in styles the model never trains on."""
    GROUPS = ("animal-mammal", "animal-bird", "animal-reptile", "animal-marine", "animal-bug", "plant-flower",
              "food-fruit", "food-vegetable", "food-prepared", "food-sweet", "drink", "transport-ground",
              "transport-water", "transport-air", "place-building", "clothing", "musical-instrument", "sport", "tool",
              "household", "light-video")

    def __init__(self, pictures, text, size, styles):
        pools = {s: {} for s in styles}
        for i, e in enumerate(pictures.entries):
            if e["set"] in pools and e["group"] in self.GROUPS and len(e["label"].split()) <= 2:
                pools[e["set"]].setdefault(e["label"], i)
        shared = sorted(set.intersection(*(set(p) for p in pools.values())))
        order = np.random.default_rng(0).permutation(len(shared))[:100]
        self.names = [shared[i] for i in sorted(order)]
        self.ids = text.plain_ids(self.names)
        self.images = {s: normalise(on_white(pictures, [pools[s][n] for n in self.names], size)) for s in styles}

    @torch.no_grad()
    def __call__(self, model):
        model.eval()
        texts = F.normalize(model.encode_text(self.ids), dim=-1)
        out = {}
        for style, x in self.images.items():
            guess = (F.normalize(model.encode_image(x), dim=-1) @ texts.T).argmax(1)
            out[style] = float((guess == torch.arange(len(guess))).float().mean())
        model.train()
        return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--concepts", type=Path, default=HERE / "cache" / "concepts.json")
    ap.add_argument("--render", type=Path, default=HERE / "cache" / "render")
    ap.add_argument("--tokenizer", type=Path, default=HERE.parent)
    ap.add_argument("--out", type=Path, default=HERE / "cache" / "run")
    ap.add_argument("--minutes", type=float, default=50, help="length of the run; the schedule follows the clock")
    ap.add_argument("--steps", type=int, default=0,
                    help="length in steps instead, for a run that can be repeated exactly")
    ap.add_argument("--stop", type=int, default=0, help="stop after this many steps, wherever the schedule stands")
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--decay", type=float, default=0.05)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--layers", type=int, default=4)
    ap.add_argument("--width", type=int, default=192)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--init", type=Path, help="a model.pt to start from")
    ap.add_argument("--strength", type=float, nargs=2, default=(0.1, 0.9),
                    help="how hard the views are, at the start and at 75 %% of the run")
    ap.add_argument("--choose", choices=("random", "contrast"), default="contrast",
                    help="which patches are seen where not all are")
    ap.add_argument("--icons", type=float, default=1.0, help="share of icons, against that in sources.json")
    ap.add_argument("--groups", type=float, default=0.5, help="weight of telling the CLDR subgroups apart")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    log = (args.out / "log.txt").open("a")

    def say(text):
        print(text, flush=True)
        print(text, file=log, flush=True)

    pictures = Pictures(args.concepts, args.render, "train")
    config = Config(vision_width=args.width, vision_layers=args.layers, vision_heads=args.width // 64)
    text = Captions(Tokenizer.from_file(str(args.tokenizer / "tokenizer.json")), config.context)
    check = Validation(Pictures(args.concepts, args.render, "held_out", {"twemoji", "openmoji", "emojione"}), text,
                       config.image, ["twemoji", "openmoji", "emojione"])
    model = PictoCLIP(config)
    if args.init:
        model.load_state_dict(torch.load(args.init, weights_only=True)["model"])
    concepts = {e["concept"] for e in pictures.entries}
    say(f"{count(model)} parameters, {len(pictures)} pictures, {len(concepts)} concepts")

    weights = np.array([e["weight"] * (1 if e["kind"] == "emoji" else args.icons) for e in pictures.entries])
    weights /= weights.sum()
    concept_ids = {c: i for i, c in enumerate(sorted(concepts))}
    concept = torch.tensor([concept_ids[e["concept"]] for e in pictures.entries])
    names = [frozenset(captions.names_of(e)) for e in pictures.entries]
    labels = [frozenset([e["label"], *e["aliases"]]) for e in pictures.entries]
    prototypes = torch.nn.Parameter(torch.randn(len(concept_ids), config.embed) * config.embed ** -0.5)
    if args.init:                                           # start from what the text tower makes of the names
        label_of = {e["concept"]: e["label"] for e in pictures.entries}
        with torch.no_grad():
            ids = text.plain_ids([label_of[c] for c in concept_ids])
            prototypes.copy_(torch.cat([F.normalize(model.encode_text(part), dim=-1) for part in ids.split(512)]))
    group_ids = {g_: i for i, g_ in enumerate(sorted({e["group"] for e in pictures.entries} - {""}))}
    subgroup = torch.tensor([group_ids.get(e["group"], -1) for e in pictures.entries])
    group_head = torch.nn.Linear(config.embed, len(group_ids))

    decay = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    undecayed = [*rest, prototypes, *group_head.parameters()]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": args.decay},
                                   {"params": undecayed, "weight_decay": 0.0}], betas=(0.9, 0.98), eps=1e-6)
    begun = time.time()
    step, mean = 0, {}
    while True:
        t = step / args.steps if args.steps else (time.time() - begun) / (60 * args.minutes)
        if t >= 1 or (args.stop and step >= args.stop):
            break
        warm = min(1.0, (step + 1) / 300)
        lr = args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * t)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        index = rng.choice(len(pictures), args.batch, p=weights, replace=False)
        strength = args.strength[0] + (args.strength[1] - args.strength[0]) * min(1, t / 0.75)
        x, done = views(pictures, index, config.image, g, strength)
        said, ids = text.batch([pictures.entries[i] for i in index], done, rng)
        match = torch.tensor([[float(n in names[i]) for n in said] for i in index])
        kept = next(k for upto, k in PATCH_STAGES if t < upto)
        score = torch.rand(args.batch, model.patches, generator=g)
        if args.choose == "contrast" and kept:              # patches where something is to be seen, with some chance
            patches = F.unfold(x.mean(1, keepdim=True), config.patch, stride=config.patch)
            score = 0.25 * score + patches.std(1).clamp(max=0.25)
        keep = score.topk(kept, 1).indices if kept else None

        features = model.encode_image(normalise(x), keep)
        image = F.normalize(features, dim=-1)
        texts = F.normalize(model.encode_text(ids), dim=-1)
        scale = model.logit_scale.exp()
        loss = contrastive(scale * image @ texts.T, match)
        centres = F.normalize(prototypes, dim=-1).T
        target = concept[index]
        sure = torch.tensor([n in labels[i] for n, i in zip(said, index)])
        image_class = F.cross_entropy(20 * image @ centres, target)
        text_class = F.cross_entropy(20 * texts[sure] @ centres, target[sure])
        known = subgroup[index] >= 0
        group_class = F.cross_entropy(group_head(features[known]), subgroup[index][known])
        total = loss + image_class + 0.25 * text_class + args.groups * group_class
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        step += 1
        for key, value in (("loss", loss.detach()), ("image", image_class.detach()), ("text", text_class.detach()),
                           ("group", group_class.detach())):
            mean[key] = 0.98 * mean.get(key, float(value)) + 0.02 * float(value)
        if step % 100 == 0:
            note = ""
            if step % 400 == 0:
                note = "  zero-shot " + " ".join(f"{k} {100 * v:.0f} %" for k, v in check(model).items())
                torch.save({"model": model.state_dict(), "config": config.dict(), "step": step}, args.out / "model.pt")
            say(f"step {step} {100 * t:5.1f} %  {time.time() - begun:6.0f} s  lr {lr:.1e}  loss {mean['loss']:.3f}  "
                f"image {mean['image']:.3f}  text {mean['text']:.3f}  group {mean['group']:.3f}  "
                f"scale {float(scale.detach()):.1f}{note}")
    torch.save({"model": model.state_dict(), "config": config.dict(), "step": step}, args.out / "model.pt")
    say(f"done: {step} steps of {args.batch}, {(time.time() - begun) / 60:.1f} min, zero-shot "
        + " ".join(f"{k} {100 * v:.0f} %" for k, v in check(model).items()))


if __name__ == "__main__":
    main()
