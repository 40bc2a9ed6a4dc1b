"""Ways in which a model's weights are published: each writes the files of a folder."""
import json
import os

import torch
from safetensors.torch import save_file
from timm.models.eva import _convert_pe

SAFE = {'open_clip': 'open_clip_model.safetensors', 'transformers': 'model.safetensors'}
PICKLED = {'open_clip': 'open_clip_pytorch_model.bin', 'transformers': 'pytorch_model.bin'}
SHARDS = 3


def write(folder, name, document):
    with open(os.path.join(folder, name), 'w') as file:
        json.dump(document, file, indent=2)


def describe(folder, made):
    for name, document in made.files.items():
        write(folder, name, document)


def safetensors(folder, layout, made, state):
    describe(folder, made)
    save_file(state, os.path.join(folder, SAFE[layout]), metadata={'format': 'pt'})


def pickled(folder, layout, made, state):
    describe(folder, made)
    torch.save(state, os.path.join(folder, PICKLED[layout]))


def sharded(folder, layout, made, state):
    """Pickled, in several files and an index."""
    describe(folder, made)
    names = sorted(state)
    stem = PICKLED[layout].removesuffix('.bin')
    files = [f'{stem}-{i + 1:05}-of-{SHARDS:05}.bin' for i in range(SHARDS)]
    for i, file in enumerate(files):
        torch.save({name: state[name] for name in names[i::SHARDS]}, os.path.join(folder, file))
    places = {name: files[i % SHARDS] for i, name in enumerate(names)}
    write(folder, f'{PICKLED[layout]}.index.json', {'metadata': {}, 'weight_map': places})


def alone(folder, layout, made, state):
    """Under the name that open_clip knows it by, and nothing beside it."""
    save_file(state, os.path.join(folder, f'{made.family["base"]}.safetensors'))


def archive(folder, layout, made, state):
    """OpenAI's own files: the model as a script, with its sizes in buffers."""
    made.model.register_buffer('input_resolution', torch.tensor(made.side), persistent=True)
    torch.jit.script(made.model).save(os.path.join(folder, 'model.pt'))
    del made.model.input_resolution


def long_clip(folder, layout, made, state):
    """Long-CLIP's own files: the first 20 positions are of one tensor, all others of another."""
    positions = state['positional_embedding']
    other = torch.full_like(positions, 7)
    first = (torch.arange(len(positions)) < 20)[:, None]
    state = {**state, 'positional_embedding': torch.where(first, positions, other),
             'positional_embedding_res': torch.where(first, other, positions)}
    torch.save(state, os.path.join(folder, 'longclip.pt'))


def meta(folder, layout, made, state):
    """Meta's own files of Perception Encoder, of which timm makes its own."""
    trunk = {name.removeprefix('visual.trunk.'): value for name, value in state.items() if name.startswith('visual.')}
    theirs = {}
    for name, value in trunk.items():
        for ours, other in [('patch_embed.proj', 'conv1'), ('pos_embed', 'positional_embedding'), ('norm_pre', 'ln_pre'),
                            ('blocks.', 'transformer.resblocks.'), ('cls_token', 'class_embedding'),
                            ('attn_pool.latent', 'attn_pool.probe'), ('attn_pool.norm', 'attn_pool.layernorm'),
                            ('attn_pool.proj', 'attn_pool.attn.out_proj'), ('norm1', 'ln_1'), ('norm2', 'ln_2'),
                            ('attn.qkv.', 'attn.in_proj_'), ('attn.proj', 'attn.out_proj'), ('fc1', 'c_fc'),
                            ('fc2', 'c_proj')]:
            name = name.replace(ours, other)
        if name.startswith('norm.'):
            name = name.replace('norm', 'ln_post')
        theirs[name] = value
    for part in ('weight', 'bias'):
        theirs[f'attn_pool.attn.in_proj_{part}'] = torch.cat([theirs.pop(f'attn_pool.{one}.{part}') for one in ('q', 'kv')])
    theirs['proj'] = theirs.pop('head.weight').T.contiguous()
    assert not theirs.pop('head.bias').any()
    theirs['positional_embedding'] = theirs['positional_embedding'][0]
    if 'class_embedding' in theirs:
        theirs['class_embedding'] = theirs['class_embedding'][0, 0]
    theirs['attn_pool.probe'] = theirs['attn_pool.probe']
    theirs = {f'visual.{name}': value.clone() for name, value in theirs.items()}
    back = _convert_pe(theirs, made.model.visual.trunk)
    for name, value in trunk.items():
        assert torch.equal(back[name].reshape(value.shape), value), name
    texts = {name.removeprefix('text.'): value for name, value in state.items() if not name.startswith('visual.')}
    torch.save({**theirs, **texts}, os.path.join(folder, f'{made.family["meta"]}.pt'))


KINDS = {'safetensors': safetensors, 'pickled': pickled, 'sharded': sharded, 'alone': alone, 'archive': archive,
         'own': long_clip, 'Meta’s': meta}


def kinds_of(family, layout):
    """Rows of a model in a layout: [type of the weights, kind]."""
    if layout == 'transformers' and not family['hugging_face']:
        return []
    rows = [(dtype, kind) for dtype in ('f32', 'f16') for kind in ('safetensors', 'pickled')]
    if layout == 'open_clip':
        is_plain = not (family['vision'] or family['text'] or family['top'] or 'Mobile' in family['base'])
        rows += [('f16', 'alone')] * is_plain
        rows += [('f32', 'archive')] * family['name'].startswith('OpenAI')
        rows += [('f32', 'own')] * family['name'].startswith('Long-CLIP')
        rows += [('f16', 'Meta’s')] * bool(family['meta'])
    rows += [('f16', 'sharded')] * family['name'].startswith('TinyCLIP')
    return rows
