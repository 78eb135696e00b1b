"""Wan 2.1 beside Diffusers, and the 1.3B's transformer at its real size."""

from __future__ import annotations

import time
from typing import Any

from . import Call, Case, drawn

TRANSFORMER: dict[str, Any] = dict(
    num_attention_heads=6,
    attention_head_dim=128,
    in_channels=16,
    out_channels=16,
    text_dim=512,
    ffn_dim=3072,
    num_layers=6,
)
LATENTS = (1, 9, 16, 24, 16)  # [B, F, H, W, C]
WORDS = 128
VAE: dict[str, Any] = dict(base_dim=48, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2)
VAE_LATENTS = (1, 3, 8, 12, 16)


def our_step() -> Call:
    import mlx.core as mx

    from mlxvid.models.wan.config import WanTransformerConfig
    from mlxvid.models.wan.transformer import WanTransformer3DModel

    network = drawn(WanTransformer3DModel(WanTransformerConfig(**TRANSFORMER)))
    x = mx.random.normal(LATENTS)
    text = mx.random.normal((1, WORDS, TRANSFORMER["text_dim"]))
    return lambda: mx.eval(network(x, mx.array([500.0]), text))


def their_step() -> Call:
    import torch
    from diffusers import WanTransformer3DModel

    network: Any = WanTransformer3DModel(**TRANSFORMER)
    network.eval()
    x = torch.randn(LATENTS).movedim(-1, 1).contiguous()
    text = torch.randn(1, WORDS, TRANSFORMER["text_dim"])
    return lambda: network(x, torch.tensor([500]), text)


def our_decode() -> Call:
    import mlx.core as mx

    from mlxvid.models.wan.vae import AutoencoderKLWan
    from mlxvid.models.wan.vae_config import WanVAEConfig

    vae = drawn(AutoencoderKLWan(WanVAEConfig(**VAE)))
    z = mx.random.normal(VAE_LATENTS)

    def call() -> None:
        for part in vae.decode(z):
            mx.eval(part)

    return call


def their_decode() -> Call:
    import torch
    from diffusers import AutoencoderKLWan

    vae: Any = AutoencoderKLWan(**VAE)
    vae.eval()
    z = torch.randn(VAE_LATENTS).movedim(-1, 1).contiguous()
    return lambda: vae.decode(z)


CASES = {"step": Case(our_step, their_step), "decode": Case(our_decode, their_decode)}


def at_real_size() -> None:
    """One call of the 1.3B's transformer with random weights, in float32 and in 4 bits.

    Shows that it runs, its time and its memory. Few tokens and words, since MLX's quantized product
    takes about a second a token on a CPU.
    """
    import mlx.core as mx
    import mlx.nn as nn

    from mlxvid.models.wan.config import WanTransformerConfig
    from mlxvid.models.wan.transformer import WanTransformer3DModel

    x = mx.random.normal((1, 1, 4, 8, 16))
    text = mx.random.normal((1, 8, 4096))
    config = WanTransformerConfig(num_attention_heads=12, ffn_dim=8960, num_layers=30)
    network = drawn(WanTransformer3DModel(config))
    for name in ("float32", "4-bit"):
        if name == "4-bit":
            nn.quantize(network, 64, 4, class_predicate=network.quantizable)
        mx.eval(network.parameters())
        mx.clear_cache()
        mx.reset_peak_memory()
        start = time.perf_counter()
        mx.eval(network(x, mx.array([500.0]), text))
        taken = time.perf_counter() - start
        peak = mx.get_peak_memory() / 2**30
        print(f"1.3B {name:<8} 8 tokens: {taken:6.1f} s a call, peak memory {peak:.2f} GiB")
