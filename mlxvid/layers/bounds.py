"""The most work of one evaluation, in one place, and who hears of evaluations within a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import mlx.core as mx
import mlx.nn as nn

from . import cores

# Floating-point operations of one mx.eval on Metal. macOS kills GPU work that keeps the display
# waiting for some seconds (ml-explore/mlx#3267); this much takes the slowest M1 about one second,
# and far more than the few milliseconds that an evaluation costs.
EVAL_OPS = 2e12

Layer = Callable[..., mx.array]

Listener = Callable[[float | None], None]
"""listener(share): what is done of the network's call, 0 to 1, or None within a block."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


# A run whose work took too long goes on with a half, then with a quarter of the bound.
SMALLEST = 1 / 4


class _Bound:
    ops = EVAL_OPS


def eval_ops() -> float:
    """The bound for one evaluation, in floating-point operations."""
    return _Bound.ops


def share() -> float:
    """What of the usual bound there is, 1 or less: what bounds work otherwise, by positions or
    values, takes its share of that.
    """
    return _Bound.ops / EVAL_OPS


def halve() -> bool:
    """Halve the bound, for when the system has killed an evaluation that took too long; False
    where that was done twice already.
    """
    if share() <= SMALLEST:
        return False
    _Bound.ops /= 2
    return True


@contextmanager
def of_one_run() -> Iterator[None]:
    """The bound is after the block what it was before. A process makes one run at a time."""
    before = _Bound.ops
    try:
        yield
    finally:
        _Bound.ops = before


@contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """Have `listener` told of every evaluation of this thread; what it raises ends the work."""
    token = _listener.set(listener)
    of_parts = cores.between.set(lambda: listener(None))
    try:
        yield
    finally:
        cores.between.reset(of_parts)
        _listener.reset(token)


def evaluate(x: mx.array, share: float | None = None) -> None:
    """Evaluate `x`, and tell who listens. share: as in :data:`Listener`."""
    mx.eval(x)
    listener = _listener.get()
    if listener is not None:
        listener(share)


def in_rows(layer: Layer, x: mx.array, row_ops: float, *others: mx.array) -> mx.array:
    """layer(x, *others) for arrays [..., C] of as many rows, in as many parts of these as keep each
    within the bound.

    layer: works on each row alone, such as a linear layer or a feed-forward. row_ops: its
    floating-point operations a row. With more than one part, each is evaluated here.
    """
    rows = math.prod(x.shape[:-1])
    count = math.ceil(rows * row_ops / eval_ops())
    size = math.ceil(rows / max(count, 1))
    if size >= rows:
        return layer(x, *others)
    flat = [array.reshape(rows, -1) for array in (x, *others)]
    for array in flat:
        evaluate(array)
    parts = []
    for start in range(0, rows, size):
        part = layer(*(array[start : start + size] for array in flat))
        evaluate(part)
        parts.append(part)
    return mx.concatenate(parts).reshape(*x.shape[:-1], -1)


def linear(layer: nn.Module, x: mx.array) -> mx.array:
    """A linear layer of x [..., C], quantized or not, in parts as :func:`in_rows` has them."""
    return in_rows(layer, x, 2.0 * x.shape[-1] * layer.weight.shape[0])


def block_ops(tokens: int, width: int, inner: int, keys: int) -> float:
    """Operations of a transformer block: self-attention, cross-attention, feed-forward.

    tokens: of all rows. inner: the feed-forward's width. keys: that each token attends to.
    """
    return 2.0 * tokens * width * (8 * width + 2 * inner + 2 * keys)


class Pace:
    """The evaluations of a network's blocks: as many blocks each as stay within the bound."""

    def __init__(self, blocks: int, ops: float):
        """blocks: that the network has. ops: operations of one."""
        self._blocks = blocks
        self._each = max(1, int(eval_ops() / ops))
        self._passed = 0

    def passed(self, x: mx.array) -> mx.array:
        """The next block's output, evaluated if its turn has come."""
        self._passed += 1
        if self._passed % self._each == 0:
            evaluate(x, self._passed / self._blocks)
        return x
