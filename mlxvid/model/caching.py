"""What is known of step caches without MLX: which there are, and how many steps they need."""

from __future__ import annotations

from math import ceil

CACHES = ("off", "easy")

LEAST_STEPS = 12
"""Fewer steps differ too much from each other for any to be left out."""


def first_full(kind: str, steps: int) -> int:
    """How many of a stage's first steps are computed whatever its cache finds; the last one is,
    too. EasyCache's authors have a fifth for Wan 2.1, TeaCache's the first one.
    """
    return ceil(steps / 5) if kind == "easy" else 1
