"""Golden files of CLIP's family: tiny models of random weights, computed by transformers, timm and open_clip.

    pip install torch transformers timm open_clip_torch safetensors
    python tests/reference/family.py tests/golden/family

Every NAME.json has a model's description by the names of mudpt_clip_config (js/core/structs.js), its sentences as token
ids without padding and the tolerance; NAME.safetensors has its weights (exact in f16) by the names that the C core
knows, pictures, and what comes out in double precision: image and text features as they leave the towers, and logits.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import timm.models.eva
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.transformer import TextTransformer
from safetensors.numpy import save_file
from torch import nn
from transformers import SiglipConfig, SiglipModel

GELU, GELU_TANH = 1, 2
TOKEN, MEAN, ATTENTION, LAST = 0, 1, 2, 3


def random_weights(model, seed):
    """Every parameter random, and exact in f16."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        value = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        is_gain = parameter.ndim == 1 and name.endswith("weight") or name.endswith("gamma")
        size = 0.3 if parameter.ndim < 2 else 1 / np.sqrt(parameter[0].numel())
        if "embed" in name or "position" in name or "latent" in name or "probe" in name:
            size = 0.5
        value = (1 + 0.3 * value) if is_gain else size * value
        if name.endswith("logit_scale"):
            value = torch.full_like(value, 2)
        if name.endswith("logit_bias"):
            value = torch.full_like(value, -5)
        parameter.data = value.half().double()
    return model.double().eval()


def padded(ids, context, pad):
    return torch.tensor([row + [pad] * (context - len(row)) for row in ids])


def timm_names(state, head):
    """Names of a trunk of timm's as the C core knows them; `head` is the projection's."""
    parts = {
        "cls_token": "class_embedding",
        "pos_embed": "positional_embedding",
        "patch_embed.proj": "conv1",
        "norm_pre": "ln_pre",
        "norm": "ln_post",
        "blocks": "transformer.resblocks",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "attn.qkv.weight": "attn.in_proj_weight",
        "attn.qkv.bias": "attn.in_proj_bias",
        "attn.proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "attn_pool.latent": "attn_pool.probe",
        "attn_pool.q": "attn_pool.attn.q_proj",
        "attn_pool.kv": "attn_pool.attn.kv_proj",
        "attn_pool.proj": "attn_pool.attn.out_proj",
        "attn_pool.norm": "attn_pool.layernorm",
    }
    out = {}
    for name, value in state.items():
        full = "." + name
        for theirs, ours in sorted(parts.items(), key=lambda pair: -len(pair[0])):
            full = full.replace(f".{theirs}.", f".{ours}.") if f".{theirs}." in full else full
            if full.endswith(f".{theirs}"):
                full = full[: -len(theirs)] + ours
        full = "visual" + full
        full = full.replace("visual.head.weight", "visual_projection.weight").replace("visual.head.bias", "visual.proj_bias")
        out[full] = value
    return out


def save(folder, name, config, ids, weights, pixels, image, text, scale, bias=0.0):
    image, text = image.detach(), text.detach()
    unit = lambda rows: rows / rows.norm(dim=-1, keepdim=True)
    logits = np.exp(scale) * (unit(image) @ unit(text).T) + bias
    tensors = {f"model.{key}": value.detach().numpy().astype(np.float16) for key, value in weights.items()}
    outputs = {"pixels": pixels, "image_features": image, "text_features": text, "logits": logits}
    tensors.update({key: value.detach().numpy().astype(np.float32) for key, value in outputs.items()})
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, folder / f"{name}.safetensors")
    description = {"config": config, "ids": ids, "logit_bias": bias, "tolerance": 2e-5}
    (folder / f"{name}.json").write_text(json.dumps(description, indent=1) + "\n")
    print(name, {key: tuple(value.shape) for key, value in outputs.items()})


def pictures(seed, side):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, 3, side, side), generator=generator).float().double()


def siglip(folder):
    vision = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2)
    text = dict(hidden_size=24, intermediate_size=56, num_hidden_layers=2, num_attention_heads=3)
    vision |= dict(image_size=26, patch_size=8)
    text |= dict(vocab_size=40, max_position_embeddings=9, projection_size=24)
    model = random_weights(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), 1)
    ids = [[5, 9, 17, 1], [22, 1], [8, 8, 30, 31, 2, 1]]
    pixels = pictures(2, 26)
    out = model(input_ids=padded(ids, 9, 1), pixel_values=pixels)
    image = model.vision_model(pixels).pooler_output
    words = model.text_model(padded(ids, 9, 1)).pooler_output
    config = {
        **{"image": 26, "patch": 8, "visionWidth": 24, "visionLayers": 2, "visionHeads": 2, "visionMlp": 40},
        **{"visionActivation": GELU_TANH, "visionEpsilon": 1e-6, "visionPooling": ATTENTION, "visionNoProjection": 1},
        **{"textWidth": 24, "textLayers": 2, "textHeads": 3, "textMlp": 56, "textActivation": GELU_TANH},
        **{"textEpsilon": 1e-6, "textPooling": LAST, "textProjectionBias": 1, "embed": 24, "context": 9, "vocab": 40},
        **{"patchBias": 1, "noClass": 1, "noPreNorm": 1, "poolHeads": 2, "poolMlp": 40, "poolActivation": GELU_TANH},
        **{"noMask": 1, "pad": 1, "noStart": 1, "logitBias": 1},
    }
    weights = {name: value for name, value in model.state_dict().items() if "position_ids" not in name}
    save(folder, "siglip", config, ids, weights, pixels, image, words, 2.0, -5.0)
    unit = lambda rows: rows / rows.norm(dim=-1, keepdim=True)
    assert torch.allclose(np.exp(2.0) * unit(image) @ unit(words).T - 5, out.logits_per_image)


class Pair(nn.Module):
    def __init__(self, visual, text):
        super().__init__()
        self.visual, self.text = visual, text


def perception_encoder(folder):
    visual = timm.models.eva.Eva(
        **dict(img_size=24, patch_size=6, embed_dim=32, depth=2, num_heads=4, mlp_ratio=2.0, num_classes=20),
        **dict(global_pool="map", attn_type="rope", use_pre_transformer_norm=True, use_rot_pos_emb=True),
        **dict(ref_feat_shape=(4, 4), rope_grid_offset=1.0, rope_grid_indexing="xy", attn_pool_num_heads=2),
        **dict(attn_pool_mlp_ratio=3.0, norm_layer=partial(timm.layers.LayerNorm, eps=1e-5)),
    )
    text = TextTransformer(context_length=12, vocab_size=30, width=24, heads=2, layers=2, output_dim=20)
    pair = random_weights(Pair(visual, text), 3)
    ids = [[27, 5, 9, 29], [27, 29], [27, 8, 8, 11, 2, 29]]
    pixels = pictures(4, 24)
    weights = timm_names(visual.state_dict(), "head") | dict(text.state_dict())
    weights = {name: value for name, value in weights.items() if "attn_mask" not in name and "rope" not in name}
    weights["logit_scale"] = torch.tensor(2.0)
    config = {
        **{"image": 24, "patch": 6, "visionWidth": 32, "visionLayers": 2, "visionHeads": 4, "visionMlp": 64},
        **{"visionActivation": GELU, "visionPooling": ATTENTION, "visionProjectionBias": 1, "rope": 10000},
        **{"textWidth": 24, "textLayers": 2, "textHeads": 2, "textMlp": 96, "textActivation": GELU},
        **{"embed": 20, "context": 12, "vocab": 30, "poolHeads": 2, "poolMlp": 96, "poolActivation": GELU},
    }
    save(folder, "pe-core", config, ids, weights, pixels, visual(pixels), text(padded(ids, 12, 0)), 2.0)


def clipa(folder):
    vision = CLIPVisionCfg(layers=2, width=32, head_width=16, mlp_ratio=2.5, patch_size=6, image_size=18)
    vision.no_ln_pre, vision.pool_type, vision.final_ln_after_pool, vision.ls_init_value = True, "avg", True, 0.5
    text = CLIPTextCfg(context_length=10, vocab_size=30, width=24, heads=2, layers=2, ls_init_value=0.5)
    text.pool_type, text.no_causal_mask, text.proj_bias = "last", True, False
    model = random_weights(CLIP(20, vision, text), 5)
    ids = [[3, 5, 9, 4], [3, 4], [3, 8, 8, 11, 2, 4]]
    pixels = pictures(6, 18)
    weights = {name: value for name, value in model.state_dict().items() if "attn_mask" not in name}
    config = {
        **{"image": 18, "patch": 6, "visionWidth": 32, "visionLayers": 2, "visionHeads": 2, "visionMlp": 80},
        **{"visionActivation": GELU, "visionLayerScale": 1, "visionPooling": MEAN, "normAfterPool": 1, "noPreNorm": 1},
        **{"textWidth": 24, "textLayers": 2, "textHeads": 2, "textMlp": 96, "textActivation": GELU},
        **{"textLayerScale": 1, "textPooling": LAST, "noMask": 1, "embed": 20, "context": 10, "vocab": 30},
    }
    image, words = model.encode_image(pixels), model.encode_text(padded(ids, 10, 0))
    save(folder, "clipa", config, ids, weights, pixels, image, words, 2.0)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        siglip(target)
        perception_encoder(target)
        clipa(target)
