#!/usr/bin/env python3
"""Step 5: write the trained model in Hugging Face's layout (CLIPModel, float16) and read it back.

Usage: export.py --run cache/run --out ..          writes config, weights and preprocessor settings
       export.py --check --out ..                  compares logits with transformers' CLIPModel
"""
import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from model import MEAN, STD, Config, PictoCLIP

HERE = Path(__file__).resolve().parent
DIRECT = {  # ours -> theirs; the blocks are done in a loop
    "class_embedding": "vision_model.embeddings.class_embedding",
    "vision_position": "vision_model.embeddings.position_embedding.weight",
    "ln_pre.weight": "vision_model.pre_layrnorm.weight", "ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "ln_post.weight": "vision_model.post_layernorm.weight", "ln_post.bias": "vision_model.post_layernorm.bias",
    "vision_projection": "visual_projection.weight",
    "token_embedding": "text_model.embeddings.token_embedding.weight",
    "text_position": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight", "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight", "logit_scale": "logit_scale",
}
IN_BLOCK = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "out": "self_attn.out_proj",
            "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
PATCHES = "vision_model.embeddings.patch_embedding.weight"


def blocks(c):
    for tower, count in (("vision", c.vision_layers), ("text", c.text_layers)):
        for i in range(count):
            yield f"{tower}.{i}", f"{tower}_model.encoder.layers.{i}"


def to_hf(state, c):
    out = {theirs: state[ours] for ours, theirs in DIRECT.items()}
    out[PATCHES] = state["patch_weight"].view(c.vision_width, 3, c.patch, c.patch)
    for ours, theirs in blocks(c):
        for part in ("weight", "bias"):
            for a, b in IN_BLOCK.items():
                out[f"{theirs}.{b}.{part}"] = state[f"{ours}.{a}.{part}"]
            for name, value in zip("qkv", state[f"{ours}.qkv.{part}"].chunk(3)):
                out[f"{theirs}.self_attn.{name}_proj.{part}"] = value
    return out


def from_hf(theirs_state, c):
    out = {ours: theirs_state[theirs] for ours, theirs in DIRECT.items()}
    out["patch_weight"] = theirs_state[PATCHES].flatten(1)
    for ours, theirs in blocks(c):
        for part in ("weight", "bias"):
            for a, b in IN_BLOCK.items():
                out[f"{ours}.{a}.{part}"] = theirs_state[f"{theirs}.{b}.{part}"]
            out[f"{ours}.qkv.{part}"] = torch.cat([theirs_state[f"{theirs}.self_attn.{n}_proj.{part}"] for n in "qkv"])
    return out


def hf_config(c):
    shared = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "attention_dropout": 0.0, "projection_dim": c.embed}
    return {
        "architectures": ["CLIPModel"], "model_type": "clip", "dtype": "float16", "projection_dim": c.embed,
        "logit_scale_init_value": 2.6592,
        "text_config": {"model_type": "clip_text_model", "vocab_size": c.vocab, "hidden_size": c.text_width,
                        "intermediate_size": 4 * c.text_width, "num_hidden_layers": c.text_layers,
                        "num_attention_heads": c.text_heads, "max_position_embeddings": c.context,
                        "bos_token_id": c.vocab - 2, "eos_token_id": c.vocab - 1, "pad_token_id": c.vocab - 1,
                        **shared},
        "vision_config": {"model_type": "clip_vision_model", "image_size": c.image, "patch_size": c.patch,
                          "num_channels": 3, "hidden_size": c.vision_width,
                          "intermediate_size": 4 * c.vision_width,
                          "num_hidden_layers": c.vision_layers, "num_attention_heads": c.vision_heads,
                          **shared},
    }


def preprocessor(c):
    return {"image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": c.image},
            "resample": 3, "do_center_crop": True, "crop_size": {"height": c.image, "width": c.image},
            "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
            "image_mean": list(MEAN), "image_std": list(STD), "do_convert_rgb": True}


def load(folder):
    """The exported model as our own module, in float32."""
    h = json.loads((Path(folder) / "config.json").read_text())
    v, t = h["vision_config"], h["text_config"]
    c = Config(image=v["image_size"], patch=v["patch_size"], vision_width=v["hidden_size"],
               vision_layers=v["num_hidden_layers"], vision_heads=v["num_attention_heads"], text_width=t["hidden_size"],
               text_layers=t["num_hidden_layers"], text_heads=t["num_attention_heads"],
               context=t["max_position_embeddings"], vocab=t["vocab_size"], embed=h["projection_dim"])
    model = PictoCLIP(c)
    state = {k: x.float() for k, x in load_file(str(Path(folder) / "model.safetensors")).items()}
    model.load_state_dict(from_hf(state, c))
    return model.eval()


def check(args):
    from transformers import AutoTokenizer, CLIPModel, CLIPTokenizerFast
    torch.manual_seed(0)
    theirs = CLIPModel.from_pretrained(args.out, dtype=torch.float32).eval()
    exported = load(args.out)
    trained = args.run / "model.pt"                         # there only where the model was trained
    full = None
    if trained.exists():
        saved = torch.load(trained, weights_only=True)
        full = PictoCLIP(Config(**saved["config"])).eval()
        full.load_state_dict(saved["model"])
    texts = ["a photo of a cat.", "a drawing of a grinning face with smiling eyes", "Locomotive",
             "a red apple on a light blue background."]
    for cls in (CLIPTokenizerFast, AutoTokenizer):
        tok = cls.from_pretrained(args.out)
        enc = tok(texts, padding="max_length", max_length=exported.config.context, truncation=True, return_tensors="pt")
        pixels = torch.randn(6, 3, exported.config.image, exported.config.image)
        with torch.no_grad():
            a = theirs(pixel_values=pixels, **enc).logits_per_image
            b = exported(pixels, enc["input_ids"])
            c = full(pixels, enc["input_ids"]) if full else None
        line = f"{cls.__name__}: largest logit {a.abs().max():.3f}; transformers against ours {(a - b).abs().max():.2e}"
        if full:
            line += f"; float16 file against float32 training weights {(b - c).abs().max():.2e}"
        print(line)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=Path, default=HERE / "cache" / "run")
    ap.add_argument("--out", type=Path, default=HERE.parent)
    ap.add_argument("--check", action="store_true")
    args = ap.parse_args()
    if args.check:
        return check(args)
    saved = torch.load(args.run / "model.pt", weights_only=True)
    c = Config(**saved["config"])
    weights = {k: v.detach().half().contiguous().clone() for k, v in to_hf(saved["model"], c).items()}
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(args.out / "model.safetensors"), metadata={"format": "pt"})
    for name, value in (("config.json", hf_config(c)), ("preprocessor_config.json", preprocessor(c))):
        (args.out / name).write_text(json.dumps(value, indent=2) + "\n")
    print(f"{sum(v.numel() for v in weights.values())} parameters after {saved['step']} steps")


if __name__ == "__main__":
    main()
