"""Guidance: how the outputs of several passes through the network become one prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlx.core as mx

from .conditions import Conditions

# What steers a pass.
NEGATIVE = "negative"
PROMPT = "prompt"

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
