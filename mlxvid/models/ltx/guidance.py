"""LTX-Video's guidance: one velocity of up to three passes, by scales that change with the time.

The maths of ltx_video/pipelines/pipeline_ltx_video.py of Lightricks/LTX-Video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import mlx.core as mx

Value = TypeVar("Value")

TINY = 1e-8


@dataclass(frozen=True)
class Guidance:
    """The guidance of one step.

    scale: of classifier-free guidance; at 1 or less there is no pass of the negative prompt. stg:
    of spatio-temporal guidance (arXiv:2411.18664); at 0 there is no perturbed pass. rescale: how
    much of the result's standard deviation is brought back to that of the prompt's pass, 0 to 1.
    blocks: whose self-attention the perturbed pass leaves out. star: whether the negative prompt's
    velocity is scaled to the prompt's first.
    """

    scale: float = 1.0
    stg: float = 0.0
    rescale: float = 0.0
    blocks: tuple[int, ...] = ()
    star: bool = False

    @property
    def has_negative(self) -> bool:
        """Whether there is a pass of the negative prompt."""
        return self.scale > 1

    @property
    def has_perturbed(self) -> bool:
        """Whether there is a perturbed pass."""
        return self.stg > 0 and bool(self.blocks)


@dataclass(frozen=True)
class Schedule:
    """Guidance by time, as the releases' recipes have it.

    times: from which on (downwards) each value of the sequences counts; none where there is one
    value. A `rescale` of 1 is none: so the release reads it, and it rescales only beside `stg`.
    Raises ValueError for sequences of different lengths.
    """

    scale: Sequence[float] = (1.0,)
    stg: Sequence[float] = (0.0,)
    rescale: Sequence[float] = (0.0,)
    blocks: Sequence[Sequence[int]] = ((),)
    times: Sequence[float] = ()
    star: bool = False

    def __post_init__(self):
        allowed = {1, max(1, len(self.times))}
        for name in ("scale", "stg", "rescale", "blocks"):
            count = len(getattr(self, name))
            if count not in allowed:
                raise ValueError(f"{count} values of {name} for {len(self.times)} times")

    def at(self, time: float) -> Guidance:
        """The guidance of the step that begins at `time`: of the first that is not above it."""
        place = len(self.times) - 1
        for i, start in enumerate(self.times):
            if start <= time:
                place = i
                break
        stg = _pick(self.stg, place)
        rescale = _pick(self.rescale, place)
        if rescale == 1 or stg <= 0:
            rescale = 0.0
        blocks = tuple(_pick(self.blocks, place))
        return Guidance(_pick(self.scale, place), stg, rescale, blocks, self.star)


def _pick(values: Sequence[Value], place: int) -> Value:
    return values[place] if len(values) > 1 else values[0]


def guided(
    guidance: Guidance,
    prompt: mx.array,
    negative: mx.array | None = None,
    perturbed: mx.array | None = None,
) -> mx.array:
    """One velocity, like `prompt`, of the velocities [B, ...] of the passes.

    negative: of the negative prompt; None where `guidance` has none, and nothing is added of it.
    perturbed: of the prompt, with blocks left out; None likewise. Float32 is best: the differences
    are small.
    """
    velocity = prompt
    if negative is not None:
        if guidance.star:
            negative = _projected(negative, prompt)
        velocity = negative + guidance.scale * (prompt - negative)
    if perturbed is not None:
        velocity = velocity + guidance.stg * (prompt - perturbed)
    if guidance.rescale == 0:
        return velocity
    axes = tuple(range(1, prompt.ndim))
    ratio = prompt.std(axes, keepdims=True) / velocity.std(axes, keepdims=True)
    return velocity * (guidance.rescale * ratio + 1 - guidance.rescale)


def _projected(negative: mx.array, prompt: mx.array) -> mx.array:
    """`negative` as long as the projection of `prompt` on it (CFG-Zero*, arXiv:2503.18886)."""
    axes = tuple(range(1, prompt.ndim))
    product = (prompt * negative).sum(axes, keepdims=True)
    square = (negative**2).sum(axes, keepdims=True) + TINY
    return product / square * negative
