"""Guidance: how the outputs of several passes through the network become one prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlx.core as mx

from .conditions import Conditions
from .passes import NEGATIVE as NEGATIVE
from .passes import PROMPT as PROMPT
from .passes import WITHOUT_LAYERS as WITHOUT_LAYERS

TINY = 1e-8
# Of APG: how much of the earlier changes is taken back, as in its paper. The paper's limit on the
# norm of a change, 15, is for pictures of one size; on the embedded model limits of that kind left
# of a clip nothing that was asked for.
MOMENTUM = -0.5

PredictWith = Callable[[mx.array, float, Conditions], mx.array]
"""The network's output for latents [B, F, H, W, C] at a time, with B rows of conditions."""

Outputs = dict[str, mx.array]
"""The network's output of each pass, by what steers it."""


def outputs_of(
    predict: PredictWith,
    x: mx.array,
    time: float,
    passes: Mapping[str, Conditions],
    batch: Conditions | None = None,
) -> Outputs:
    """The network's output of each pass. batch: the conditions of all of them, stacked, where they
    go through the network at once.
    """
    if batch is None:
        return {name: predict(x, time, conditions) for name, conditions in passes.items()}
    together = predict(mx.concatenate([x] * len(passes)), time, batch)
    return dict(zip(passes, mx.split(together, len(passes)), strict=True))


def classifier_free(outputs: Outputs, scale: float) -> mx.array:
    """Classifier-free guidance (arXiv:2207.12598): without + scale * (with - without).

    Of the prompt's pass alone it is that pass's output.
    """
    with_prompt = outputs[PROMPT]
    without_prompt = outputs.get(NEGATIVE)
    if without_prompt is None:
        return with_prompt
    return without_prompt + scale * (with_prompt - without_prompt)


def zero_star(outputs: Outputs, scale: float) -> mx.array:
    """Classifier-free guidance from the negative prompt's output, as long as the projection of the
    prompt's on it (CFG-Zero*, arXiv:2503.18886). Of the prompt's pass alone it is its output.
    """
    with_prompt = outputs[PROMPT]
    without_prompt = outputs.get(NEGATIVE)
    if without_prompt is None:
        return with_prompt
    axes = tuple(range(1, with_prompt.ndim))
    product = (with_prompt * without_prompt).sum(axes, keepdims=True)
    square = (without_prompt**2).sum(axes, keepdims=True) + TINY
    without_prompt = product / square * without_prompt
    return without_prompt + scale * (with_prompt - without_prompt)


def projected(
    outputs: Outputs,
    scale: float,
    average: mx.array | None = None,
    momentum: float = MOMENTUM,
    eta: float = 0.0,
    longest: float | None = None,
) -> tuple[mx.array, mx.array]:
    """Adaptive projected guidance (APG, arXiv:2410.02416): what the prompt changes, without its
    part along the prompt's own output, which makes clips garish. Outputs of both passes.

    average: of the earlier changes, which the second result goes on with, by `momentum`; None at
    the beginning. eta: how much of that part stays. longest: the norm of a change at most, None for
    no limit.
    """
    with_prompt = outputs[PROMPT]
    without_prompt = outputs[NEGATIVE]
    axes = tuple(range(1, with_prompt.ndim))
    change = with_prompt - without_prompt
    if average is not None:
        change = change + momentum * average
    average = change
    if longest is not None:
        change = change * mx.minimum(1.0, longest / (_norm(change, axes) + TINY))
    direction = with_prompt / (_norm(with_prompt, axes) + TINY)
    parallel = (change * direction).sum(axes, keepdims=True) * direction
    return without_prompt + scale * (change - parallel + eta * parallel), average


def away_from_skipped(outputs: Outputs, prediction: mx.array, scale: float) -> mx.array:
    """Skipped-layer guidance on top of another's prediction; without any other, in its place."""
    with_prompt = outputs[PROMPT]
    without_layers = outputs[WITHOUT_LAYERS]
    base = prediction if NEGATIVE in outputs else without_layers
    return base + scale * (with_prompt - without_layers)


def _norm(x: mx.array, axes: tuple[int, ...]) -> mx.array:
    return mx.sqrt((x**2).sum(axes, keepdims=True))
