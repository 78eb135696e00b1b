"""Guidance: how the predictions of several passes through the network become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlx.core as mx

from mlxvid.schedulers import Predict

from .conditions import Conditions

# What steers a pass.
NEGATIVE = "negative"
PROMPT = "prompt"

PredictWith = Callable[[mx.array, float, Conditions], mx.array]
"""The network's output for latents [B, F, H, W, C] at a time, with B rows of conditions."""


def classifier_free(
    predict: PredictWith,
    passes: Mapping[str, Conditions],
    scale: float,
    batch: Conditions | None = None,
) -> Predict:
    """Classifier-free guidance (arXiv:2207.12598): without + scale * (with - without).

    passes: of the negative prompt and of the prompt; of the prompt alone it is the network's own
    output. batch: both stacked, where they go through the network at once.
    """
    if len(passes) == 1:
        return lambda x, time: predict(x, time, passes[PROMPT])

    def guided(x: mx.array, time: float) -> mx.array:
        if batch is not None:
            both = predict(mx.concatenate([x, x]), time, batch)
            without_prompt, with_prompt = mx.split(both, 2)
        else:
            without_prompt = predict(x, time, passes[NEGATIVE])
            with_prompt = predict(x, time, passes[PROMPT])
        return without_prompt + scale * (with_prompt - without_prompt)

    return guided
