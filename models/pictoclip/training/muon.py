"""Muon: momentum whose every step is made orthogonal, for the matrices inside the blocks.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; steps are scaled as in J. Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982, so that AdamW's rate and decay serve both.
"""
import torch


def orthogonal(g, steps=5):
    """The nearest semi-orthogonal matrices, about: Newton-Schulz iteration on a stack (n, rows <= columns)."""
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Parameters are matrices, or several of the same shape below each other: `pieces[p]` says how many."""

    def __init__(self, params, lr=1e-3, momentum=0.95, weight_decay=0.0, pieces=None):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.pieces = pieces or {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            stacks = {}                                     # one batched iteration per shape
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                ahead = p.grad.lerp(buffer, group["momentum"])
                parts = ahead.view(self.pieces.get(p, 1), -1, p.shape[1])
                parts = parts if parts.shape[1] <= parts.shape[2] else parts.mT
                stacks.setdefault(parts.shape[1:], []).append((p, parts))
            for shape, items in stacks.items():
                made = orthogonal(torch.cat([parts for _, parts in items])).mul_(0.2 * max(shape) ** 0.5)
                for (p, parts), update in zip(items, made.split([len(parts) for _, parts in items])):
                    rows = p.shape[0] // len(parts)
                    update = update if update.shape[1] == rows else update.mT
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update.reshape(p.shape), alpha=-group["lr"])
