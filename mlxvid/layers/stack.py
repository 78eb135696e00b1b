"""The stack of a network's blocks, and who may stand in its place: a step cache that knows what the
stack will make (TeaCache, arXiv:2411.19108), or guidance that leaves some of them out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import mlx.core as mx
import mlx.nn as nn

Blocks = Callable[[mx.array], mx.array]
"""All blocks, one after the other, on tokens of any shape."""

Signal = Callable[[], mx.array]
"""What tells how far the stack's input is from that of another call."""

Hook = Callable[[mx.array, Signal, Blocks], mx.array]
"""hook(x, signal, blocks): what stands in the place of blocks(x)."""

_left_out: ContextVar[Collection[int]] = ContextVar("left_out", default=())
_hook: ContextVar[Hook | None] = ContextVar("hook", default=None)


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Have `hook` stand in the place of the stacks of networks that this thread calls."""
    token = _hook.set(hook)
    try:
        yield
    finally:
        _hook.reset(token)


def through(x: mx.array, signal: Signal, blocks: Blocks) -> mx.array:
    """blocks(x), or what a hook makes of it."""
    hook = _hook.get()
    return blocks(x) if hook is None else hook(x, signal, blocks)


@contextmanager
def without(layers: Collection[int]) -> Iterator[None]:
    """Have networks that this thread calls leave out the blocks of these numbers."""
    token = _left_out.set(layers)
    try:
        yield
    finally:
        _left_out.reset(token)


def kept(blocks: Iterable[nn.Module], first: int = 0) -> Iterator[nn.Module]:
    """The blocks that are not left out. first: the number of the first one."""
    for number, block in enumerate(blocks, first):
        if number not in _left_out.get():
            yield block


def is_kept(number: int) -> bool:
    """Whether a block, or what counts as one, is not left out."""
    return number not in _left_out.get()
