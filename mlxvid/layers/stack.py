"""The stack of a network's blocks, and who may stand in its place: a step cache that knows what the
stack will make (TeaCache, arXiv:2411.19108).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import mlx.core as mx

Blocks = Callable[[mx.array], mx.array]
"""All blocks, one after the other, on tokens of any shape."""

Signal = Callable[[], mx.array]
"""What tells how far the stack's input is from that of another call."""

Hook = Callable[[mx.array, Signal, Blocks], mx.array]
"""hook(x, signal, blocks): what stands in the place of blocks(x)."""

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
