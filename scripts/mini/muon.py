"""Muon with an AdamW for everything that is not a matrix (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/)."""

from __future__ import annotations

import torch


def orthogonal(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix of [..., N, M], by the quintic Newton-Schulz iteration of the Muon post."""
    x = g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, for matrices and convolution kernels (flattened to [out, rest]); AdamW for the rest.

    `matrices` and `others` are lists of parameters; a scheduler sets `lr` of both groups.
    """

    def __init__(self, matrices, others, lr=3e-3, other_lr=2e-3, momentum=0.95, betas=(0.9, 0.98), weight_decay=0.01):
        groups = [dict(params=matrices, lr=lr, base=lr, muon=True), dict(params=others, lr=other_lr, base=other_lr, muon=False)]
        super().__init__(groups, dict(momentum=momentum, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if group["muon"]:
                    m = state.setdefault("m", torch.zeros_like(p))
                    m.mul_(group["momentum"]).add_(p.grad)
                    g = p.grad.add(m, alpha=group["momentum"]).flatten(1)
                    update = orthogonal(g) * max(1, g.shape[0] / g.shape[1]) ** 0.5
                    p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(p), alpha=-group["lr"])
                else:
                    m, v = (state.setdefault(k, torch.zeros_like(p)) for k in "mv")
                    n = state["n"] = state.get("n", 0) + 1
                    b1, b2 = group["betas"]
                    m.lerp_(p.grad, 1 - b1)
                    v.lerp_(p.grad.square(), 1 - b2)
                    p.addcdiv_(m / (1 - b1**n), (v / (1 - b2**n)).sqrt() + 1e-8, value=-group["lr"])
