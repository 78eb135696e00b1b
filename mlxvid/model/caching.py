"""What is known of step caches without MLX: which there are, and how many steps they need."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import ceil

CACHES = ("off", "easy", "tea")


@dataclass(frozen=True)
class Tea:
    """TeaCache's constants of a model (arXiv:2411.19108; ali-vilab/TeaCache).

    coefficients: of the polynomial that makes of the change of a stack's input the change of its
    output, the highest power first. threshold: that its authors have for little loss.
    """

    coefficients: tuple[float, ...]
    threshold: float

    def distance(self, change: float) -> float:
        """How far a stack's output has moved where its input has by that share."""
        return functools.reduce(lambda sum, factor: sum * change + factor, self.coefficients, 0.0)


LEAST_STEPS = 12
"""Fewer steps differ too much from each other for any to be left out."""


def first_full(kind: str, steps: int) -> int:
    """How many of a stage's first steps are computed whatever its cache finds; the last one is,
    too. EasyCache's authors have a fifth for Wan 2.1, TeaCache's the first one.
    """
    return ceil(steps / 5) if kind == "easy" else 1
