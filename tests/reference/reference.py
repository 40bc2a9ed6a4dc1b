"""The executable definition of what this project computes, in plain functional PyTorch.

  CLIP        frozen image tower (ViT) and causal text tower, tensors named as in OpenAI's state dict
  methods     zeroshot, coop, cocoop, vpt, ivlp, mudpt (linear injection), umudpt, uumudpt (transformer injection)
  training    mean cross-entropy, SGD with momentum, one constant warm-up epoch, then a cosine, stepped per epoch

Nothing here is fast and nothing is hidden in classes: a tower is a function of (model, inputs, prompts), a method is a
function that turns its trainable tensors into prompts.  Shapes are in the comments; B images, N classes, n prompt
tokens, J prompted layers, L rows, d_t / d_v text / vision width, e embedding width, T context length.

Used by goldens.py, which makes the golden files, and by models/pictoclip/training.  Needs torch and numpy.
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

# ============================================================ CLIP

HEAD_WIDTH = 64          # OpenAI's CLIP always has width / 64 heads
LN_EPS = 1e-5


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(var + LN_EPS) * weight + bias


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def attention(x, w, p, causal):
    """x (S, L, d) -> (S, L, d).  Multi-head self-attention; in_proj rows are ordered q, k, v."""
    S, L, d = x.shape
    heads = d // HEAD_WIDTH
    qkv = x @ w[p + 'attn.in_proj_weight'].T + w[p + 'attn.in_proj_bias']                    # (S, L, 3d)
    q, k, v = (t.reshape(S, L, heads, HEAD_WIDTH).transpose(1, 2) for t in qkv.split(d, -1))  # (S, heads, L, 64)
    scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD_WIDTH)                                  # (S, heads, L, L)
    if causal:
        hidden = torch.ones(L, L, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, float('-inf'))
    y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(S, L, d)
    return y @ w[p + 'attn.out_proj.weight'].T + w[p + 'attn.out_proj.bias']


def block(x, w, p, causal):
    """One pre-LN transformer block; w maps names to tensors, p is the block's name prefix."""
    x = x + attention(layer_norm(x, w[p + 'ln_1.weight'], w[p + 'ln_1.bias']), w, p, causal)
    h = layer_norm(x, w[p + 'ln_2.weight'], w[p + 'ln_2.bias'])
    h = quick_gelu(h @ w[p + 'mlp.c_fc.weight'].T + w[p + 'mlp.c_fc.bias'])
    return x + h @ w[p + 'mlp.c_proj.weight'].T + w[p + 'mlp.c_proj.bias']


def depth(clip, prefix):
    """Number of blocks whose names begin with prefix ('visual.transformer.' or 'transformer.')."""
    head = prefix + 'resblocks.'
    return 1 + max(int(k[len(head):].split('.')[0]) for k in clip if k.startswith(head))


def encode_images(clip, pixels, prompts=None, trace=None):
    """pixels (B, 3, H, W) normalised -> features (B, e), not normalised.

    prompts: list over layers of (n, d_v).  prompts[0] is appended after the patches, behind the positional embedding
    and before ln_pre; prompts[l] replaces the last n rows at the entrance of layer l.  Entries beyond the tower's depth
    are ignored; layers beyond the list keep what flows through them.  trace (a dict) receives what leaves each stage.
    """
    trace = {} if trace is None else trace
    kernel = clip['visual.conv1.weight']                                             # (d_v, 3, P, P)
    B = pixels.shape[0]
    x = F.conv2d(pixels, kernel, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)  # (B, patches, d_v)
    cls = clip['visual.class_embedding'].expand(B, 1, -1)
    x = torch.cat([cls, x], 1) + clip['visual.positional_embedding']
    if prompts:
        x = torch.cat([x, prompts[0].expand(B, -1, -1)], 1)
    x = trace['visual.ln_pre'] = layer_norm(x, clip['visual.ln_pre.weight'], clip['visual.ln_pre.bias'])
    for l in range(depth(clip, 'visual.transformer.')):
        if prompts and 0 < l < len(prompts):
            n = prompts[l].shape[0]
            x = torch.cat([x[:, :-n], prompts[l].expand(B, -1, -1)], 1)
        x = trace[f'visual.block.{l}'] = block(x, clip, f'visual.transformer.resblocks.{l}.', causal=False)
    x = layer_norm(x[:, 0], clip['visual.ln_post.weight'], clip['visual.ln_post.bias'])
    return x @ clip['visual.proj']


def encode_rows(clip, rows, eot, prompts=None, trace=None):
    """rows (S, T, d_t) without positions, eot (S,) row to read -> features (S, e), not normalised.

    prompts: list over layers of (n, d_t); prompts[0] is already part of rows and not looked at, prompts[l] replaces
    rows 1..n at the entrance of layer l.
    """
    trace = {} if trace is None else trace
    x = rows + clip['positional_embedding']
    for l in range(depth(clip, 'transformer.')):
        if prompts and 0 < l < len(prompts):
            n = prompts[l].shape[0]
            x = torch.cat([x[:, :1], prompts[l].expand(x.shape[0], -1, -1), x[:, 1 + n:]], 1)
        x = trace[f'text.block.{l}'] = block(x, clip, f'transformer.resblocks.{l}.', causal=True)
    x = layer_norm(x, clip['ln_final.weight'], clip['ln_final.bias'])
    return x[torch.arange(x.shape[0]), eot] @ clip['text_projection']


def encode_tokens(clip, ids, trace=None):
    """ids (S, T) -> features (S, e), not normalised; the row read is that of the largest id (end of text)."""
    return encode_rows(clip, clip['token_embedding.weight'][ids], ids.argmax(-1), trace=trace)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


# ============================================================ methods
# case (a dict of hyper-parameters) keys used below:
#   n           prompt tokens                    depth      J, layers that get prompts (first layer included)
#   n_text, n_visual, depth_text, depth_visual   the same, apart for the two sides (ivlp)
#   layer0_fusion                                mudpt: add the projected text prompts to the first visual prompts
#   position    coop: 'end' | 'middle' | 'front' where the class name stands
#   class_specific                               coop: every class has its own context


def with_context(clip, ids, context, position='end', name_lengths=None):
    """Word rows of ids (N, T) with rows 1..n exchanged for the context (n, d_t) or (N, n, d_t).

    'end' keeps [SOS] context name . EOT; 'middle' has n // 2 context rows before the name and the rest after it;
    'front' has the name first.  Name rows are the name_lengths[c] rows behind the n placeholders.
    """
    rows = clip['token_embedding.weight'][ids]
    N, n = ids.shape[0], context.shape[-2]
    context = context.expand(N, -1, -1)
    if position == 'end':
        return torch.cat([rows[:, :1], context, rows[:, 1 + n:]], 1)
    split = {'middle': n // 2, 'front': 0}[position]
    out = []
    for c in range(N):
        name_end = 1 + n + name_lengths[c]
        out.append(torch.cat([rows[c, :1], context[c, :split], rows[c, 1 + n:name_end], context[c, split:],
                              rows[c, name_end:]], 0))
    return torch.stack(out)


def linear(w, p, x):
    return x @ w[p + '.weight'].T + w[p + '.bias']


def light_transformer(w, p, prompts):
    """prompts (layers, n, d) -> (layers, n, d'): LayerNorm, one block, LayerNorm, Linear.

    The n tokens of one layer are the sequence that attends to itself (no mask); layers do not see each other.
    """
    x = layer_norm(prompts, w[p + '.ln_pre.weight'], w[p + '.ln_pre.bias'])
    x = block(x, w, p + '.', causal=False)
    x = layer_norm(x, w[p + '.ln_post.weight'], w[p + '.ln_post.bias'])
    return linear(w, p + '.proj', x)


def per_layer(params, side):
    """'text' or 'visual' raw prompts as a list over layers of (n, d)."""
    first = [params[f'{side}_prompts.0']]
    return first + list(params.get(f'{side}_prompts.deep', []))


def prompts_of(method, params, case):
    """-> (text prompts per layer or None, visual prompts per layer or None), after the injection."""
    if method == 'vpt':
        return None, per_layer(params, 'visual')
    text = per_layer(params, 'text')
    if method == 'ivlp':
        return text, per_layer(params, 'visual')
    if method == 'mudpt':
        visual = per_layer(params, 'visual')
        first = visual[0]
        if case.get('layer0_fusion', True):
            first = first + linear(params, 'inject.layer0', text[0])
        return ([text[0]] + [t + linear(params, 'inject.visual_to_text', v) for t, v in zip(text[1:], visual[1:])],
                [first] + [v + linear(params, 'inject.text_to_visual', t) for t, v in zip(text[1:], visual[1:])])
    from_text = list(light_transformer(params, 'inject.text_to_visual', torch.stack(text)))
    if method == 'umudpt':
        return text, from_text
    if method == 'uumudpt':
        visual = per_layer(params, 'visual')
        fused_text = [text[0]]
        if len(visual) > 1:
            from_visual = light_transformer(params, 'inject.visual_to_text', torch.stack(visual[1:]))
            fused_text += [t + f for t, f in zip(text[1:], from_visual)]
        return fused_text, [v + f for v, f in zip(visual, from_text)]
    raise ValueError(f'unknown method {method!r}')


def forward(clip, case, params, inputs, pixels):
    """-> {'logits' (B, N), 'image_features' (B, e), 'text_features' (N, e) or, for cocoop, (B, N, e)}; features as they
    leave the towers, before they are scaled to length one."""
    method, ids, eot = case['method'], inputs['class_ids'], inputs['eot']
    visual_prompts = None
    if method == 'zeroshot':
        if ids.dim() == 2:
            text = encode_tokens(clip, ids)
        else:                       # (templates, N, T): mean of unit features; scaled again below like any other
            text = torch.stack([unit(encode_tokens(clip, t)) for t in ids]).mean(0)
    elif method == 'vpt':
        text = encode_tokens(clip, ids)
        _, visual_prompts = prompts_of(method, params, case)
    elif method == 'coop':
        rows = with_context(clip, ids, params['context'], case.get('position', 'end'), inputs['name_lengths'])
        text = encode_rows(clip, rows, eot)
    elif method == 'cocoop':
        text = None
    else:
        text_prompts, visual_prompts = prompts_of(method, params, case)
        text = encode_rows(clip, with_context(clip, ids, text_prompts[0]), eot, text_prompts)

    image = encode_images(clip, pixels, visual_prompts)
    if method == 'cocoop':
        # One shift per image, the same for all its context tokens; the text tower runs once per image.
        shift = linear(params, 'meta_net.1', torch.relu(linear(params, 'meta_net.0', unit(image))))    # (B, d_t)
        text = torch.stack([encode_rows(clip, with_context(clip, ids, params['context'] + s), eot) for s in shift])
        cosine = (unit(image)[:, None] * unit(text)).sum(-1)
    else:
        cosine = unit(image) @ unit(text).T
    return {'logits': clip['logit_scale'].exp() * cosine, 'image_features': image, 'text_features': text}


def parameter_shapes(method, case, arch, classes):
    """-> {name: (shape, kind)} in a fixed order; kind says how the tensor starts: 'phrase', 'normal', 'linear',
    'linear_bias:fan_in', 'gain' or 'zero'."""
    d_t, d_v, e = arch['text_width'], arch['vision_width'], arch['embed']
    out = {}

    def prompts(side, n, J, d, first):
        out[f'{side}_prompts.0'] = ((n, d), first)
        if J > 1:
            out[f'{side}_prompts.deep'] = ((J - 1, n, d), 'normal')

    def lin(name, to, frm):
        out[name + '.weight'] = ((to, frm), 'linear')
        out[name + '.bias'] = ((to,), f'linear_bias:{frm}')

    def norm(name, d):
        out[name + '.weight'] = ((d,), 'gain')
        out[name + '.bias'] = ((d,), 'zero')

    def light(name, d, to):
        norm(name + '.ln_pre', d)
        norm(name + '.ln_1', d)
        out[name + '.attn.in_proj_weight'] = ((3 * d, d), 'linear')
        out[name + '.attn.in_proj_bias'] = ((3 * d,), 'zero')
        out[name + '.attn.out_proj.weight'] = ((d, d), 'linear')
        out[name + '.attn.out_proj.bias'] = ((d,), 'zero')
        norm(name + '.ln_2', d)
        lin(name + '.mlp.c_fc', 4 * d, d)
        lin(name + '.mlp.c_proj', d, 4 * d)
        norm(name + '.ln_post', d)
        lin(name + '.proj', to, d)

    first_text = 'phrase' if case.get('phrase') else 'normal'
    n, J = case.get('n'), case.get('depth')
    if method == 'coop':
        out['context'] = ((classes, n, d_t) if case.get('class_specific') else (n, d_t), first_text)
    elif method == 'cocoop':
        out['context'] = ((n, d_t), first_text)
        lin('meta_net.0', e // 16, e)
        lin('meta_net.1', d_t, e // 16)
    elif method == 'vpt':
        prompts('visual', n, J, d_v, 'normal')
    elif method == 'ivlp':
        prompts('text', case['n_text'], case['depth_text'], d_t, first_text)
        prompts('visual', case['n_visual'], case['depth_visual'], d_v, 'normal')
    elif method == 'mudpt':
        prompts('text', n, J, d_t, first_text)
        prompts('visual', n, J, d_v, 'normal')
        if case.get('layer0_fusion', True):
            lin('inject.layer0', d_v, d_t)
        if J > 1:
            lin('inject.text_to_visual', d_v, d_t)
            lin('inject.visual_to_text', d_t, d_v)
    elif method in ('umudpt', 'uumudpt'):
        prompts('text', n, J, d_t, first_text)
        if method == 'uumudpt':
            prompts('visual', n, J, d_v, 'normal')
        light('inject.text_to_visual', d_t, d_v)
        if method == 'uumudpt' and J > 1:
            light('inject.visual_to_text', d_v, d_t)
    elif method != 'zeroshot':
        raise ValueError(f'unknown method {method!r}; one of {", ".join(METHODS)}')
    return out


METHODS = ('zeroshot', 'coop', 'cocoop', 'vpt', 'ivlp', 'mudpt', 'umudpt', 'uumudpt')


# ============================================================ training

WARMUP_RATE, MOMENTUM, WEIGHT_DECAY = 1e-5, 0.9, 5e-4


def learning_rate(base, epochs, epoch):
    """Epoch 0 is a constant warm-up; epoch k >= 1 follows half a cosine that started at epoch 1."""
    if epoch == 0:
        return WARMUP_RATE
    return 0.5 * base * (1 + math.cos(math.pi * (epoch - 1) / epochs))


def sgd_step(params, grads, velocity, rate):
    """In place: v = momentum v + (g + decay p), p = p - rate v.  velocity starts at zero."""
    for k in params:
        g = grads[k] + WEIGHT_DECAY * params[k]
        velocity[k] = MOMENTUM * velocity[k] + g
        params[k] = params[k] - rate * velocity[k]


def loss_and_gradients(clip, case, params, inputs, pixels, labels):
    leaves = {k: v.detach().clone().requires_grad_(True) for k, v in params.items()}
    out = forward(clip, case, leaves, inputs, pixels)
    loss = F.cross_entropy(out['logits'], labels)
    grads = {}
    if leaves:
        values = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        grads = {k: torch.zeros_like(v) if g is None else g for (k, v), g in zip(leaves.items(), values)}
    return loss.detach(), grads, {k: v.detach() for k, v in out.items()}


def train(clip, case, params, inputs, images, batches, epochs, base):
    """batches: list of (image indices, labels), the same every epoch.  -> losses (epochs * steps), final params."""
    params = {k: v.clone() for k, v in params.items()}
    velocity = {k: torch.zeros_like(v) for k, v in params.items()}
    losses = []
    for epoch in range(epochs):
        for index, labels in batches:
            loss, grads, _ = loss_and_gradients(clip, case, params, inputs, images[index], torch.tensor(labels))
            sgd_step(params, grads, velocity, learning_rate(base, epochs, epoch))
            losses.append(loss.item())
    return losses, params


# ============================================================ start of training

def rng_of(*key):
    """A generator that depends on the words and numbers given and nothing else."""
    seed = [int.from_bytes(k.encode(), 'little') % (2 ** 63) if isinstance(k, str) else k for k in key]
    return np.random.Generator(np.random.PCG64(seed))


def tensor(array, half):
    """float32; half = round to what float16 can hold, so that a float16 copy of the file has the very same values."""
    array = np.asarray(array, np.float32)
    if half:
        array = array.astype(np.float16).astype(np.float32)
    return torch.from_numpy(np.array(array))


def initial_parameters(case, arch, seed, clip, phrase_ids, classes):
    """Trainable tensors.  Norm gains and zero biases get a little noise (training from exactly 1 and 0 would hide a
    swapped gain or a forgotten bias).  Matrices hold values that float16 can represent, so they are stored that way."""
    r = rng_of('init', case['name'], seed)
    out = {}
    for name, (shape, kind) in parameter_shapes(case['method'], case, arch, classes).items():
        if kind == 'phrase':
            out[name] = clip['token_embedding.weight'][torch.tensor(phrase_ids[:shape[0]])].clone()
        elif kind == 'normal':
            out[name] = tensor(case.get('prompt_std', 0.02) * r.standard_normal(shape), False)
        elif kind == 'linear':
            out[name] = tensor(r.uniform(-1, 1, shape) / shape[1] ** 0.5, True)
        elif kind.startswith('linear_bias'):
            out[name] = tensor(r.uniform(-1, 1, shape) / float(kind.split(':')[1]) ** 0.5, False)
        else:
            out[name] = tensor((1.0 if kind == 'gain' else 0.0) + 0.1 * r.standard_normal(shape), False)
    return out


# ============================================================ tokens

def encode(tok, text):
    """Ids without the two specials."""
    return tok.encode(text, add_special_tokens=False).ids


def token_rows(tok, texts, context):
    """-> ids (S, context) padded with 0, end-of-text positions (S,)"""
    ids = torch.zeros(len(texts), context, dtype=torch.long)
    for i, text in enumerate(texts):
        row = tok.encode(text).ids
        if len(row) > context:
            raise ValueError(f'{text!r} has {len(row)} tokens, the model reads {context}')
        ids[i, :len(row)] = torch.tensor(row)
    return ids, ids.argmax(-1)


def prompt_texts(case, names):
    """The sentence whose ids fill the rows; the prompt rows' own ids are placeholders that are never looked up."""
    names = [n.replace('_', ' ') for n in names]
    method, phrase = case['method'], case.get('phrase')
    if method == 'zeroshot':
        templates = case.get('templates') or ['a photo of a {}.']
        return [[t.format(n) for n in names] for t in templates]
    n = case.get('n_text', case.get('n'))
    if method in ('vpt', 'ivlp') or (method in ('coop', 'cocoop') and phrase):
        lead = phrase or ' '.join(['X'] * n)            # the whole phrase, also the words beyond the n learned ones
    elif phrase:
        lead = ' '.join(phrase.split()[:n])             # only the first n words
    else:
        lead = ' '.join(['X'] * n)
    return [[f'{lead} {name}.' for name in names]]
