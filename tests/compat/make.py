"""Makes random models of CLIP's family through open_clip and transformers, one at a time, with what these compute.

  python make.py [PATTERN]      for tests/compat/compat.js, which reads a line of JSON for each model on standard
                                output, uses the folder, and answers with an empty line on standard input

The folder is emptied before the next model is made. The pattern is of a row's first columns: 'SigLIP.*f32'. What is
computed is computed in f32, of the weights as they are stored.
"""
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile

import numpy as np
import open_clip
import timm
import torch
import transformers
from safetensors.torch import save_file

from families import FAMILIES, LAYERS, SIGLIP
from kinds import KINDS, kinds_of, write
from refused import refused_models

TORCH = {'f32': torch.float32, 'f16': torch.float16}


@contextlib.contextmanager
def two_layers():
    """timm's towers have their depth by their name."""
    create = timm.create_model
    timm.create_model = lambda *args, **keys: create(*args, **{**keys, 'depth': LAYERS})
    try:
        yield
    finally:
        timm.create_model = create


def fill(model, seed):
    """Numbers of usual size, so that every weight has its effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            if name.endswith('logit_scale'):
                value.fill_(3)
            elif name.endswith('trunk.head.bias'):
                value.zero_()  # Perception Encoder's, which Meta's own files do not have
            elif name.endswith('logit_bias'):
                value.fill_(-5)
            else:
                is_gain = value.ndim < 2 and ('norm' in name or 'ln_' in name) and name.endswith('weight')
                deviation = 0.7 * value[0].numel() ** -0.5 if value.ndim > 1 and value.shape[0] > 1 else 0.2
                value.normal_(0, deviation, generator=generator)
                value.add_(1.0 if is_gain or name.endswith('gamma') else 0.0)
    return model.eval()


def picture(side):
    y, x = np.mgrid[0:side, 0:side]
    waves = [127 + 120 * np.sin(x / 7 + c) * np.cos(y / (5 + c)) for c in range(3)]
    return np.stack(waves, -1).astype(np.uint8)


def pixels(image, mean, std):
    values = (image / np.float32(255) - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]


def sentence(text, end):
    """Ids as the model's tokenizer puts them: [sentence, the same filled up to the context]."""
    vocab, context, tokenizer = text['vocab_size'], text['context_length'], text.get('hf_tokenizer_name') or ''
    words = [320, 1125, 539, 2368]
    pad = 0
    if 'SigLIP' in tokenizer:
        ids = words + [1]
        pad = 0 if 'SigLIP2' in tokenizer else 1
    elif 'bert' in tokenizer:
        ids = [101] + words  # open_clip puts 0 in the place of the token at the end
    elif end is not None:
        ids, pad = [0] + words + [end], 1
    else:
        ids = [vocab - 2] + words + [vocab - 1]
    return ids, torch.tensor([ids + [pad] * (context - len(ids))]), pad


def statistics(base):
    """What the published models of this kind do with pictures."""
    half = [0.5, 0.5, 0.5]
    if 'SigLIP' in base:
        return {'mean': half, 'std': half, 'interpolation': 'bicubic', 'resize_mode': 'squash'}
    if 'PE-Core' in base:
        return {'mean': half, 'std': half, 'interpolation': 'bilinear', 'resize_mode': 'squash'}
    if 'CLIPA' in base:
        return {'mean': list(open_clip.IMAGENET_MEAN) if hasattr(open_clip, 'IMAGENET_MEAN') else [0.485, 0.456, 0.406],
                'std': [0.229, 0.224, 0.225], 'interpolation': 'bilinear', 'resize_mode': 'squash'}
    return {'mean': [0.48145466, 0.4578275, 0.40821073], 'std': [0.26862954, 0.26130258, 0.27577711],
            'interpolation': 'bicubic', 'resize_mode': 'shortest'}


def config_of(family):
    config = open_clip.get_model_config(family['base'])
    config.update(family['top'])
    config['vision_cfg'].update(family['vision'])
    config['text_cfg'].update(family['text'])
    config['text_cfg']['layers'] = LAYERS
    if 'timm_model_name' not in config['vision_cfg']:
        config['vision_cfg']['layers'] = LAYERS
    return config


class Made:
    """A model with what its program computes of a picture and a sentence, and with the files that describe it."""

    def __init__(self, model, family, files, side, ids, compute):
        self.model, self.family, self.files, self.side, self.ids = model, family, files, side, ids
        self.compute = compute

    def state(self, dtype):
        """Weights as they are stored. From now on the model has these."""
        self.model.to(TORCH[dtype]).float()
        return {name: value.to(TORCH[dtype]).contiguous().clone() for name, value in self.model.state_dict().items()
                if value.is_floating_point()}

    def results(self):
        with torch.no_grad():
            return {name: value.flatten().tolist() for name, value in self.compute().items()}


def with_open_clip(family, seed):
    config = config_of(family)
    arguments = {key: value for key, value in config.items() if key != 'custom_text'}
    kind = open_clip.CustomTextCLIP if config.get('custom_text') else open_clip.CLIP
    with two_layers():
        model = fill(kind(**arguments), seed)
    preprocess = statistics(family['base'])
    side = config['vision_cfg']['image_size']
    ids, filled_up, _ = sentence(config['text_cfg'], family['end'])
    values = pixels(picture(side), preprocess['mean'], preprocess['std'])
    files = {'open_clip_config.json': {'model_cfg': config, 'preprocess_cfg': {'size': side, 'mode': 'RGB', **preprocess}}}
    return Made(model, family, files, side, ids, lambda: {
        'image': model.encode_image(values), 'text': model.encode_text(filled_up),
        'logits': model.get_logits(values, filled_up)[0]})


def with_transformers(family, seed):
    config = config_of(family)
    vision, text = config['vision_cfg'], config['text_cfg']
    kind = getattr(transformers, family['hugging_face'])
    is_siglip = family['hugging_face'] == SIGLIP
    ids, filled_up, pad = sentence(text, family['end'])
    tower = {'layer_norm_eps': 1e-5, 'hidden_act': 'quick_gelu' if config.get('quick_gelu') else 'gelu'}
    if is_siglip:
        tower = {'layer_norm_eps': 1e-6, 'hidden_act': 'gelu_pytorch_tanh'}
        trunk = timm.create_model(vision['timm_model_name'], depth=1, num_classes=0)
        vision.update(width=trunk.embed_dim, head_width=trunk.embed_dim // trunk.blocks[0].attn.num_heads,
                      patch_size=trunk.patch_embed.patch_size[0],
                      mlp_ratio=trunk.blocks[0].mlp.fc1.out_features / trunk.embed_dim)
    ends = {'eos_token_id': family['end']} if family['end'] else {}
    configuration = kind.config_class(
        vision_config={**tower, 'hidden_size': vision['width'], 'num_hidden_layers': LAYERS,
                       'num_attention_heads': vision['width'] // vision.get('head_width', 64),
                       'intermediate_size': round(vision['width'] * vision.get('mlp_ratio', 4)),
                       'image_size': vision['image_size'], 'patch_size': vision['patch_size']},
        text_config={**tower, **ends, 'hidden_size': text['width'], 'num_hidden_layers': LAYERS,
                     'num_attention_heads': text['heads'], 'vocab_size': text['vocab_size'],
                     'intermediate_size': int(text['width'] * text.get('mlp_ratio', 4)),
                     'max_position_embeddings': text['context_length'],
                     **({'projection_size': config['embed_dim']} if is_siglip else {})},
        **({} if is_siglip else {'projection_dim': config['embed_dim']}))
    model = fill(kind(configuration), seed)
    preprocess = statistics(family['base'])
    side = vision['image_size']
    values = pixels(picture(side), preprocess['mean'], preprocess['std'])

    def compute():
        image = model.vision_model(pixel_values=values).pooler_output
        written = model.text_model(input_ids=filled_up).pooler_output
        if not is_siglip:
            image, written = model.visual_projection(image), model.text_projection(written)
        logits = model(input_ids=filled_up, pixel_values=values).logits_per_image
        return {'image': image, 'text': written, 'logits': logits}

    squash = preprocess['resize_mode'] == 'squash'
    processor = {'image_processor_type': 'SiglipImageProcessor' if is_siglip else 'CLIPImageProcessor',
                 'size': {'height': side, 'width': side} if squash else {'shortest_edge': side}, 'resample': 3,
                 'image_mean': preprocess['mean'], 'image_std': preprocess['std'],
                 **({} if squash else {'crop_size': {'height': side, 'width': side}})}
    files = {'config.json': json.loads(model.config.to_json_string()), 'preprocessor_config.json': processor}
    if is_siglip:
        files['tokenizer_config.json'] = {'pad_token': '</s>' if pad else '<pad>'}
    return Made(model, family, files, side, ids, compute)


def tell(folder, message):
    print(json.dumps({'folder': folder, **message}), flush=True)
    sys.stdin.readline()
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))


def main(pattern=''):
    wanted = lambda *columns: re.search(pattern, ' '.join(columns), re.I)
    root = tempfile.mkdtemp(prefix='mudpt-compat-')
    try:
        for seed, family in enumerate(FAMILIES):
            for layout, make in {'open_clip': with_open_clip, 'transformers': with_transformers}.items():
                rows = [(dtype, kind) for dtype, kind in kinds_of(family, layout)
                        if wanted(family['name'], layout, dtype, kind)]
                if rows:
                    tell_all(root, rows, layout, make(family, seed))
        for name, layout, files, key in refused_models():
            if not wanted(name, layout):
                continue
            for file, document in files.items():
                write(root, file, document)
            save_file({'token_embedding.weight': torch.zeros(8, 8)}, os.path.join(root, 'model.safetensors'))
            tell(root, {'family': name, 'layout': layout, 'refused': key})
    finally:
        shutil.rmtree(root)


def tell_all(root, rows, layout, made):
    """The same model in each way, f32 first: f16 changes its weights."""
    for dtype in TORCH:
        kinds = [kind for one, kind in rows if one == dtype]
        if not kinds:
            continue
        state, expected = made.state(dtype), made.results()
        for kind in kinds:
            more = KINDS[kind](root, layout, made, state) or {}
            tell(root, {'family': made.family['name'], 'layout': layout, 'dtype': dtype, 'kind': kind, 'ids': made.ids,
                        'side': made.side, 'picture': picture(made.side).flatten().tolist(), **expected, **more})


if __name__ == '__main__':
    main(*sys.argv[1:])
