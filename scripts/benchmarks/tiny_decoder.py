"""A preview by a tiny decoder beside a step of Wan 2.1's 1.3B, both of the released sizes with
random weights: measured, and by their operations.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx

from mlxvid.layers.bounds import block_ops
from mlxvid.layers.tiny_decoder import TinyDecoder, TinyDecoderConfig
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel
from mlxvid.run.previews import SIDE
from mlxvid.run.tiny import enlargements_within

from .families import drawn
from .timing import median_seconds

WIDTH = 1536
INNER = 8960
BLOCKS = 30
WORDS = 512
PASSES = 2  # with guidance
USUAL = (21, 60, 104)  # latents of the default clip
SMALL = (3, 30, 52)  # what the CPU can do


def bench(repeats: int) -> None:
    """Print what a preview takes of a step: by operations, of the default clip and of a small one,
    and as measured, of the default clip on Metal and of the small one elsewhere.
    """
    measured = USUAL if mx.default_device() == mx.gpu else SMALL
    for size in dict.fromkeys([USUAL, measured]):
        share = preview_ops(size) / step_ops(size)
        print(f"a tiny decoder's preview of latents {size}: {share:.2%} of a step's operations")
    tiny = drawn(TinyDecoder(TinyDecoderConfig()))
    latents = mx.random.normal((1, *measured, 16))
    mx.eval(latents)
    preview = median_seconds(
        lambda: [*tiny.decode(latents, 3, enlargements_within(SIDE, 8 * max(measured)))], repeats
    )
    config = WanTransformerConfig(num_attention_heads=12, num_layers=1, ffn_dim=INNER)
    network = drawn(WanTransformer3DModel(config))
    text = mx.random.normal((1, WORDS, config.text_dim))
    block = median_seconds(lambda: mx.eval(network(latents, mx.array([500.0]), text)), repeats)
    step = block * BLOCKS * PASSES
    print(f"measured: {preview:.2f} s, {preview / step:.2%} of a step of {step:.0f} s")


def step_ops(size: tuple[int, int, int]) -> float:
    """Operations of the blocks in a step."""
    frames, height, width = size
    tokens = frames * (height // 2) * (width // 2)
    return PASSES * BLOCKS * block_ops(tokens, WIDTH, INNER, tokens + WORDS)


def preview_ops(size: tuple[int, int, int]) -> float:
    """Operations of the decoder's convolutions for a rough preview."""
    frames, height, width = size
    config = TinyDecoderConfig()
    enlargements = enlargements_within(SIDE, 8 * max(size))
    positions = frames * height * width
    first = config.widths[0]
    total = 9 * positions * config.channels * first
    for level, times in enumerate(config.frames):
        here = config.widths[level]
        # Three blocks of 2w -> w -> w -> w, and the convolution that makes frames.
        total += positions * (3 * 9 * 4 + times) * here**2
        positions *= times * (4 if level < enlargements else 1)
        total += 9 * positions * here * config.widths[level + 1]
    return 2.0 * (total + 9 * positions * config.widths[-1] * 3)
