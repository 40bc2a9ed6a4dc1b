#!/usr/bin/env python3
"""Makes tests/data/pickled: what torch.save and TorchScript write, in every way in which weights are published.

  python pickled.py MODEL.safetensors OUT      needs torch, safetensors; the model is that of tests/node/pickled.test.js

Small ones hold tensors whose value number i is i; tests/node/pickled.test.js has what each of them holds.
"""
import argparse
import os
import sys
from collections import OrderedDict

import torch
from safetensors.torch import load_file

MODEL, OUT = sys.argv[1:]


def numbers(*shape, dtype=torch.float32):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape).to(dtype)


def save(value, name, **options):
    torch.save(value, os.path.join(OUT, name), **options)


class Node(torch.nn.Module):
    def forward(self, x):
        return x


def script(tensors):
    """Modules with these tensors, as OpenAI's archives have them."""
    root = Node()
    for name, value in tensors.items():
        at = root
        *path, last = name.split('.')
        for part in path:
            if not hasattr(at, part):
                at.add_module(part, Node())
            at = getattr(at, part)
        if value.is_floating_point():
            at.register_parameter(last, torch.nn.Parameter(value))
        else:
            at.register_buffer(last, value)
    return torch.jit.script(root)


os.makedirs(OUT, exist_ok=True)
plain = OrderedDict(a=numbers(2, 3), b=numbers(5))
save(plain, 'plain.bin')
save(plain, 'old.bin', _use_new_zipfile_serialization=False)
save(plain, 'protocol-4.bin', pickle_protocol=4)
save(plain, 'protocol-5.bin', pickle_protocol=5)
linear = torch.nn.Linear(3, 2)
linear.weight.data, linear.bias.data = numbers(2, 3), numbers(2)
save(linear.state_dict(), 'metadata.bin')
save({'epoch': 3, 'name': 'a run', 'best': 0.5, 'big': 2 ** 70, 'seen': {1, 2}, 'raw': b'\x00\xff', 'none': None,
      'model': {f'module.{key}': torch.nn.Parameter(value) for key, value in plain.items()},
      'optimizer': {'state': {0: {'step': torch.tensor(3.), 'exp_avg': numbers(2, 3)}},
                    'param_groups': [{'lr': 1e-3, 'betas': (0.9, 0.98), 'params': [0, 1]}]},
      'size': torch.Size([2, 3]), 'type': torch.float16, 'device': torch.device('cpu')}, 'run.pt')
optimizer = torch.optim.SGD([torch.nn.Parameter(value) for value in plain.values()], lr=0.002, momentum=0.9)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50.)
# Dassl's warm-up, which every trainer of CoOp's kind has, keeps the schedule that follows it.
for new in (True, False):
    save({'state_dict': plain, 'epoch': 50, 'optimizer': optimizer.state_dict(), 'val_result': None,
          'scheduler': {'successor': schedule, 'warmup_epoch': 1, 'cons_lr': 1e-5, **schedule.state_dict()}},
         f'dassl{"" if new else "-old"}.pt', _use_new_zipfile_serialization=new)
save({str(dtype)[6:]: numbers(2, 3, dtype=dtype) for dtype in (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.uint16, torch.float8_e4m3fn)}, 'types.bin')
flat = numbers(24)
save({'whole': flat, 'part': flat[6:12].view(2, 3), 'turned': flat.view(4, 6).t(), 'columns': flat.view(4, 6)[:, 1:3],
      'turned3': flat.view(2, 3, 4).permute(2, 0, 1), 'again': flat, 'scalar': torch.tensor(7.), 'row': flat.view(24, 1).t(),
      'empty': torch.empty(0, 3), 'half': numbers(2, 3, dtype=torch.float16).t()}, 'views.bin')
save({'a': numbers(1, 3).expand(4, 3)}, 'expanded.bin')
save({'a': numbers(2, 3), 'args': argparse.Namespace(lr=1)}, 'namespace.pt')
save(torch.nn.Sequential(linear), 'module.pt')
save({'a': numbers(2, 3).to_sparse()}, 'sparse.pt')
save({'a': numbers(2, 3).to(torch.complex64)}, 'complex.pt')
save({'epoch': 3, 'weights': plain}, 'elsewhere.pt')
save([numbers(2, 3)], 'list.pt')
torch.jit.trace(torch.nn.Sequential(linear, torch.nn.LayerNorm(2)), torch.ones(1, 3)).save(os.path.join(OUT, 'trace.pt'))

model = load_file(MODEL)
save(OrderedDict((name, value.half()) for name, value in model.items()), 'clip.bin')
script({**{name: value.half() for name, value in model.items()}, 'input_resolution': torch.tensor(16),
        'context_length': torch.tensor(8), 'vocab_size': torch.tensor(40)}).save(os.path.join(OUT, 'clip-script.pt'))
