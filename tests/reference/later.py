"""The methods that came after: maple, promptsrc, kgcoop, tcp, mmrl and mmrlpp, in the same plain functional PyTorch as
reference.py, which this file imports and does not change.

Shapes as there: B images, N classes, n prompt tokens, J prompted layers, d_t / d_v text / vision width, e embedding
width, r width of the space of mmrl's tokens.  f and x are text and image features of length one; "frozen" is the model
without prompts, "teacher" (N, e) its class features.

case keys used below, beside those of reference.py:
  text_weight, image_weight      of the loss's terms (promptsrc, kgcoop, tcp)
  average_mean, average_std      promptsrc: epochs, of the Gaussian by which their ends are averaged
  layer                          tcp: the block, from 0, whose prompt rows become each class's own
  layers                         mmrl, mmrlpp: blocks that get tokens, from 1, ascending
  space, alpha, weight, scale    mmrl, mmrlpp: r; share of the first feature; of both terms; 'model' or 100
  beta, rank, proj_rank          mmrlpp: share of a layer's own tokens; ranks of the differences
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

import reference as ref
from reference import linear, quick_gelu, rng_of, tensor, unit

METHODS = ('maple', 'promptsrc', 'kgcoop', 'tcp', 'mmrl', 'mmrlpp')
OF_A_SPACE = ('mmrl', 'mmrlpp')
OPTIMIZERS = {'maple': 'sgd', 'promptsrc': 'sgd', 'kgcoop': 'sgd', 'tcp': 'adam', 'mmrl': 'adamw', 'mmrlpp': 'adamw'}
EPSILON = {'tcp': 1e-3, 'mmrl': 1e-8, 'mmrlpp': 1e-8}


# ============================================================ towers with rows of prompts in upper layers

def blocks_with(clip, prefix, x, tokens, layers, beta, causal):
    """tokens: one (n, d) for each of layers.  At the entrance of the first they are inserted behind row 0, without
    positions; at each later one they are blended with what stands there."""
    n, used = tokens[0].shape[0], 0
    for l in range(ref.depth(clip, prefix)):
        if l + 1 in layers:
            new = tokens[used].expand(x.shape[0], -1, -1)
            if used == 0:
                x = torch.cat([x[:, :1], new, x[:, 1:]], 1)
            else:
                x = torch.cat([x[:, :1], beta * new + (1 - beta) * x[:, 1:1 + n], x[:, 1 + n:]], 1)
            used += 1
        x = ref.block(x, clip, f'{prefix}resblocks.{l}.', causal)
    return x


def encode_images_with(clip, pixels, tokens, layers, beta):
    """-> what leaves ln_post, before any projection: CLS (B, d_v), and the mean of the n rows (B, d_v)"""
    kernel, B, n = clip['visual.conv1.weight'], pixels.shape[0], tokens[0].shape[0]
    x = F.conv2d(pixels, kernel, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat([clip['visual.class_embedding'].expand(B, 1, -1), x], 1) + clip['visual.positional_embedding']
    x = ref.layer_norm(x, clip['visual.ln_pre.weight'], clip['visual.ln_pre.bias'])
    x = blocks_with(clip, 'visual.transformer.', x, tokens, layers, beta, causal=False)
    x = ref.layer_norm(x, clip['visual.ln_post.weight'], clip['visual.ln_post.bias'])
    return x[:, 0], x[:, 1:1 + n].mean(1)


def encode_tokens_with(clip, ids, eot, tokens, layers, beta):
    """The same on the text side: (N, e).  The mask spans the longer sequence, and the row that is read moves by n."""
    x = clip['token_embedding.weight'][ids] + clip['positional_embedding']
    x = blocks_with(clip, 'transformer.', x, tokens, layers, beta, causal=True)
    x = ref.layer_norm(x, clip['ln_final.weight'], clip['ln_final.bias'])
    return x[torch.arange(x.shape[0]), eot + tokens[0].shape[0]] @ clip['text_projection']


def encode_rows_class_aware(clip, rows, eot, layer, own):
    """rows (N, T, d_t) without positions; at the entrance of block `layer` rows 1..n become own (N, n, d_t)."""
    x, n = rows + clip['positional_embedding'], own.shape[1]
    for l in range(ref.depth(clip, 'transformer.')):
        if l == layer:
            x = torch.cat([x[:, :1], own, x[:, 1 + n:]], 1)
        x = ref.block(x, clip, f'transformer.resblocks.{l}.', causal=True)
    x = ref.layer_norm(x, clip['ln_final.weight'], clip['ln_final.bias'])
    return x[torch.arange(x.shape[0]), eot] @ clip['text_projection']


# ============================================================ methods

def teacher_of(clip, ids):
    """ids (templates, N, T) -> (N, e), of the mean of the features as they leave the tower."""
    return unit(torch.stack([ref.encode_tokens(clip, of_one) for of_one in ids]).mean(0)).detach()


def tokens_of(params, side, count):
    """mmrl, mmrlpp -> list over layers of (n, d)"""
    space = params['tokens']
    if f'to_{side}.weight' not in params:
        return [linear(params, f'to_{side}.{i}', space) for i in range(count)]
    shared = params[f'to_{side}.weight']
    one = lambda i: shared + params[f'to_{side}.{i}.A'] @ params[f'to_{side}.{i}.B']
    return [space @ one(i).T + params[f'to_{side}.{i}.bias'] for i in range(count)]


def features(clip, case, params, inputs, pixels):
    """-> text (N, e) and image (B, e) as they leave the towers, and the second image feature of mmrl, or None"""
    method, ids, eot = case['method'], inputs['class_ids'], inputs['eot']
    if method in OF_A_SPACE:
        layers, beta = case['layers'], case.get('beta', 0.9) if method == 'mmrlpp' else 1.0
        text = encode_tokens_with(clip, ids, eot, tokens_of(params, 'text', len(layers)), layers, beta)
        cls, rows = encode_images_with(clip, pixels, tokens_of(params, 'visual', len(layers)), layers, beta)
        second = params['proj_rep'] if method == 'mmrl' else \
            clip['visual.proj'] + params['proj_rep.A'] @ params['proj_rep.B']
        return text, cls @ clip['visual.proj'], rows @ second
    if method in ('maple', 'promptsrc'):
        words = ref.per_layer(params, 'text')
        seen = ref.per_layer(params, 'visual') if method == 'promptsrc' else \
            [linear(params, f'project.{l}', t) for l, t in enumerate(words)]
        text = ref.encode_rows(clip, ref.with_context(clip, ids, words[0]), eot, words)
        return text, ref.encode_images(clip, pixels, seen), None
    rows = ref.with_context(clip, ids, params['context'])
    if method == 'kgcoop':
        return ref.encode_rows(clip, rows, eot), ref.encode_images(clip, pixels), None
    hidden = quick_gelu(linear(params, 'meta_net.0', inputs['teacher']))
    own = linear(params, 'meta_net.1', hidden).reshape(len(eot), -1, rows.shape[-1])
    return encode_rows_class_aware(clip, rows, eot, case.get('layer', 8), own), ref.encode_images(clip, pixels), None


def forward(clip, case, params, inputs, pixels):
    """-> dict: features, logits as pictures are classified by (mmrl: of both features, and each by itself)"""
    text, image, second = features(clip, case, params, inputs, pixels)
    out = {'text_features': text, 'image_features': image}
    own = case['method'] in OF_A_SPACE and case.get('scale') != 'model'
    s = 100.0 if own else clip['logit_scale'].exp()
    out['logits'] = out['logits_first'] = s * unit(image) @ unit(text).T
    if second is not None:
        a = case.get('alpha', 0.7)
        out['logits_rep'] = s * unit(second) @ unit(text).T
        out['logits'] = a * out['logits_first'] + (1 - a) * out['logits_rep']
    return out


def loss_of(clip, case, inputs, pixels, labels, out):
    method, f, x = case['method'], unit(out['text_features']), unit(out['image_features'])
    loss = F.cross_entropy(out['logits_first'], labels)
    if method == 'maple':
        return loss
    teacher = inputs['teacher']
    to_teacher = 1 - (f * teacher).sum(1).mean()
    if method in ('kgcoop', 'tcp'):
        return loss + case.get('text_weight', 8.0) * to_teacher
    frozen = unit(ref.encode_images(clip, pixels)).detach()
    if method == 'promptsrc':
        target = (clip['logit_scale'].exp() * frozen @ teacher.T).log_softmax(-1)
        divergence = (target.exp() * (target - out['logits'].log_softmax(-1))).sum() / out['logits'].numel()
        return loss + case.get('text_weight', 25.0) * (f - teacher).abs().mean() \
            + case.get('image_weight', 10.0) * (x - frozen).abs().mean() + divergence
    a, weight = case.get('alpha', 0.7), case.get('weight', 1.0)
    loss = a * loss + (1 - a) * F.cross_entropy(out['logits_rep'], labels)
    return loss + weight * (1 - (x * frozen).sum(1).mean()) + weight * to_teacher


def loss_and_gradients(clip, case, params, inputs, pixels, labels):
    """The gradient of a tensor that nothing depends on is None."""
    leaves = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
    out = forward(clip, case, leaves, inputs, pixels)
    loss = loss_of(clip, case, inputs, pixels, labels, out)
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return loss.detach(), dict(zip(leaves, grads)), {k: v.detach() for k, v in out.items()}


# ============================================================ start and steps of training

def prompt_texts(case, names):
    """As the reference's, but that these methods keep the phrase's words beyond the n learned ones."""
    lead = case.get('phrase') or ' '.join(['X'] * case.get('n_text', case.get('n')))
    return [f"{lead} {name.replace('_', ' ')}." for name in names]


def parameter_shapes(case, arch):
    """name -> (shape, kind): the kinds of reference.py, 'normal:deviation' and 'zero'"""
    method, d_t, d_v, e = case['method'], arch['text_width'], arch['vision_width'], arch['embed']
    out = {}

    def lin(name, to, frm):
        out[name + '.weight'], out[name + '.bias'] = ((to, frm), 'linear'), ((to,), f'linear_bias:{frm}')

    if method == 'promptsrc':
        return ref.parameter_shapes('ivlp', case, arch, 0)
    first = 'phrase' if case.get('phrase') else 'normal'
    if method == 'maple':
        n, J = case['n'], case['depth']
        out['text_prompts.0'] = ((n, d_t), first)
        if J > 1:
            out['text_prompts.deep'] = ((J - 1, n, d_t), 'normal')
        for l in range(J):
            lin(f'project.{l}', d_v, d_t)
        return out
    if method in ('kgcoop', 'tcp'):
        out['context'] = ((case['n'], d_t), first)
        if method == 'tcp':
            lin('meta_net.0', e // 4, e)
            lin('meta_net.1', case['n'] * d_t, e // 4)
        return out
    r, count = case['space'], len(case['layers'])
    out['tokens'] = ((case['n'], r), 'normal')
    for side, d in (('text', d_t), ('visual', d_v)):
        if method == 'mmrlpp':
            out[f'to_{side}.weight'] = ((d, r), 'linear')
        for i in range(count):
            if method == 'mmrl':
                lin(f'to_{side}.{i}', d, r)
                continue
            k = case.get('rank', 4)
            out[f'to_{side}.{i}.A'], out[f'to_{side}.{i}.B'] = ((d, k), 'linear'), ((k, r), 'zero')
            out[f'to_{side}.{i}.bias'] = ((d,), f'linear_bias:{r}')
    if method == 'mmrl':
        out['proj_rep'] = ((d_v, e), f'normal:{d_v ** -0.5}')
    else:
        q = case.get('proj_rank', 64)
        out['proj_rep.A'], out['proj_rep.B'] = ((d_v, q), 'linear'), ((q, e), 'zero')
    return out


def first_of(method, name):
    """The tensor that one of a later layer starts equal to where authors clone a Linear; its own name elsewhere."""
    side, _, rest = name.partition('.')
    layer, _, part = rest.partition('.')
    if method == 'maple' and side == 'project' and layer != '0':
        return f'project.1.{part}'
    equal = {'mmrl': ('weight', 'bias'), 'mmrlpp': ('bias',)}.get(method, ())
    return f'{side}.0.{part}' if side.startswith('to_') and part in equal else name


def initial_parameters(case, arch, seed, clip, phrase_ids, zero=0.05, clone=False):
    """zero: the deviation of tensors that the methods start from 0, which would hide the gradient of their factors.
    clone: layers that start equal do, which would hide that they are exchanged."""
    r, out = rng_of('init', case['name'], seed), {}
    for name, (shape, kind) in parameter_shapes(case, arch).items():
        if kind == 'phrase':
            out[name] = clip['token_embedding.weight'][torch.tensor(phrase_ids[:shape[0]])].clone()
        elif kind == 'normal':
            out[name] = tensor(case.get('prompt_std', 0.02) * r.standard_normal(shape), False)
        elif kind.startswith('normal:'):
            out[name] = tensor(float(kind[7:]) * r.standard_normal(shape), True)
        elif kind == 'linear':
            out[name] = tensor(r.uniform(-1, 1, shape) / shape[1] ** 0.5, True)
        elif kind.startswith('linear_bias'):
            out[name] = tensor(r.uniform(-1, 1, shape) / float(kind.split(':')[1]) ** 0.5, False)
        else:
            out[name] = tensor(zero * r.standard_normal(shape), True)
        if clone:
            out[name] = out[first_of(case['method'], name)].clone()
    return out


def optimizer_step(method, params, grads, state, rate, weight_decay=5e-4, momentum=0.9):
    """In place.  SGD and Adam add the decay to the gradient, AdamW keeps it apart; a tensor without gradient is left
    alone: no step, no decay.  state begins as {}."""
    kind, (b1, b2) = OPTIMIZERS[method], (0.9, 0.999)
    t = state['step'] = state.get('step', 0) + 1
    for k, g in grads.items():
        if g is None:
            continue
        p = params[k]
        if kind == 'sgd':
            state[k] = momentum * state.get(k, 0.0) + (g + weight_decay * p)
            params[k] = p - rate * state[k]
            continue
        if kind == 'adamw':
            p = p * (1 - rate * weight_decay)
        else:
            g = g + weight_decay * p
        m, v = state.get(k, (0.0, 0.0))
        m, v = state[k] = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        params[k] = p - rate / (1 - b1 ** t) * m / (v.sqrt() / math.sqrt(1 - b2 ** t) + EPSILON[method])


def epoch_weights(epochs, mean, std):
    """promptsrc: the share of what each epoch ends with in what is kept."""
    w = np.exp(-0.5 * ((np.arange(1, epochs + 1) - mean) / std) ** 2)
    return (w / w.sum()).tolist()
