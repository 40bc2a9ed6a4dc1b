#!/usr/bin/env python3
"""Step 4: train the model on the rendered pictures and their names.

Loss: CLIP's symmetric contrastive loss, where a caption counts as a match for
every picture of the batch that has that name; plus, to make the most of a short
run, a classifier over all concepts that image and caption embeddings share
("prototypes", thrown away afterwards), and one over the CLDR subgroups. Most of
the run sees a part of the patches only; the last part sees all of them. The views
get harder as it goes on. What is kept is a running mean of the weights.

A run that was broken off goes on from --out/checkpoint.pt when it is started again.

Usage: train.py --concepts cache/concepts.json --render cache/render --tokenizer .. --out cache/run --minutes 90
"""
import argparse
import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

import captions
from model import Config, PictoCLIP, count, normalise
from muon import Muon
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
        return names, self.padded(rows)

    def padded(self, rows):
        """(rows, 16 or context) ids: two widths only, so that the compiled text tower has two forms."""
        ids = torch.zeros(len(rows), 16 if max(map(len, rows)) <= 16 else self.context, dtype=torch.long)
        for b, row in enumerate(rows):
            ids[b, : len(row)] = torch.tensor(row)
        return ids

    def plain_ids(self, names, template=captions.PHOTO):
        return self.padded([[self.start, *self.ids(template.format(n))[: self.context - 2], self.end] for n in names])


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
    """Zero-shot accuracy in styles the model never trains on: over 100 concepts, and over all that the styles share."""
    GROUPS = ("animal-mammal", "animal-bird", "animal-reptile", "animal-marine", "animal-bug", "plant-flower",
              "food-fruit", "food-vegetable", "food-prepared", "food-sweet", "drink", "transport-ground",
              "transport-water", "transport-air", "place-building", "clothing", "musical-instrument", "sport", "tool",
              "household", "light-video")

    def __init__(self, pictures, text, size, styles):
        pools = {s: {} for s in styles}
        for i, e in enumerate(pictures.entries):
            if e["set"] in pools and e["group"] in self.GROUPS and len(e["label"].split()) <= 2:
                pools[e["set"]].setdefault(e["label"], i)
        self.names = sorted(set.intersection(*(set(p) for p in pools.values())))
        self.some = torch.tensor(sorted(np.random.default_rng(0).permutation(len(self.names))[:100].tolist()))
        self.ids = text.plain_ids(self.names)
        self.images = {s: normalise(on_white(pictures, [pools[s][n] for n in self.names], size)) for s in styles}

    @torch.no_grad()
    def __call__(self, model):
        """{style: (accuracy of 100, accuracy of all)}"""
        texts = F.normalize(model.encode_text(self.ids), dim=-1)
        out = {}
        for style, x in self.images.items():
            logits = F.normalize(model.encode_image(x), dim=-1) @ texts.T
            hundred = logits[self.some][:, self.some].argmax(1) == torch.arange(len(self.some))
            every = logits.argmax(1) == torch.arange(len(logits))
            out[style] = hundred.float().mean().item(), every.float().mean().item()
        return out

    def line(self, model):
        found = self(model)
        some = " ".join(f"{style} {100 * a:.0f}" for style, (a, _) in found.items())
        every = 100 * np.mean([b for _, b in found.values()])
        return f"zero-shot of 100: {some}; of {len(self.names)}: mean {every:.1f}"


def parameter_groups(model, others, args):
    """Muon for the matrices inside the blocks, AdamW for everything else."""
    inside = [p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith(("vision.", "text."))]
    pieces = {block.qkv.weight: 3 for block in [*model.vision, *model.text]}
    known = {id(p) for p in inside}
    outside = [p for p in model.parameters() if id(p) not in known]
    adam = torch.optim.AdamW([{"params": [p for p in outside if p.ndim >= 2], "weight_decay": args.decay},
                              {"params": [p for p in outside if p.ndim < 2] + others, "weight_decay": 0.0}],
                             betas=(0.9, 0.98), eps=1e-6)
    return [(Muon(inside, weight_decay=args.decay, pieces=pieces), args.muon), (adam, args.lr)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--concepts", type=Path, default=HERE / "cache" / "concepts.json")
    ap.add_argument("--render", type=Path, default=HERE / "cache" / "render")
    ap.add_argument("--tokenizer", type=Path, default=HERE.parent)
    ap.add_argument("--out", type=Path, default=HERE / "cache" / "run")
    ap.add_argument("--minutes", type=float, default=90, help="length of the run; the schedule follows the clock")
    ap.add_argument("--steps", type=int, default=0,
                    help="length in steps instead, for a run that can be repeated exactly")
    ap.add_argument("--stop", type=int, default=0, help="stop after this many steps, wherever the schedule stands")
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--lr", type=float, default=1e-3, help="AdamW's highest rate")
    ap.add_argument("--muon", type=float, default=2e-3, help="Muon's highest rate")
    ap.add_argument("--decay", type=float, default=0.05)
    ap.add_argument("--mean", type=float, default=0.998, help="decay of the running mean of the weights")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--layers", type=int, default=4)
    ap.add_argument("--width", type=int, default=192)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--init", type=Path, help="a model.pt to start from")
    ap.add_argument("--strength", type=float, nargs=2, default=(0.1, 0.9),
                    help="how hard the views are, at the start and at 75 %% of the run")
    ap.add_argument("--icons", type=float, default=0.6, help="share of icons, against that in sources.json")
    ap.add_argument("--groups", type=float, default=0.5, help="weight of telling the CLDR subgroups apart")
    ap.add_argument("--plain", action="store_true", help="float32 without compiling, where bfloat16 is slow")
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
    say(f"{count(model)} parameters, {len(pictures)} pictures, {len(concepts)} concepts, {vars(args)}")

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

    mean_model = copy.deepcopy(model).eval().requires_grad_(False)
    optimizers = parameter_groups(model, [prototypes, *group_head.parameters()], args)
    encode_image, encode_text = model.encode_image, model.encode_text
    if not args.plain:
        encode_image, encode_text = (torch.compile(f, dynamic=False) for f in (encode_image, encode_text))

    step, spent, mean = 0, 0.0, {}
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(state["model"])
        mean_model.load_state_dict(state["mean_model"])
        group_head.load_state_dict(state["group_head"])
        prototypes.data.copy_(state["prototypes"])
        for (optimizer, _), saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        g.set_state(state["views"])
        rng.bit_generator.state = state["choices"]
        step, spent, mean = state["step"], state["spent"], state["mean"]
        say(f"going on from step {step}")
    begun = time.time() - spent

    def save():
        kept = args.out / "model.pt"
        torch.save({"model": mean_model.state_dict(), "config": config.dict(), "step": step}, f"{kept}.part")
        Path(f"{kept}.part").replace(kept)
        torch.save(dict(model=model.state_dict(), mean_model=mean_model.state_dict(), prototypes=prototypes.data,
                        group_head=group_head.state_dict(), optimizers=[o.state_dict() for o, _ in optimizers],
                        views=g.get_state(), choices=rng.bit_generator.state, step=step, spent=time.time() - begun,
                        mean=mean), f"{checkpoint}.part")
        Path(f"{checkpoint}.part").replace(checkpoint)

    while True:
        t = step / args.steps if args.steps else (time.time() - begun) / (60 * args.minutes)
        if t >= 1 or (args.stop and step >= args.stop):
            break
        rate = min(1.0, (step + 1) / 200) * min(1.0, (1 - t) / 0.7)
        for optimizer, top in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = top * rate
        index = rng.choice(len(pictures), args.batch, p=weights, replace=False)
        strength = args.strength[0] + (args.strength[1] - args.strength[0]) * min(1, t / 0.75)
        x, done = views(pictures, index, config.image, g, strength)
        said, ids = text.batch([pictures.entries[i] for i in index], done, rng)
        match = torch.tensor([[float(n in names[i]) for n in said] for i in index])
        kept = next(k for upto, k in PATCH_STAGES if t < upto)
        keep = None
        if kept:                                            # patches where something is to be seen, with some chance
            patches = F.unfold(x.mean(1, keepdim=True), config.patch, stride=config.patch)
            score = 0.25 * torch.rand(args.batch, model.patches, generator=g) + patches.std(1).clamp(max=0.25)
            keep = score.topk(kept, 1).indices

        with torch.autocast("cpu", torch.bfloat16, enabled=not args.plain):
            features, texts = encode_image(normalise(x), keep), encode_text(ids)
        features = features.float()
        image, texts = F.normalize(features, dim=-1), F.normalize(texts.float(), dim=-1)
        loss = contrastive(model.logit_scale.exp() * image @ texts.T, match)
        centres = F.normalize(prototypes, dim=-1).T
        target = concept[index]
        sure = torch.tensor([n in labels[i] for n, i in zip(said, index)])
        image_class = F.cross_entropy(20 * image @ centres, target)
        text_class = F.cross_entropy(20 * texts[sure] @ centres, target[sure])
        known = subgroup[index] >= 0
        group_class = F.cross_entropy(group_head(features[known]), subgroup[index][known])
        total = loss + image_class + 0.25 * text_class + args.groups * group_class
        for optimizer, _ in optimizers:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, _ in optimizers:
            optimizer.step()
        step += 1
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
            keeping = min(args.mean, step / (step + 10))
            for slow, fast in zip(mean_model.parameters(), model.parameters()):
                slow.lerp_(fast, 1 - keeping)
        for key, value in (("loss", loss.detach()), ("image", image_class.detach()), ("text", text_class.detach()),
                           ("group", group_class.detach())):
            mean[key] = 0.98 * mean.get(key, float(value)) + 0.02 * float(value)
        if step % 100 == 0:
            note = ""
            if step % 400 == 0:
                note = "  " + check.line(mean_model)
                save()
            losses = "  ".join(f"{key} {value:.3f}" for key, value in mean.items())
            say(f"step {step} {100 * t:5.1f} %  {time.time() - begun:6.0f} s  rate {rate:.2f}  {losses}  "
                f"scale {float(model.logit_scale.detach().exp()):.1f}{note}")
    save()
    say(f"done: {step} steps of {args.batch}, {(time.time() - begun) / 60:.1f} min, {check.line(mean_model)}")


if __name__ == "__main__":
    main()
