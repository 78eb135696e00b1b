"""Networks of few blocks of every family at the released sizes, whose weights are never made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from .traced import lazy

TEXT = 64  # channels of the text's states: what is done once a step doesn't count


@dataclass
class Call:
    """A network as a function of latents."""

    network: nn.Module
    run: Callable[[mx.array], mx.array]

    def __call__(self, latents: mx.array) -> mx.array:
        return self.run(latents)


@dataclass(frozen=True)
class Case:
    """latents: a step's. tokens: as large as what goes from block to block. blocks: that a network
    of one more has more.
    """

    network_of: Callable[[int], Call]
    latents: mx.array
    tokens: mx.array
    blocks: int = 1


def cases() -> dict[str, Case]:
    """A clip of each family, of a usual size, without guidance."""
    return {
        "mini, 33 frames at 96x96": factored(),
        "Wan 2.1 1.3B, 81 frames at 832x480": wan(12, 8960),
        "Wan 2.1 14B, 81 frames at 832x480": wan(40, 13824),
        "Latte 1, 16 frames at 512x512": latte(),
        "Open-Sora 1.2, 102 frames at 848x480": opensora(),
        "CogVideoX 5B, 49 frames at 720x480": cogvideox(),
        "LTX-Video 2B, 121 frames at 1216x704": ltx(),
        "HunyuanVideo, 129 frames at 1280x720, dual": hunyuan(dual=True),
        "HunyuanVideo, 129 frames at 1280x720, single": hunyuan(dual=False),
    }


def factored() -> Case:
    from mlxvid.models.factored.config import TransformerConfig
    from mlxvid.models.factored.transformer import FactoredTransformer

    def network_of(blocks: int) -> Call:
        network = lazy(FactoredTransformer(TransformerConfig(num_layers=blocks)), mx.float32)
        text = mx.zeros((1, 32, 128))
        mask = mx.ones((1, 32), mx.bool_)
        given = mx.zeros((1, 9, 12, 12, 17))
        return Call(network, lambda x: network(x, given, mx.zeros((1,)), text, mask))

    return Case(network_of, mx.zeros((1, 9, 12, 12, 16)), mx.zeros((9 * 36, 192)))


def wan(heads: int, inner: int) -> Case:
    from mlxvid.models.wan.config import WanTransformerConfig
    from mlxvid.models.wan.transformer import WanTransformer3DModel

    def network_of(blocks: int) -> Call:
        config = WanTransformerConfig(
            num_attention_heads=heads, ffn_dim=inner, num_layers=blocks, text_dim=TEXT
        )
        network = lazy(WanTransformer3DModel(config), mx.bfloat16)
        text = mx.zeros((1, 512, TEXT))
        return Call(network, lambda x: network(x, mx.zeros((1,)), text))

    tokens = mx.zeros((21 * 30 * 52, 128 * heads), mx.bfloat16)
    return Case(network_of, mx.zeros((1, 21, 60, 104, 16)), tokens)


def latte() -> Case:
    from mlxvid.models.latte.config import LatteConfig
    from mlxvid.models.latte.transformer import LatteTransformer3DModel

    def network_of(blocks: int) -> Call:
        config = LatteConfig(
            attention_head_dim=72,
            out_channels=8,
            num_layers=blocks,
            cross_attention_dim=1152,
            attention_bias=True,
            activation_fn="gelu-approximate",
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            caption_channels=TEXT,
        )
        network = lazy(LatteTransformer3DModel(config), mx.float16)
        text = mx.zeros((1, 120, TEXT))
        return Call(network, lambda x: network(x, mx.zeros((1,)), text))

    tokens = mx.zeros((16 * 32 * 32, 1152), mx.float16)
    return Case(network_of, mx.zeros((1, 16, 64, 64, 4)), tokens, blocks=2)


def opensora() -> Case:
    from mlxvid.models.opensora.config import STDiT3Config
    from mlxvid.models.opensora.transformer import STDiT3

    def network_of(blocks: int) -> Call:
        network = lazy(STDiT3(STDiT3Config(depth=blocks, caption_channels=TEXT)), mx.bfloat16)
        text = mx.zeros((1, 300, TEXT))
        fps = mx.array([24.0])
        return Call(network, lambda x: network(x, mx.zeros((1,)), text, None, fps, 480, 848))

    tokens = mx.zeros((30 * 30 * 53, 1152), mx.bfloat16)
    return Case(network_of, mx.zeros((1, 30, 60, 106, 4)), tokens, blocks=2)


def cogvideox() -> Case:
    from mlxvid.models.cogvideox.config import CogVideoXConfig
    from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel

    def network_of(blocks: int) -> Call:
        config = CogVideoXConfig(
            num_attention_heads=48,
            num_layers=blocks,
            text_embed_dim=TEXT,
            use_rotary_positional_embeddings=True,
        )
        network = lazy(CogVideoXTransformer3DModel(config), mx.bfloat16)
        text = mx.zeros((1, 226, TEXT))
        return Call(network, lambda x: network(x, mx.zeros((1,)), text))

    tokens = mx.zeros((226 + 13 * 30 * 45, 3072), mx.bfloat16)
    return Case(network_of, mx.zeros((1, 13, 60, 90, 16)), tokens)


def ltx() -> Case:
    import numpy as np

    from mlxvid.models.ltx.config import LTXTransformerConfig
    from mlxvid.models.ltx.rope import coords, tables
    from mlxvid.models.ltx.transformer import LTXVideoTransformer3DModel, Times

    grid = (16, 22, 38)

    def network_of(blocks: int) -> Call:
        config = LTXTransformerConfig(num_layers=blocks, caption_channels=TEXT)
        network = lazy(LTXVideoTransformer3DModel(config), mx.bfloat16)
        text = mx.zeros((1, 256, TEXT))
        times = Times.of(np.ones(1))
        rope = tables(config, coords(grid, 25.0, causal=True))
        return Call(network, lambda x: network(x, text, None, times, rope))

    count = 16 * 22 * 38
    return Case(network_of, mx.zeros((1, count, 128)), mx.zeros((count, 2048), mx.bfloat16))


def hunyuan(dual: bool) -> Case:
    from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
    from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel

    def network_of(blocks: int) -> Call:
        config = HunyuanVideoTransformerConfig(
            num_layers=blocks if dual else 1,
            num_single_layers=1 if dual else blocks,
            num_refiner_layers=1,
            text_embed_dim=TEXT,
        )
        network = lazy(HunyuanVideoTransformer3DModel(config), mx.bfloat16)
        text = mx.zeros((1, 256, TEXT))
        pooled = mx.zeros((1, 768))
        times = mx.zeros((1,))
        return Call(network, lambda x: network(x, times, text, pooled, times))

    tokens = mx.zeros((33 * 45 * 80, 3072), mx.bfloat16)
    return Case(network_of, mx.zeros((1, 33, 90, 160, 16)), tokens)
