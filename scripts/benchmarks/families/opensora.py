"""Open-Sora's blocks beside those of Diffusers' Latte at the same size.

Open-Sora's own reference can't be installed.
"""

from __future__ import annotations

from typing import Any

from . import Call, Case, drawn, latte

TRANSFORMER: dict[str, Any] = dict(
    hidden_size=576, num_heads=8, depth=6, caption_channels=512, model_max_length=latte.WORDS
)


def our_step() -> Call:
    import mlx.core as mx

    from mlxvid.models.opensora.config import STDiT3Config
    from mlxvid.models.opensora.transformer import STDiT3

    network = drawn(STDiT3(STDiT3Config(**TRANSFORMER)))
    x = mx.random.normal(latte.LATENTS)
    text = mx.random.normal((1, latte.WORDS, TRANSFORMER["caption_channels"]))
    time = mx.array([500.0])
    fps = mx.array([24.0])
    return lambda: mx.eval(network(x, time, text, None, fps, 192.0, 256.0))


CASES = {"step": Case(our_step, latte.their_step)}
