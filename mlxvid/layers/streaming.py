"""Networks whose weights needn't be in memory all at once.

Such a network's class has `pieces()`, modules by name whose weights are used one after another,
each within :func:`in_memory`, and `tables`, the names of embeddings of which a call uses few rows.
Whoever loads the network may leave the weights of these in their files
(:mod:`mlxvid.weights.streaming`); else they are there all the time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import mlx.nn as nn


def in_memory(piece: nn.Module) -> AbstractContextManager[None]:
    """Where a piece of a network has its weights: what it makes is evaluated before the end."""
    lend = getattr(piece, "lend", nullcontext)
    return lend()
