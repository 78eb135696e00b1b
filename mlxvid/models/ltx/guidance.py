"""LTX-Video's guidance: one velocity of up to three passes, by scales that change with the time.

The maths of ltx_video/pipelines/pipeline_ltx_video.py of Lightricks/LTX-Video.
"""

from __future__ import annotations

import mlx.core as mx

from .recipes import Strengths

TINY = 1e-8


def guided(
    strengths: Strengths,
    prompt: mx.array,
    negative: mx.array | None = None,
    perturbed: mx.array | None = None,
    star: bool = False,
) -> mx.array:
    """One velocity, like `prompt`, of the velocities [B, ...] of the passes.

    negative: of the negative prompt; None where there is no such pass, and nothing is added of it.
    perturbed: of the prompt, with blocks left out; None likewise, and nothing is then rescaled, as
    in the release. star: whether the negative prompt's velocity is scaled to the prompt's first.
    Float32 is best: the differences are small.
    """
    velocity = prompt
    if negative is not None:
        if star:
            negative = _projected(negative, prompt)
        velocity = negative + strengths.scale * (prompt - negative)
    if perturbed is None:
        return velocity
    velocity = velocity + strengths.stg * (prompt - perturbed)
    if strengths.rescale == 0:
        return velocity
    axes = tuple(range(1, prompt.ndim))
    ratio = prompt.std(axes, keepdims=True) / velocity.std(axes, keepdims=True)
    return velocity * (strengths.rescale * ratio + 1 - strengths.rescale)


def _projected(negative: mx.array, prompt: mx.array) -> mx.array:
    """`negative` as long as the projection of `prompt` on it (CFG-Zero*, arXiv:2503.18886)."""
    axes = tuple(range(1, prompt.ndim))
    product = (prompt * negative).sum(axes, keepdims=True)
    square = (negative**2).sum(axes, keepdims=True) + TINY
    return product / square * negative
