#!/usr/bin/env python3
"""Step 6: how well the model does a task by its name alone, and after prompt tuning.

Uses the project's reference implementation for the methods (only its layer
norm and attention are exchanged for PyTorch's own, which give the same values
sooner). Training sees random resized crops and mirror images, as is usual.

Usage: tune.py --data TASK... [--method zeroshot coop ivlp mudpt] [--seeds 1 2 3] [--lr 2.5e-3] [--epochs 10]
A TASK is a folder with a split.json, as ../tasks/render.js writes it; its split-STYLE.json are tested too. With
--base-to-new the first half of the classes is trained on, and each half judged among its own names; with --targets
TASK... other tasks are tested, each among its own names: the protocols of docs/protocols.md.
"""
import argparse
import importlib.util
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer

from model import MEAN, STD

HERE = Path(__file__).resolve().parent
PHRASE = "a photo of a"


def load_reference(path):
    spec = importlib.util.spec_from_file_location("reference", path)
    ref = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ref)

    def attention(x, w, p, causal):
        S, L, d = x.shape
        qkv = F.linear(x, w[p + "attn.in_proj_weight"], w[p + "attn.in_proj_bias"])
        q, k, v = qkv.view(S, L, 3, d // ref.HEAD_WIDTH, ref.HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(S, L, d)
        return F.linear(y, w[p + "attn.out_proj.weight"], w[p + "attn.out_proj.bias"])

    ref.attention = attention
    ref.layer_norm = lambda x, weight, bias: F.layer_norm(x, x.shape[-1:], weight, bias, ref.LN_EPS)
    return ref


def openai_names(hf):
    """Hugging Face's tensor names -> OpenAI's."""
    direct = {"logit_scale": "logit_scale", "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
              "text_model.embeddings.position_embedding.weight": "positional_embedding",
              "vision_model.embeddings.class_embedding": "visual.class_embedding",
              "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
              "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding"}
    out = {ours: hf[theirs].float() for theirs, ours in direct.items()}
    out["text_projection"] = hf["text_projection.weight"].float().T
    out["visual.proj"] = hf["visual_projection.weight"].float().T
    for part in ("weight", "bias"):
        for theirs, ours in (
            ("text_model.final_layer_norm", "ln_final"),
            ("vision_model.pre_layrnorm", "visual.ln_pre"),
            ("vision_model.post_layernorm", "visual.ln_post"),
        ):
            out[f"{ours}.{part}"] = hf[f"{theirs}.{part}"].float()
        for theirs, ours in (("text_model", "transformer"), ("vision_model", "visual.transformer")):
            layer = 0
            while f"{theirs}.encoder.layers.{layer}.layer_norm1.weight" in hf:
                a, b = f"{theirs}.encoder.layers.{layer}.", f"{ours}.resblocks.{layer}."
                out[f"{b}attn.in_proj_{part}"] = torch.cat([hf[f"{a}self_attn.{x}_proj.{part}"] for x in "qkv"]).float()
                for x, y in (("self_attn.out_proj", "attn.out_proj"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
                             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")):
                    out[f"{b}{y}.{part}"] = hf[f"{a}{x}.{part}"].float()
                layer += 1
    return out


def to_tensor(img):
    x = torch.from_numpy(np.asarray(img, np.float32) / 255).permute(2, 0, 1)
    return (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def test_view(img, size):
    """Shorter side to `size` (bicubic), middle square."""
    w, h = img.size
    k = size / min(w, h)
    w, h = max(size, int(w * k)), max(size, int(h * k))
    img = img.resize((w, h), Image.BICUBIC)
    left, top = round((w - size) / 2), round((h - size) / 2)
    return to_tensor(img.crop((left, top, left + size, top + size)))


def crop_size(w, h, rng, smallest):
    """Width and height of RandomResizedCrop's box: area smallest..1 of the picture, ratio 3/4..4/3."""
    for _ in range(10):
        area = w * h * rng.uniform(smallest, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        cw, ch = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < cw <= w and 0 < ch <= h:
            return cw, ch
    return min(w, h), min(w, h)


def train_view(img, size, rng, smallest):
    """Random resized crop and mirroring."""
    w, h = img.size
    cw, ch = crop_size(w, h, rng, smallest)
    left, top = rng.randint(0, w - cw), rng.randint(0, h - ch)
    # Cut first, as torchvision does: resize(box=...) would look at pixels around the box.
    out = img.crop((left, top, left + cw, top + ch)).resize((size, size), Image.BICUBIC)
    return to_tensor(out.transpose(Image.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else out)


def few(data, shots, seed):
    """The pictures that the product draws (it must be built): runs differ in start, order and views, not in these."""
    command = ["node", str(HERE / "shots.mjs"), str(data), str(shots), str(seed)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


class Model:
    def __init__(self, folder, ref):
        self.ref = ref
        self.clip = openai_names(load_file(str(folder / "model.safetensors")))
        self.tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config = json.loads((folder / "config.json").read_text())
        self.size = config["vision_config"]["image_size"]
        self.context = config["text_config"]["max_position_embeddings"]
        self.arch = {
            "vision_width": config["vision_config"]["hidden_size"],
            "text_width": config["text_config"]["hidden_size"],
            "embed": config["projection_dim"],
        }
        self.layers = config["text_config"]["num_hidden_layers"], config["vision_config"]["num_hidden_layers"]

    def case(self, method, n):
        t, v = self.layers
        return {
            "zeroshot": {},
            "coop": {"n": n, "phrase": PHRASE},
            "coop16": {"n": 16},
            "cocoop": {"n": n, "phrase": PHRASE},
            "vpt": {"n": 8, "depth": v, "phrase": PHRASE},
            "ivlp": {"n_text": n, "n_visual": n, "depth_text": t, "depth_visual": v, "phrase": PHRASE},
            "mudpt": {"n": n, "depth": min(t, v), "phrase": PHRASE},
            "umudpt": {"n": n, "depth": min(t, v), "phrase": PHRASE},
            "uumudpt": {"n": n, "depth": min(t, v), "phrase": PHRASE},
        }[method] | {"method": method.rstrip("16"), "name": method}

    def inputs(self, case, names, template):
        """Token rows, cut behind the last end mark (nothing there is ever read)."""
        sentences = [[template.format(n) for n in names]]
        texts = sentences if case["method"] == "zeroshot" else self.ref.prompt_texts(case, names)
        ids, eot = self.ref.token_rows(self.tok, texts[0], self.context)
        length = int(eot.max()) + 1
        clip = dict(self.clip, positional_embedding=self.clip["positional_embedding"][:length])
        return clip, {
            "class_ids": ids[:, :length],
            "eot": eot,
            "name_lengths": [len(self.ref.encode(self.tok, n)) for n in names],
        }


def plan(data, args):
    """The classes that are trained on, and the tests: name -> (class names, template, [(path, label), ...])."""
    read = lambda path: json.loads(path.read_text())
    test = lambda split, folder: (split["classes"], split["template"], [(folder / p, l) for p, l in split["test"]])
    split = read(data / "split.json")
    classes, template, rows = test(split, data)
    if args.base_to_new:
        half = (len(classes) + 1) // 2
        base = classes[:half], template, [(p, l) for p, l in rows if l < half]
        new = classes[half:], template, [(p, l - half) for p, l in rows if l >= half]
        return classes[:half], {"base": base, "new": new}
    tests = {"test": (classes, template, rows)}
    if args.targets:
        tests |= {other.name: test(read(other / "split.json"), other) for other in args.targets}
    else:
        tests |= {path.stem[6:]: test(read(path), data) for path in sorted(data.glob("split-*.json"))}
    return classes, tests


@torch.no_grad()
def accuracy(ref, case, clip, inputs, params, images, labels):
    right = 0
    for i in range(0, len(images), 256):
        logits = ref.forward(clip, case, params, inputs, images[i:i + 256])["logits"]
        right += int((logits.argmax(1) == labels[i:i + 256]).sum())
    return right / len(labels)


def tune(model, case, clip, inputs, shots, args, seed):
    ref = model.ref
    phrase = ref.encode(model.tok, PHRASE) if case.get("phrase") else None
    params = ref.initial_parameters(case, model.arch, seed, model.clip, phrase, len(inputs["eot"]))
    velocity = {k: torch.zeros_like(v) for k, v in params.items()}
    rng = random.Random(seed)
    losses = []
    for epoch in range(args.epochs):
        order = rng.sample(range(len(shots)), len(shots))
        rate, losses = ref.learning_rate(args.lr, args.epochs, epoch), []
        for i in range(0, len(order) - args.batch + 1, args.batch):
            part = [shots[j] for j in order[i:i + args.batch]]
            pixels = torch.stack([train_view(img, model.size, rng, args.smallest_crop) for img, _ in part])
            labels = torch.tensor([l for _, l in part])
            loss, grads, _ = ref.loss_and_gradients(clip, case, params, inputs, pixels, labels)
            ref.sgd_step(params, grads, velocity, rate)
            losses.append(float(loss))
    return params, float(np.mean(losses))


def run_key(result, settings):
    return tuple(result.get(k) for k in ("task", "method", "seed", "protocol", *settings))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=HERE.parent)
    ap.add_argument("--reference", type=Path, default=HERE.parents[2] / "tests" / "reference" / "reference.py")
    ap.add_argument("--data", type=Path, nargs="+", required=True)
    ap.add_argument("--method", nargs="+", default=["zeroshot", "coop", "ivlp", "mudpt"])
    ap.add_argument("--base-to-new", action="store_true")
    ap.add_argument("--targets", type=Path, nargs="+")
    ap.add_argument("--shots", type=int, default=16)
    ap.add_argument("--seeds", type=int, nargs="+", default=[1])
    ap.add_argument("--n", type=int, default=4)
    ap.add_argument("--epochs", type=int, default=10)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--lr", type=float, default=2.5e-3)
    ap.add_argument("--smallest-crop", type=float, default=0.08)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--log", type=Path, help="append a JSON line per result; what is there already is not done again")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    ref = load_reference(args.reference)
    model = Model(args.model, ref)
    settings = {"lr": args.lr, "epochs": args.epochs, "batch": args.batch, "shots": args.shots,
                "smallest_crop": args.smallest_crop}
    if args.base_to_new:
        settings["protocol"] = "base-to-new"
    elif args.targets:
        settings["protocol"] = "cross-dataset"
    known = args.log.read_text().splitlines() if args.log and args.log.exists() else []
    known = {run_key(r, settings) for r in map(json.loads, known)}
    for data in args.data:
        train_classes, tests = plan(data, args)
        tests = {
            k: (
                names,
                template,
                torch.stack([test_view(Image.open(p).convert("RGB"), model.size) for p, _ in rows]),
                torch.tensor([l for _, l in rows]),
            )
            for k, (names, template, rows) in tests.items()
        }
        for method in args.method:
            case = model.case(method, args.n)
            clip, inputs = model.inputs(case, train_classes, PHRASE + " {}.")
            for seed in [0] if method == "zeroshot" else args.seeds:
                if run_key({"task": data.name, "method": method, "seed": seed, **settings}, settings) in known:
                    continue
                begun, params, loss = time.time(), {}, None
                if method != "zeroshot":
                    drawn = [(p, l) for p, l in few(data, args.shots, seed) if l < len(train_classes)]
                    shots = [(Image.open(data / p).convert("RGB"), l) for p, l in drawn]
                    params, loss = tune(model, case, clip, inputs, shots, args, seed)
                result = {
                    "task": data.name,
                    "method": method,
                    "seed": seed,
                    **settings,
                    "accuracy": {
                        k: round(100 * accuracy(ref, case, *model.inputs(case, names, template), params, *pictures), 2)
                        for k, (names, template, *pictures) in tests.items()
                    },
                    "last_loss": loss and round(loss, 4),
                    "seconds": round(time.time() - begun, 1),
                }
                print(json.dumps(result), flush=True)
                if args.log:
                    with args.log.open("a") as f:
                        f.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    sys.exit(main())
