#!/usr/bin/env python3
"""Makes tests/golden/configurations: what transformers and open_clip compute of small models in unusual configurations,
and how they treat pictures.

  python configurations.py OUT        needs torch, torchvision, transformers,
                                      open_clip_torch, pillow, numpy

A case is one JSON file: the small files that its program wrote, each tensor's name and shape, from which its values
follow (see `filled`), and the features of one picture and of one sentence's ids. pictures.json has documents, and for
each picture the SHA-256 of the 8-bit pixels and the first normalised values.
"""
import hashlib
import json
import os
import shutil
import sys
from unittest import mock

import numpy as np
import open_clip
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(HERE, '../golden/preprocess/images')
IDS = [38, 5, 11, 17, 39]
PIECES = [5, 11, 17, 1]  # of a tokenizer that puts nothing in front
CONTEXT, VOCAB, IMAGE, PATCH = 8, 40, 16, 8


def picture():
    y, x = np.mgrid[0:IMAGE, 0:IMAGE]
    return np.stack([x * 16, y * 16, (x * y) % 256], -1).astype(np.uint8)


def filled(model):
    """Fills all tensors: value i of tensor t follows from both; returns [name, shape, factor, offset] of each."""
    told = []
    with torch.no_grad():
        for t, (name, value) in enumerate(sorted(model.state_dict().items())):
            if not value.is_floating_point():
                continue
            if name.endswith('logit_scale'):
                factor, offset = 0.0, 2.0
            elif value.ndim < 2:
                factor, offset = 0.25, 1.0 if name.endswith('weight') else 0.0
            else:
                factor, offset = 2.0 ** round(np.log2(2 * value[0].numel() ** -0.5)), 0.0
            i = np.arange(value.numel(), dtype=np.uint64)
            x = (i * 1103515245 + t * 69069 + 12345) % 2 ** 32
            x = ((x ^ (x >> 15)) * 0x2c1b3c6d) % 2 ** 32
            x ^= x >> 12
            numbers = ((x & 255).astype(np.float64) - 128) / 128 * factor + offset
            value.copy_(torch.from_numpy(numbers.astype(np.float32)).reshape(value.shape))
            told.append([name, list(value.shape), factor, offset, t])
    model.eval()
    return told


def write_json(path, document, indent=None):
    with open(path, 'w') as file:
        json.dump(document, file, indent=indent)
        file.write('\n')


def filled_up(ids, pad=0):
    return torch.tensor([ids + [pad] * (CONTEXT - len(ids))])


def write_case(path, files, weights, tensors, image, text, ids=IDS):
    write_json(path, {
        'files': files, 'weights': weights, 'tensors': tensors, 'ids': ids,
        'picture': picture().flatten().tolist(), 'size': IMAGE,
        'image_features': [round(v, 6) for v in image.flatten().tolist()],
        'text_features': [round(v, 6) for v in text.flatten().tolist()]})


def transformers_case(path, text=None, vision=None, processor=None):
    config = CLIPConfig(
        text_config={'hidden_size': 40, 'intermediate_size': 48, 'num_hidden_layers': 1, 'num_attention_heads': 2,
                     'vocab_size': VOCAB, 'max_position_embeddings': CONTEXT, 'bos_token_id': 38, 'eos_token_id': 39,
                     'pad_token_id': 39, **(text or {})},
        vision_config={'hidden_size': 40, 'intermediate_size': 64, 'num_hidden_layers': 1, 'num_attention_heads': 2,
                       'image_size': IMAGE, 'patch_size': PATCH, **(vision or {})}, projection_dim=24)
    model = CLIPModel(config)
    tensors = filled(model)
    process = CLIPImageProcessorPil(**{'size': {'shortest_edge': IMAGE}, 'crop_size': IMAGE, **(processor or {})})
    pixels = process(Image.fromarray(picture()), return_tensors='pt')['pixel_values']
    with torch.no_grad():
        image = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
        text = model.text_projection(model.text_model(input_ids=torch.tensor([IDS])).pooler_output)
    files = {'config.json': model.config.to_diff_dict(),
             'processor_config.json': {'image_processor': process.to_dict(), 'processor_class': 'CLIPProcessor'}}
    write_case(path, files, 'model.safetensors', tensors, image, text)


def siglip_case(path, pad, heads=2):
    tower = {'hidden_size': 48, 'intermediate_size': 80, 'num_hidden_layers': 2, 'num_attention_heads': heads}
    model = SiglipModel(SiglipConfig(
        text_config={**tower, 'vocab_size': VOCAB, 'max_position_embeddings': CONTEXT, 'bos_token_id': None,
                     'eos_token_id': 1, 'pad_token_id': pad},
        vision_config={**tower, 'image_size': IMAGE, 'patch_size': PATCH - 1}))
    tensors = filled(model)
    pixels = torch.from_numpy((picture() / np.float32(127.5) - 1).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        image = model.vision_model(pixel_values=pixels).pooler_output
        text = model.text_model(input_ids=filled_up(PIECES, pad)).pooler_output
    files = {'config.json': json.loads(model.config.to_json_string()),
             'preprocessor_config.json': {'image_processor_type': 'SiglipImageProcessor', 'resample': 3,
                                          'size': {'height': IMAGE, 'width': IMAGE}},
             'tokenizer_config.json': {'pad_token': ['<pad>', '</s>'][pad]}}
    write_case(path, files, 'model.safetensors', tensors, image, text, PIECES)


def small_trunk(**sizes):
    """timm's towers by their names, made small."""
    create = timm.create_model
    small = {'img_size': IMAGE, 'patch_size': PATCH, 'depth': 2, 'embed_dim': 128, 'num_heads': 2, **sizes}
    return mock.patch.object(timm, 'create_model', lambda *args, **keys: create(*args, **{**keys, **small}))


def open_clip_case(path, vision=None, text=None, preprocess=None, top=None, ids=IDS, pad=0):
    cfg = {'embed_dim': 24, 'quick_gelu': True,
           'vision_cfg': {'image_size': IMAGE, 'layers': 1, 'width': 40, 'head_width': 20, 'patch_size': PATCH,
                          'mlp_ratio': 2.0, **(vision or {})},
           'text_cfg': {'context_length': CONTEXT, 'vocab_size': VOCAB, 'width': 40, 'heads': 2, 'layers': 1,
                        'mlp_ratio': 1.2, **(text or {})}, **(top or {})}
    arguments = {k: v for k, v in cfg.items() if k != 'custom_text'}
    kind = open_clip.CustomTextCLIP if cfg.get('custom_text') else open_clip.CLIP
    model = kind(**arguments)
    tensors = filled(model)
    document = {'model_cfg': cfg}
    if preprocess is not None:
        document['preprocess_cfg'] = preprocess
    base = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(size=IMAGE), {**(preprocess or {}), 'size': IMAGE}))
    pixels = image_transform_v2(base, is_train=False)(Image.fromarray(picture()))[None]
    with torch.no_grad():
        image, text = model.encode_image(pixels), model.encode_text(filled_up(ids, pad))
    write_case(path, {'open_clip_config.json': document}, 'open_clip_model.safetensors', tensors, image, text, ids)


PROCESSORS = [
    {},
    {'size': {'shortest_edge': 40}},
    {'size': {'height': 32, 'width': 32}},
    {'size': {'height': 32, 'width': 32}, 'do_center_crop': False},
    {'size': {'height': 40, 'width': 57}},
    {'size': {'shortest_edge': 20}},
    {'resample': 0}, {'resample': 1}, {'resample': 2}, {'resample': 4}, {'resample': 5},
    {'do_resize': False},
    {'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.5, 0.5, 0.5]},
    {'image_mean': 0.5, 'image_std': 0.25},
    {'rescale_factor': 0.00784313725490196, 'image_mean': [1, 1, 1], 'image_std': [1, 1, 1]},
    {'do_rescale': False, 'image_mean': [127.5, 127.5, 127.5], 'image_std': [127.5, 127.5, 127.5]},
    {'do_normalize': False},
]
PREPROCESS = [
    {},
    {'resize_mode': 'squash'},
    {'resize_mode': 'longest'},
    {'resize_mode': 'longest', 'fill_color': 128},
    {'interpolation': 'bilinear'},
    {'interpolation': 'bilinear', 'resize_mode': 'squash', 'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5]},
    {'interpolation': 'random', 'mean': 0.5, 'std': 0.25, 'mode': 'RGB', 'size': [32, 32]},
]
PICTURES = ['wide.png', 'tall.png', 'noise.png', 'lines.png', 'half-chroma.jpg']


def bytes_of(pixels, mean, std):
    """The 8-bit pixels of normalised ones."""
    values = pixels * np.array(std).reshape(3, 1, 1) + np.array(mean).reshape(3, 1, 1)
    return np.rint(values * 255).astype(np.uint8).transpose(1, 2, 0)


def pictures(path):
    cases = []

    def add(kind, document, process, mean, std):
        pictures = []
        for name in PICTURES:
            image = Image.open(os.path.join(IMAGES, name)).convert('RGB')
            if document.get('resize_mode') == 'longest' and max(image.size) > 60 * min(image.size):
                continue  # open_clip rounds the shorter side to 0, which Pillow refuses
            pixels = np.asarray(process(image), dtype=np.float64)
            digest = hashlib.sha256(bytes_of(pixels, mean, std).tobytes()).hexdigest()
            pictures.append({'picture': name, 'sha256': digest,
                             'first': [round(float(v), 6) for v in pixels[:, 0, 0]]})
        cases.append({'kind': kind, 'document': document, 'pictures': pictures})

    for changes in PROCESSORS:
        # The two differ in which side gets the odd pixel of a border, and in the resizing's last bit: of borders the
        # default one decides, of pixels Pillow.
        kind = CLIPImageProcessor if changes.get('do_resize') is False else CLIPImageProcessorPil
        process = kind(**{'size': {'shortest_edge': 32}, 'crop_size': 32, **changes})
        three = lambda v: [v] * 3 if isinstance(v, (int, float)) else v
        scale = 255 * (process.rescale_factor if process.do_rescale else 1)
        mean = [v / scale for v in three(process.image_mean)] if process.do_normalize else [0] * 3
        std = [v / scale for v in three(process.image_std)] if process.do_normalize else [1 / scale] * 3
        add('transformers', process.to_dict(),
            lambda image: process(image, return_tensors='np')['pixel_values'][0], mean, std)
    for document in PREPROCESS:
        cfg = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(size=32), {**document, 'size': 32}))
        three = lambda v: [v] * 3 if isinstance(v, (int, float)) else v
        add('open_clip', document, image_transform_v2(cfg, is_train=False), three(cfg.mean), three(cfg.std))
    write_json(path, {'image': 32, 'cases': cases})


def main(out):
    if os.path.exists(out):
        shutil.rmtree(out)
    os.makedirs(out)
    at = lambda name: os.path.join(out, name + '.json')
    transformers_case(at('transformers-heads'), text={'num_attention_heads': 5}, vision={'num_attention_heads': 1},
                      processor={'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.5, 0.5, 0.5]})
    open_clip_case(at('open-clip-heads'), preprocess={'mean': [0.5, 0.4, 0.3], 'std': [0.2, 0.3, 0.4],
                                                      'resize_mode': 'squash'})
    open_clip_case(at('open-clip-80'), vision={'width': 160, 'head_width': 80, 'mlp_ratio': 0.5},
                   text={'pool_type': 'eos', 'eos_id': 39, 'final_ln_after_pool': True}, top={'custom_text': True})
    open_clip_case(at('open-clip-104'), vision={'width': 208, 'head_width': 104, 'mlp_ratio': 0.27, 'patch_dropout': 0.5,
                                                'pos_embed_type': 'sin_cos_2d', 'final_ln_after_pool': True},
                   top={'init_logit_bias': -10.0})
    families(at)
    pictures(at('pictures'))


def families(at):
    """What others' models have that OpenAI's have not."""
    transformers_case(at('transformers-gelu'), text={'hidden_act': 'gelu', 'layer_norm_eps': 1e-6},
                      vision={'hidden_act': 'gelu_new', 'layer_norm_eps': 1e-3})
    siglip_case(at('siglip'), pad=1)
    siglip_case(at('siglip-2'), pad=0, heads=4)
    two = {'layers': 2}
    open_clip_case(at('open-clip-gelu'), vision={**two, 'ls_init_value': 0.1, 'no_ln_pre': True},
                   text={**two, 'ls_init_value': 0.1, 'norm_kwargs': {'eps': 1e-3}, 'act_kwargs': {'approximate': 'tanh'}},
                   top={'quick_gelu': False})
    average = {'pool_type': 'avg', 'no_ln_pre': True}
    last = {'pool_type': 'last', 'no_causal_mask': True}
    open_clip_case(at('clipa'), vision={**two, **average, 'final_ln_after_pool': True},
                   text={**two, **last, 'hf_tokenizer_name': 'bert-base-uncased',
                         'tokenizer_kwargs': {'strip_sep_token': True}}, top={'quick_gelu': False}, ids=[38, 5, 11, 17, 0])
    open_clip_case(at('open-clip-average'), vision={**two, 'pool_type': 'avg'}, text={**two, 'no_causal_mask': True})
    custom = {'quick_gelu': False, 'custom_text': True}
    siglip = {**two, **last, 'proj_bias': True, 'norm_kwargs': {'eps': 1e-6},
              'tokenizer_kwargs': {'clean': 'canonicalize'}}
    half = {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5], 'resize_mode': 'squash'}
    with small_trunk(mlp_ratio=1.5):
        open_clip_case(at('open-clip-siglip'), vision={'timm_model_name': 'vit_base_patch16_siglip_224',
                                                       'timm_pool': 'map', 'timm_proj': 'none'},
                       text={**siglip, 'hf_tokenizer_name': 'timm/ViT-B-16-SigLIP'}, preprocess=half,
                       top={**custom, 'embed_dim': 128, 'init_logit_bias': -10}, ids=PIECES, pad=1)
        open_clip_case(at('open-clip-siglip-2'), vision={'timm_model_name': 'vit_base_patch32_siglip_256',
                                                         'timm_pool': 'map', 'timm_proj': 'none'},
                       text={**siglip, 'hf_tokenizer_name': 'timm/ViT-B-32-SigLIP2-256',
                             'act_kwargs': {'approximate': 'tanh'}, 'proj_bias': False, 'proj_type': 'none',
                             'width': 128, 'mlp_ratio': 1.25}, preprocess=half,
                       top={**custom, 'embed_dim': 128, 'init_logit_bias': -10}, ids=PIECES)
    with small_trunk(ref_feat_shape=(2, 2), mlp_ratio=1.5):
        for name, model in (('pe-core', 'vit_pe_core_small_patch16_384'),
                            ('pe-core-without-class', 'vit_pe_core_gigantic_patch14_448')):
            open_clip_case(at(name), vision={'timm_model_name': model, 'timm_pool': 'map', 'timm_proj': None}, text=two,
                           preprocess={**half, 'interpolation': 'bilinear'}, top=custom)
    with small_trunk():
        open_clip_case(at('timm-clip'), vision={'timm_model_name': 'vit_large_patch14_clip_224', 'timm_pool': 'token',
                                                'timm_proj': None}, text={**two, 'no_causal_mask': True}, top=custom)
        open_clip_case(at('timm-quick'), vision={'timm_model_name': 'vit_base_patch16_clip_quickgelu_224',
                                                 'timm_pool': '', 'timm_proj': 'linear'}, text=two, top=custom)


if __name__ == '__main__':
    main(sys.argv[1])
