#!/usr/bin/env python3
"""Makes the golden files of the models and methods: small random CLIPs and, for every method, inputs, outputs,
gradients and a short training run, as reference.py computes them.

  python goldens.py make --config tiny-a --out DIR      writes DIR/tiny-a/ (see the README beside the goldens)
  python goldens.py make --config my-config.json --out DIR
  python goldens.py list                                the built-in configurations and their cases

Needs torch, numpy, safetensors; `make` also needs tokenizers and transformers (to write the Hugging Face layout).
"""
import argparse
import copy
import json
import math
import os
import sys

import numpy as np
import torch

from reference import (HEAD_WIDTH, LN_EPS, MOMENTUM, WARMUP_RATE, WEIGHT_DECAY, depth, encode, encode_images,
                       encode_tokens, initial_parameters, learning_rate, loss_and_gradients, prompt_texts, rng_of,
                       tensor, token_rows, train, unit)

# ============================================================ random models

def random_clip(arch, seed, half):
    """A CLIP with OpenAI's tensor names whose layer norms, attention and features are all far from trivial."""
    r = rng_of('clip', seed)
    w = {}

    def normal(name, shape, std, mean=0.0):
        w[name] = tensor(mean + std * r.standard_normal(shape), half)

    def norm(name, d):
        w[name + '.weight'] = tensor(r.uniform(0.5, 1.5, d), half)
        normal(name + '.bias', d, 0.15)

    def tower(prefix, width, layers):
        for l in range(layers):
            p = f'{prefix}resblocks.{l}.'
            gain = np.repeat([1.1, 1.1, 0.9], width)[:, None]              # q and k large enough for peaked attention
            w[p + 'attn.in_proj_weight'] = tensor(gain * r.standard_normal((3 * width, width)) / width ** 0.5, half)
            normal(p + 'attn.in_proj_bias', 3 * width, 0.1)
            normal(p + 'attn.out_proj.weight', (width, width), 0.8 / width ** 0.5)
            normal(p + 'attn.out_proj.bias', width, 0.05)
            norm(p + 'ln_1', width)
            normal(p + 'mlp.c_fc.weight', (4 * width, width), 0.9 / width ** 0.5)
            normal(p + 'mlp.c_fc.bias', 4 * width, 0.1)
            normal(p + 'mlp.c_proj.weight', (width, 4 * width), 0.9 / (4 * width) ** 0.5)
            normal(p + 'mlp.c_proj.bias', width, 0.05)
            norm(p + 'ln_2', width)

    dv, dt, e, patch = arch['vision_width'], arch['text_width'], arch['embed'], arch['patch']
    rows = (arch['image'] // patch) ** 2 + 1
    normal('visual.class_embedding', dv, 0.5)
    normal('visual.positional_embedding', (rows, dv), 0.4)
    normal('visual.proj', (dv, e), dv ** -0.5)
    normal('visual.conv1.weight', (dv, 3, patch, patch), 1.0 / (3 * patch * patch) ** 0.5)
    norm('visual.ln_pre', dv)
    tower('visual.transformer.', dv, arch['vision_layers'])
    norm('visual.ln_post', dv)
    normal('token_embedding.weight', (arch['vocab'], dt), 0.4)
    normal('positional_embedding', (arch['context'], dt), 0.2)
    tower('transformer.', dt, arch['text_layers'])
    norm('ln_final', dt)
    normal('text_projection', (dt, e), dt ** -0.5)
    w['logit_scale'] = tensor(arch['logit_scale'], half).reshape(())
    return w


def random_images(count, size, seed):
    """Normalised pictures: a slanted wave per channel, a bright disc, some noise.  (count, 3, size, size)"""
    r = rng_of('images', seed)
    y, x = np.mgrid[0:size, 0:size] / size
    out = np.zeros((count, 3, size, size))
    for i in range(count):
        for c in range(3):
            a, b, phase = r.uniform(-9, 9), r.uniform(-9, 9), r.uniform(0, 6.3)
            out[i, c] = np.sin(a * x + b * y + phase)
        cx, cy, rad = r.uniform(.2, .8), r.uniform(.2, .8), r.uniform(.1, .35)
        out[i] += r.uniform(-1.5, 1.5, (3, 1, 1)) * ((x - cx) ** 2 + (y - cy) ** 2 < rad ** 2)
        out[i] += 0.15 * r.standard_normal((3, size, size))
    return tensor(np.clip(out, -1.79, 2.14), True)


# ============================================================ a small tokenizer in CLIP's style

SOS, EOT = '<|startoftext|>', '<|endoftext|>'
WORD_PATTERN = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def captions():
    """A made-up corpus: enough words for a few hundred merges, the common ones often."""
    things = ('cat dog horse tiger zebra sparrow eagle salmon turtle spider butterfly bicycle motorbike airplane '
              'helicopter sailboat train tractor bridge castle lighthouse windmill mountain volcano river waterfall '
              'desert forest meadow orchard sunflower tulip orchid cactus mushroom strawberry pineapple lemon carrot '
              'pumpkin bread cheese pancake teapot kettle spoon knife ladder hammer scissors umbrella telescope '
              'microscope piano violin trumpet guitar drum clock candle lantern mirror carpet sofa chair table window '
              'bottle basket wallet helmet jacket sweater glove boot crown anchor compass globe rocket satellite '
              'residential building highway pasture industrial river lake annual crop land').split()
    looks = ('red green blue yellow small large old new wooden golden striped spotted shiny rusty broken tiny round '
             'narrow painted frozen sleeping flying running bright dark blurry').split()
    places = ('in the garden', 'on a table', 'near the water', 'at night', 'in the snow', 'under the bridge',
              'behind the window', 'on a white background', 'in the rain', 'by the road')
    lines = []
    for i, thing in enumerate(things):
        lines += [f'a photo of a {thing}.', f'a photo of the {looks[i % len(looks)]} {thing}.',
                  f'a picture of {thing} {places[i % len(places)]}.',
                  f'a drawing of a {looks[(i * 7) % len(looks)]} {thing}.',
                  f'a blurry photo of many {thing}s {places[(i * 3) % len(places)]}, x {i}.']
    return lines


def train_tokenizer(vocab):
    """Byte-pair encoding with exactly `vocab` ids: characters, merges in order, then the two specials last."""
    os.environ['TOKENIZERS_PARALLELISM'] = 'false'
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    def shell(model):
        t = Tokenizer(model)
        t.normalizer = normalizers.Sequence([
            normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
        t.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior='removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False)])
        t.decoder = decoders.ByteLevel()
        return t

    printable = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    both = printable + [c + '</w>' for c in printable]
    learner = shell(models.BPE(end_of_word_suffix='</w>', unk_token=EOT))
    learner.train_from_iterator(captions(), trainers.BpeTrainer(
        vocab_size=2 * vocab, initial_alphabet=printable, end_of_word_suffix='</w>', show_progress=False))
    merges = [tuple(m) for m in json.loads(learner.to_str())['model']['merges']]
    room = vocab - len(both) - 2
    if len(merges) < room:
        raise SystemExit(f'the captions give {len(merges)} merges, {room} are needed for a vocabulary of {vocab}')
    merges = merges[:room]
    words = both + [a + b for a, b in merges] + [SOS, EOT]
    assert len(set(words)) == len(words) == vocab
    ids = {word: i for i, word in enumerate(words)}
    tok = shell(models.BPE(vocab=ids, merges=merges, continuing_subword_prefix='', end_of_word_suffix='</w>',
                           fuse_unk=False, unk_token=EOT))
    from tokenizers import AddedToken
    tok.add_special_tokens([AddedToken(SOS, normalized=True, special=True),
                            AddedToken(EOT, normalized=False, special=True)])
    tok.post_processor = processors.RobertaProcessing((EOT, ids[EOT]), (SOS, ids[SOS]), False, False)
    return tok


# ============================================================ file layouts

def hugging_face_names(clip):
    """The same weights under the names (and the transposed projections) of transformers' CLIPModel."""
    out = {
        'logit_scale': clip['logit_scale'],
        'text_projection.weight': clip['text_projection'].T,
        'visual_projection.weight': clip['visual.proj'].T,
        'text_model.embeddings.token_embedding.weight': clip['token_embedding.weight'],
        'text_model.embeddings.position_embedding.weight': clip['positional_embedding'],
        'vision_model.embeddings.class_embedding': clip['visual.class_embedding'],
        'vision_model.embeddings.patch_embedding.weight': clip['visual.conv1.weight'],
        'vision_model.embeddings.position_embedding.weight': clip['visual.positional_embedding'],
    }
    for theirs, ours in (('text_model.final_layer_norm', 'ln_final'), ('vision_model.pre_layrnorm', 'visual.ln_pre'),
                         ('vision_model.post_layernorm', 'visual.ln_post')):
        for leaf in ('.weight', '.bias'):
            out[theirs + leaf] = clip[ours + leaf]
    for theirs, ours in (('text_model', 'transformer.'), ('vision_model', 'visual.transformer.')):
        for l in range(depth(clip, ours)):
            a, b = f'{theirs}.encoder.layers.{l}.', f'{ours}resblocks.{l}.'
            for i, letter in enumerate('qkv'):
                d = clip[b + 'attn.in_proj_bias'].shape[0] // 3
                out[f'{a}self_attn.{letter}_proj.weight'] = clip[b + 'attn.in_proj_weight'][i * d:(i + 1) * d]
                out[f'{a}self_attn.{letter}_proj.bias'] = clip[b + 'attn.in_proj_bias'][i * d:(i + 1) * d]
            for x, y in (('self_attn.out_proj', 'attn.out_proj'), ('layer_norm1', 'ln_1'), ('layer_norm2', 'ln_2'),
                         ('mlp.fc1', 'mlp.c_fc'), ('mlp.fc2', 'mlp.c_proj')):
                for leaf in ('.weight', '.bias'):
                    out[a + x + leaf] = clip[b + y + leaf]
    return {k: v.contiguous() for k, v in out.items()}


def open_clip_custom_text_names(clip):
    """open_clip's custom-text class: everything of the text tower stands below `text.`."""
    return {k if k.startswith('visual.') or k == 'logit_scale' else 'text.' + k: v for k, v in clip.items()}


def hugging_face_model(clip, arch):
    from transformers import CLIPConfig, CLIPModel
    common = dict(hidden_act='quick_gelu', layer_norm_eps=LN_EPS, projection_dim=arch['embed'])
    config = CLIPConfig(
        projection_dim=arch['embed'], logit_scale_init_value=float(clip['logit_scale']),
        text_config=dict(common, vocab_size=arch['vocab'], hidden_size=arch['text_width'],
                         intermediate_size=4 * arch['text_width'], num_hidden_layers=arch['text_layers'],
                         num_attention_heads=arch['text_width'] // HEAD_WIDTH, max_position_embeddings=arch['context'],
                         bos_token_id=arch['vocab'] - 2, eos_token_id=arch['vocab'] - 1,
                         pad_token_id=arch['vocab'] - 1),
        vision_config=dict(common, hidden_size=arch['vision_width'], intermediate_size=4 * arch['vision_width'],
                           num_hidden_layers=arch['vision_layers'],
                           num_attention_heads=arch['vision_width'] // HEAD_WIDTH, image_size=arch['image'],
                           patch_size=arch['patch']))
    model = CLIPModel(config).eval()
    missing, unexpected = model.load_state_dict(hugging_face_names(clip), strict=False)
    missing = [m for m in missing if 'position_ids' not in m]
    assert not missing and not unexpected, (missing, unexpected)
    return model


def write_json(path, value):
    """One key a line at the first two levels, lists of numbers on one line."""
    def flat(v):
        return json.dumps(v, ensure_ascii=False)
    lines = []
    for k, v in value.items():
        if isinstance(v, dict) and v:
            lines.append(f'  {flat(k)}: {{\n' + ',\n'.join(f'    {flat(a)}: {flat(b)}' for a, b in v.items()) + '\n  }')
        elif isinstance(v, list) and v and isinstance(v[0], (dict, str, list)):
            lines.append(f'  {flat(k)}: [\n' + ',\n'.join(f'    {flat(a)}' for a in v) + '\n  ]')
        else:
            lines.append(f'  {flat(k)}: {flat(v)}')
    with open(path, 'w', encoding='utf-8') as f:
        f.write('{\n' + ',\n'.join(lines) + '\n}\n')


def make_readable(directory):
    """safetensors creates files that only their owner may read."""
    for folder, _, names in os.walk(directory):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)


def write_model(directory, clip, arch, tok, dtype):
    from transformers.utils import logging as quiet
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    model = hugging_face_model(clip, arch)
    difference_model = copy.deepcopy(model)
    model.to(dtype).save_pretrained(directory)
    tok.save(os.path.join(directory, 'tokenizer.json'))
    special = {'bos_token': SOS, 'eos_token': EOT, 'unk_token': EOT, 'pad_token': EOT}
    write_json(os.path.join(directory, 'special_tokens_map.json'), special)
    write_json(os.path.join(directory, 'tokenizer_config.json'),
               {'tokenizer_class': 'CLIPTokenizer', **special, 'model_max_length': arch['context'],
                'do_lower_case': True})
    write_json(os.path.join(directory, 'preprocessor_config.json'), {
        'image_processor_type': 'CLIPImageProcessor', 'do_convert_rgb': True, 'do_resize': True,
        'size': {'shortest_edge': arch['image']}, 'resample': 3, 'do_center_crop': True,
        'crop_size': {'height': arch['image'], 'width': arch['image']}, 'do_rescale': True, 'rescale_factor': 1 / 255,
        'do_normalize': True, 'image_mean': [0.48145466, 0.4578275, 0.40821073],
        'image_std': [0.26862954, 0.26130258, 0.27577711]})
    return difference_model


# ============================================================ golden cases

SAMPLE_ABOVE = 8192        # gradients and final values of larger tensors are stored as a sample
SAMPLE_STEP = 37


def relative(a, b):
    """Largest difference as a share of the largest value of b."""
    scale = b.abs().max().item() if b.numel() else 0.0
    return 0.0 if scale == 0.0 else (a.double() - b.double()).abs().max().item() / scale


def cast(tensors, dtype):
    return {k: v.to(dtype) if torch.is_tensor(v) and v.is_floating_point() else v for k, v in tensors.items()}


def tolerance(measured, floor):
    """A round figure: 20 times what PyTorch's own float32 misses by, never below the floor."""
    want = max(20 * measured, floor)
    power = math.floor(math.log10(want))
    return float(f'{math.ceil(want / 10 ** power - 1e-9) * 10 ** power:.0e}')


def make_case(directory, config, case, clip, tok, images):
    from safetensors.torch import save_file
    arch, seed = config['architecture'], config['seed']
    names = config['classes']
    sentences = prompt_texts(case, names)
    ids = [token_rows(tok, s, arch['context']) for s in sentences]
    name_lengths = [len(encode(tok, n.replace('_', ' '))) for n in names]
    inputs = {'class_ids': ids[0][0] if len(ids) == 1 else torch.stack([i for i, _ in ids]),
              'eot': ids[0][1] if len(ids) == 1 else torch.stack([e for _, e in ids]), 'name_lengths': name_lengths}
    phrase_ids = encode(tok, case['phrase']) if case.get('phrase') else None
    if phrase_ids is not None:
        learned = 0 if case['method'] == 'vpt' else case.get('n_text', case.get('n'))
        assert len(phrase_ids) == len(case['phrase'].split()) >= learned, 'each word of the phrase must be one token'
    if case.get('f16_weights'):
        clip = {k: v.half().float() for k, v in clip.items()}
    init = initial_parameters(case, arch, seed, clip, phrase_ids, len(names))

    B = case.get('batch', config['batch'])
    r = rng_of('batches', case['name'], seed)
    batches = [(r.choice(len(images), B, replace=B > len(images)).tolist(), r.integers(0, len(names), B).tolist())
               for _ in range(config['steps'])]
    epochs, base = config['epochs'], case.get('learning_rate', 2.5e-3)

    answers = {}
    for dtype in (torch.float64, torch.float32):
        c, p, im = cast(clip, dtype), cast(init, dtype), images.to(dtype)
        loss, grads, out = loss_and_gradients(c, case, p, inputs, im[batches[0][0]], torch.tensor(batches[0][1]))
        losses, final = train(c, case, p, inputs, im, batches, epochs, base) if init else ([], {})
        trace = {}
        if case['method'] == 'zeroshot' and inputs['class_ids'].dim() == 2:
            # The first image and the first class, stage by stage.
            encode_images(c, im[batches[0][0]][:1], trace=trace)
            encode_tokens(c, inputs['class_ids'][:1], trace=trace)
            rows = int(inputs['eot'][0]) + 1
            trace = {k: (v[0, :rows] if k.startswith('text') else v[0]) for k, v in trace.items()}
        answers[dtype] = dict(out=out, loss=loss, grads=grads, losses=losses, final=final, trace=trace)
    exact, single = answers[torch.float64], answers[torch.float32]

    out = {'class_ids': inputs['class_ids'].int(), 'eot': inputs['eot'].int()}
    statistics = {}
    large = case.get('sample_above', SAMPLE_ABOVE)
    for k, v in init.items():
        half = torch.equal(v.half().float(), v) and v.numel() > large
        out['init.' + k] = v.half() if half else v
    for k, v in exact['out'].items():
        out[k] = v.float()
    out.update({'trace.' + k: v.float() for k, v in exact['trace'].items()})
    out['loss'] = exact['loss'].float().reshape(1)
    if init:
        out['losses'] = torch.tensor(exact['losses'], dtype=torch.float64).float()
    for kind, values in (('grad', exact['grads']), ('final', exact['final'])):
        for k, v in values.items():
            name = f'{kind}.{k}'
            if v.numel() > large:
                out[name + '.sample'] = v.flatten()[::SAMPLE_STEP].float().contiguous()
                statistics[name] = {'sum': v.sum().item(), 'norm': v.norm().item()}
            else:
                out[name] = v.float()
    errors = {k: relative(single['out'][k], exact['out'][k]) for k in exact['out']}
    if exact['trace']:
        errors['trace'] = max(relative(single['trace'][k], v) for k, v in exact['trace'].items())
    errors['loss'] = abs(single['loss'].item() - exact['loss'].item()) / max(abs(exact['loss'].item()), 1e-3)
    if init:
        errors['grad'] = max(relative(single['grads'][k], exact['grads'][k]) for k in init)
        errors['losses'] = max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(single['losses'], exact['losses']))
        errors['final'] = max(relative(single['final'][k], exact['final'][k]) for k in init)
        # what training changed, which is small beside the values themselves
        errors['final_change'] = max(relative(single['final'][k].double() - init[k].double(),
                                              exact['final'][k] - init[k].double()) for k in init)
    tensors = {k: v.contiguous() for k, v in out.items()}
    save_file(tensors, os.path.join(directory, case['name'] + '.safetensors'))
    shapes = {k: [str(v.dtype).replace('torch.', ''), list(v.shape)] for k, v in tensors.items()}
    document = {
        'case': case['name'], 'config': config['name'], 'method': case['method'],
        'hyper_parameters': {k: v for k, v in case.items() if k not in ('name', 'method', 'note', 'sample_above')},
        'note': case.get('note', ''),
        'seed': seed, 'model': 'model', 'classes': names,
        'prompt_texts': sentences if len(sentences) > 1 else sentences[0],
        'name_lengths': name_lengths,
        'trainable': {k: list(v.shape) for k, v in init.items()},
        'batches': [{'images': i, 'labels': l} for i, l in batches],
        'loss': exact['loss'].item(),
    }
    if init:
        document['training'] = {
            'optimizer': 'sgd', 'momentum': MOMENTUM, 'weight_decay': WEIGHT_DECAY, 'dampening': 0, 'nesterov': False,
            'base_learning_rate': base, 'warmup_learning_rate': WARMUP_RATE, 'epochs': epochs,
            'steps_per_epoch': len(batches),
            'learning_rate_per_epoch': [learning_rate(base, epochs, k) for k in range(epochs)],
            'losses': exact['losses']}
    document['sampled'] = statistics
    document['sample_step'] = SAMPLE_STEP
    document['float32_error'] = {k: float(f'{v:.2e}') for k, v in errors.items()}
    floors = {'grad': 1e-4, 'final': 1e-5, 'final_change': 1e-3}
    document['tolerance'] = {k: tolerance(v, floors.get(k, 2e-5)) for k, v in errors.items()}
    document['tensors'] = shapes
    write_json(os.path.join(directory, case['name'] + '.json'), document)
    spread = exact['out']['logits']
    return {'case': case['name'], 'loss_value': round(exact['loss'].item(), 4),
            'last_loss': round(exact['losses'][-1], 4) if init else '', 'logit_std': round(spread.std().item(), 3),
            **{k: f'{v:.1e}' for k, v in errors.items()}}


def make(config, out):
    from safetensors.torch import save_file
    torch.set_num_threads(1)
    arch, seed, half = config['architecture'], config['seed'], config['f16_exact']
    directory = os.path.join(out, config['name'])
    os.makedirs(os.path.join(directory, 'model'), exist_ok=True)
    tok = train_tokenizer(arch['vocab'])
    clip = random_clip(arch, seed, half)
    dtypes = {'f32': torch.float32, 'f16': torch.float16}
    hf = write_model(os.path.join(directory, 'model'), clip, arch, tok, dtypes[config['model_file']])
    files = {'model/model.safetensors': ['hugging_face', config['model_file']]}
    for name, (naming, dtype) in config.get('extra_files', {}).items():
        renamed = {'openai': lambda w: w, 'hugging_face': hugging_face_names,
                   'open_clip_custom_text': open_clip_custom_text_names}[naming](clip)
        save_file({k: v.to(dtypes[dtype]).contiguous() for k, v in renamed.items()}, os.path.join(directory, name))
        files[name] = [naming, dtype]

    images = random_images(config['images'], arch['image'], seed)
    save_file({'images': images}, os.path.join(directory, 'inputs.safetensors'))

    ids, eot = token_rows(tok, [f'a photo of a {n}.' for n in config['classes']], arch['context'])
    with torch.no_grad():
        theirs = hf(input_ids=ids, pixel_values=images).logits_per_image
        padded = ids.clone()
        padded[torch.arange(ids.shape[1])[None] > eot[:, None]] = arch['vocab'] - 1
        theirs_padded = hf(input_ids=padded, pixel_values=images).logits_per_image
        ours = clip['logit_scale'].exp() * unit(encode_images(clip, images)) @ unit(encode_tokens(clip, ids)).T
    hf_error = relative(theirs, ours)
    hf_padded = relative(theirs_padded, ours)

    report = []
    for case in config['cases']:
        report.append(make_case(directory, config, case, clip, tok, images))
    write_json(os.path.join(directory, 'config.json'), {
        'name': config['name'], 'seed': seed, 'architecture': arch,
        'heads': {'vision': arch['vision_width'] // HEAD_WIDTH, 'text': arch['text_width'] // HEAD_WIDTH},
        'f16_exact': half, 'files': files, 'classes': config['classes'],
        'class_name_tokens': [encode(tok, n.replace('_', ' ')) for n in config['classes']],
        'cases': [c['name'] for c in config['cases']],
        'transformers_clipmodel_logits_relative_difference': {
            'padded_with_0': hf_error, 'padded_with_end_of_text': hf_padded}})
    make_readable(directory)
    for line in report:
        print(config['name'], ' '.join(f'{k}={v}' for k, v in line.items()))
    print(config['name'], f'CLIPModel of transformers against reference.py: {hf_error:.1e} (padded with 0), '
                          f'{hf_padded:.1e} (padded with end of text)')
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(directory) for f in fs)
    print(config['name'], f'{size / 1e6:.2f} MB in {directory}')


PHRASE = 'a photo of a'

CONFIGS = {
    'tiny-a': {
        'name': 'tiny-a', 'seed': 11, 'f16_exact': True, 'model_file': 'f32',
        'extra_files': {'openai.safetensors': ['openai', 'f16']},
        'architecture': {'image': 32, 'patch': 8, 'vision_width': 128, 'vision_layers': 3,
                         'text_width': 64, 'text_layers': 3, 'embed': 48, 'context': 77, 'vocab': 512,
                         'logit_scale': 3.0},
        'images': 8, 'batch': 4, 'steps': 4, 'epochs': 3,
        'classes': ['cat', 'sail_boat', 'Annual Crop Land', 'x', 'vivid quilts'],
        'cases': [
            {'name': 'zeroshot', 'method': 'zeroshot'},
            {'name': 'zeroshot-ensemble', 'method': 'zeroshot',
             'templates': ['a photo of a {}.', 'a blurry photo of the small {}.', '{} texture.']},
            {'name': 'coop-end', 'method': 'coop', 'n': 4, 'position': 'end', 'learning_rate': 2e-3},
            {'name': 'coop-middle', 'method': 'coop', 'n': 3, 'position': 'middle', 'learning_rate': 2e-3},
            {'name': 'coop-front', 'method': 'coop', 'n': 2, 'position': 'front', 'learning_rate': 2e-3},
            {'name': 'coop-class-specific', 'method': 'coop', 'n': 4, 'position': 'end', 'class_specific': True,
             'learning_rate': 2e-3},
            {'name': 'coop-class-specific-middle', 'method': 'coop', 'n': 3, 'position': 'middle',
             'class_specific': True, 'learning_rate': 2e-3},
            {'name': 'coop-phrase', 'method': 'coop', 'n': 4, 'position': 'end', 'phrase': PHRASE,
             'learning_rate': 2e-3},
            {'name': 'cocoop', 'method': 'cocoop', 'n': 4, 'phrase': PHRASE, 'batch': 2, 'learning_rate': 2e-3},
            {'name': 'vpt', 'method': 'vpt', 'n': 5, 'depth': 3, 'phrase': PHRASE},
            {'name': 'vpt-shallow', 'method': 'vpt', 'n': 3, 'depth': 1, 'phrase': PHRASE},
            {'name': 'ivlp', 'method': 'ivlp', 'n_text': 2, 'n_visual': 3, 'depth_text': 2, 'depth_visual': 3,
             'phrase': PHRASE,
             'note': 'two of the four words are learned, the other two ("of a") stay in the sentence'},
            {'name': 'mudpt', 'method': 'mudpt', 'n': 2, 'depth': 3, 'phrase': PHRASE,
             'note': 'two of the four words are learned, the other two are dropped from the sentence'},
            {'name': 'mudpt-shallow', 'method': 'mudpt', 'n': 4, 'depth': 1, 'phrase': PHRASE,
             'note': 'only the first layer has prompts, so there are no deep prompts and no shared projections'},
            {'name': 'mudpt-unfused-start', 'method': 'mudpt', 'n': 4, 'depth': 2, 'phrase': PHRASE,
             'layer0_fusion': False,
             'note': 'the first visual prompts get nothing from the text side'},
            {'name': 'umudpt', 'method': 'umudpt', 'n': 4, 'depth': 2, 'phrase': PHRASE, 'sample_above': 4000},
            {'name': 'uumudpt', 'method': 'uumudpt', 'n': 2, 'depth': 3, 'phrase': PHRASE, 'sample_above': 4000},
        ]},
    'tiny-b': {
        'name': 'tiny-b', 'seed': 12, 'f16_exact': True, 'model_file': 'f16', 'extra_files': {},
        'architecture': {'image': 48, 'patch': 16, 'vision_width': 192, 'vision_layers': 2,
                         'text_width': 128, 'text_layers': 3, 'embed': 64, 'context': 77, 'vocab': 600,
                         'logit_scale': 3.5},
        'images': 6, 'batch': 3, 'steps': 4, 'epochs': 3,
        'classes': ['forest', 'Vegetation Land', 'highway or road', 'a', 'old microscope', 'quiz', 'sea or lake'],
        'cases': [
            {'name': 'zeroshot', 'method': 'zeroshot'},
            {'name': 'coop-end', 'method': 'coop', 'n': 16, 'position': 'end', 'learning_rate': 2e-3},
            {'name': 'coop-middle', 'method': 'coop', 'n': 4, 'position': 'middle', 'learning_rate': 2e-3},
            {'name': 'cocoop', 'method': 'cocoop', 'n': 4, 'phrase': PHRASE, 'batch': 1, 'learning_rate': 2e-3},
            {'name': 'vpt', 'method': 'vpt', 'n': 8, 'depth': 2, 'phrase': PHRASE},
            {'name': 'ivlp', 'method': 'ivlp', 'n_text': 4, 'n_visual': 2, 'depth_text': 3, 'depth_visual': 2,
             'phrase': PHRASE},
            {'name': 'mudpt', 'method': 'mudpt', 'n': 4, 'depth': 2, 'phrase': PHRASE},
            {'name': 'mudpt-deeper-than-vision', 'method': 'mudpt', 'n': 2, 'depth': 3, 'phrase': PHRASE,
             'note': 'depth 3 with 2 vision layers: the last deep visual prompts only act through the text side'},
            {'name': 'umudpt', 'method': 'umudpt', 'n': 2, 'depth': 2, 'phrase': PHRASE},
        ]},
}


def load_config(name):
    if name in CONFIGS:
        return CONFIGS[name]
    if os.path.exists(name):
        with open(name, encoding='utf-8') as f:
            return json.load(f)
    raise SystemExit(f'{name!r} is neither a file nor one of: {", ".join(CONFIGS)}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog='\n'.join(__doc__.split('\n')[3:]))
    commands = parser.add_subparsers(dest='command', required=True, metavar='make | list')
    m = commands.add_parser('make', help='write the golden files of one configuration')
    m.add_argument('--config', required=True, help=f'{", ".join(CONFIGS)}, or a JSON file of the same form')
    m.add_argument('--out', required=True, help='folder that receives <config>/')
    m.add_argument('--seed', type=int, help='another seed than the configuration\'s own')
    commands.add_parser('list', help='print the built-in configurations')
    args = parser.parse_args()
    if args.command == 'list':
        for c in CONFIGS.values():
            print(c['name'], json.dumps(c['architecture']))
            for case in c['cases']:
                print('   ', json.dumps(case))
        return
    config = dict(load_config(args.config))
    if args.seed is not None:
        config['seed'] = args.seed
    make(config, args.out)


if __name__ == '__main__':
    sys.exit(main())
