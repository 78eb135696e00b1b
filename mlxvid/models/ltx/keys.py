"""The keys of a run's random numbers besides the clip's own noise, which the seed's key draws."""

from __future__ import annotations

import mlx.core as mx

_USES = ("encode", "given", "renoise", "second pass", "decode", "windows")


def key_of(seed: int, use: str, number: int = 0) -> mx.array:
    """The key of one of the `_USES`, and of its `number`."""
    own = mx.random.split(mx.random.key(seed), len(_USES) + 1)[1 + _USES.index(use)]
    return mx.random.split(own, number + 1)[number]
