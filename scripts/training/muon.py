"""Muon, with AdamW for everything that is not a matrix.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch


def orthogonal(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix of [..., N, M].

    By the quintic Newton-Schulz iteration of the Muon post.
    """
    x = g / (g.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(steps):
        a = x @ x.mT
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for matrices and convolution kernels, AdamW for the rest.

    Kernels are flattened to [out, rest]. A learning-rate schedule scales each group's `base` and
    writes the result to its `lr`.
    """

    def __init__(
        self,
        matrices: Iterable[torch.Tensor],
        others: Iterable[torch.Tensor],
        lr: float = 3e-3,
        other_lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.01,
    ):
        groups = [
            dict(params=matrices, lr=lr, base=lr, muon=True),
            dict(params=others, lr=other_lr, base=other_lr, muon=False),
        ]
        super().__init__(groups, dict(momentum=momentum, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients that the parameters have.

        The base class allows a closure that computes the loss anew; nothing here uses one.
        """
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            if group["muon"]:
                self._step_matrices(group, given)
            else:
                self._step_others(group, given)

    def _step_matrices(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        # Matrices of one shape are made orthogonal together: one call of many small products.
        alike: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
        for p in parameters:
            alike[p.flatten(1).shape].append(p)
        for (rows, columns), some in alike.items():
            directions = []
            for p in some:
                assert p.grad is not None
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad)
                directions.append(p.grad.add(m, alpha=group["momentum"]).flatten(1))
            updates = orthogonal(torch.stack(directions)) * max(1, rows / columns) ** 0.5
            for p, update in zip(some, updates, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"])

    def _step_others(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        b1, b2 = group["betas"]
        for p in parameters:
            assert p.grad is not None
            state = self.state[p]
            m = state.setdefault("m", torch.zeros_like(p))
            v = state.setdefault("v", torch.zeros_like(p))
            n = state["n"] = state.get("n", 0) + 1
            m.lerp_(p.grad, 1 - b1)
            v.lerp_(p.grad.square(), 1 - b2)
            p.addcdiv_(m / (1 - b1**n), (v / (1 - b2**n)).sqrt() + 1e-8, value=-group["lr"])
