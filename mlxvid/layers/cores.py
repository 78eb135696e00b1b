"""Work of the processor, on all of its cores.

MLX's CPU backend computes the operations of a stream one after the other, in one thread; of what
it computes, BLAS alone takes more. Here work that falls into parts has a stream for each core, and
within it BLAS has one thread.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import mlx.core as mx

from mlxvid import _blas

# What is called between evaluations of parts: it may raise, to end the work.
between: ContextVar[Callable[[], None]] = ContextVar("between", default=lambda: None)
_within_a_part: ContextVar[bool] = ContextVar("within_a_part", default=False)


def computes() -> bool:
    """Whether it is the processor that MLX computes on."""
    return mx.default_device() == mx.cpu


def count() -> int:
    """How many parts are computed at once."""
    return _blas.threads()


def whole() -> bool:
    """Whether this is a part of other work already, and stays whole."""
    return _within_a_part.get()


def slices(length: int, most: int) -> list[slice]:
    """Slices of a length, nearly equal, of at most so much each, and as many for every core."""
    if length <= most or whole():
        return [slice(0, length)]
    parts = min(length, math.ceil(length / most / count()) * count())
    stops = [length * part // parts for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(stops)]


def made(parts: Sequence[Callable[[], Any]], *given: mx.array | None) -> list[Any]:
    """The arrays that the parts make of what is given, by the cores in turns.

    With more than one part, what is given and what they make is evaluated here.
    """
    if len(parts) == 1 or whole():
        return [part() for part in parts]
    mx.eval(given)
    streams = _streams(count())
    arrays: list[Any] = []
    with _as_parts(), _blas.one_thread():
        for number, part in enumerate(parts):
            # A part takes its memory when it is begun: no more are begun than there are cores.
            if number >= len(streams):
                mx.eval(arrays[number - len(streams)])
                between.get()()
            with mx.stream(streams[number % len(streams)]):
                arrays.append(part())
            mx.async_eval(arrays[-1])
        mx.eval(arrays)
    return arrays


@cache
def _streams(count: int) -> list[mx.ThreadLocalStream]:
    return [mx.new_thread_local_stream(mx.cpu) for _ in range(count)]


@contextmanager
def _as_parts() -> Iterator[None]:
    token = _within_a_part.set(True)
    try:
        yield
    finally:
        _within_a_part.reset(token)
