"""HunyuanVideo beside Diffusers, and one block of each kind at its real width."""

from __future__ import annotations

import time
from typing import Any

from . import Call, Case, drawn

TRANSFORMER: dict[str, Any] = dict(
    num_attention_heads=4,
    num_layers=2,
    num_single_layers=4,
    text_embed_dim=512,
    pooled_projection_dim=128,
)
LATENTS = (1, 9, 16, 24, 16)  # [B, F, H, W, C]
WORDS = 128
TIME = 500.0
GUIDANCE = 6000.0
VAE: dict[str, Any] = dict(block_out_channels=[32, 64, 128, 128])
VAE_LATENTS = (1, 3, 8, 12, 16)


def our_step() -> Call:
    import mlx.core as mx

    from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
    from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel

    network = drawn(HunyuanVideoTransformer3DModel(HunyuanVideoTransformerConfig(**TRANSFORMER)))
    x = mx.random.normal(LATENTS)
    text = mx.random.normal((1, WORDS, TRANSFORMER["text_embed_dim"]))
    pooled = mx.random.normal((1, TRANSFORMER["pooled_projection_dim"]))
    at = mx.array([TIME])
    return lambda: mx.eval(network(x, at, text, pooled, mx.array([GUIDANCE])))


def their_step() -> Call:
    import torch
    from diffusers import HunyuanVideoTransformer3DModel

    network: Any = HunyuanVideoTransformer3DModel(**TRANSFORMER)
    network.eval()
    x = torch.randn(LATENTS).movedim(-1, 1).contiguous()
    text = torch.randn(1, WORDS, TRANSFORMER["text_embed_dim"])
    mask = torch.ones(1, WORDS)
    pooled = torch.randn(1, TRANSFORMER["pooled_projection_dim"])
    at = torch.tensor([TIME])
    return lambda: network(x, at, text, mask, pooled, torch.tensor([GUIDANCE]))


def our_decode() -> Call:
    import mlx.core as mx

    from mlxvid.models.hunyuan.vae import AutoencoderKLHunyuanVideo
    from mlxvid.models.hunyuan.vae_config import HunyuanVideoVAEConfig

    vae = drawn(AutoencoderKLHunyuanVideo(HunyuanVideoVAEConfig(**VAE)))
    z = mx.random.normal(VAE_LATENTS)

    def call() -> None:
        for part in vae.decode(z):
            mx.eval(part)

    return call


def their_decode() -> Call:
    import torch
    from diffusers import AutoencoderKLHunyuanVideo

    vae: Any = AutoencoderKLHunyuanVideo(**VAE)
    vae.eval()
    z = torch.randn(VAE_LATENTS).movedim(-1, 1).contiguous()
    return lambda: vae.decode(z)


CASES = {"step": Case(our_step, their_step), "decode": Case(our_decode, their_decode)}


def at_real_size() -> None:
    """One call of a dual and a single block at their real width with random weights, in float32.

    Shows their time, and what they hold besides weights beside what a plan counts for it.
    """
    import mlx.core as mx

    from mlxvid.models.hunyuan.card import FAMILY
    from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
    from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel

    frames, height, width, channels = LATENTS[1:]
    tokens = frames * (height // 2) * (width // 2)
    x = mx.random.normal((1, frames, height, width, channels))
    text = mx.random.normal((1, WORDS, 4096))
    pooled = mx.random.normal((1, 768))
    for kind, layers in (("dual", 1), ("single", 0)):
        config = HunyuanVideoTransformerConfig(
            num_layers=layers, num_single_layers=1 - layers, num_refiner_layers=0
        )
        network = drawn(HunyuanVideoTransformer3DModel(config))
        mx.eval(x, text, pooled)
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        start = time.perf_counter()
        mx.eval(network(x, mx.array([TIME]), text, pooled, mx.array([GUIDANCE])))
        taken = time.perf_counter() - start
        held = (mx.get_peak_memory() - before) / 2**20
        scores = config.num_attention_heads * (tokens + WORDS)
        block = FAMILY.memory.cpu
        counted = 4 * (tokens + WORDS) * block.values(config.hidden_size, config.mlp_size, scores)
        print(
            f"{kind:<6} block, {tokens} tokens: {taken:5.1f} s a call, held {held:.0f} MiB, "
            f"counted {counted / 2**20:.0f} MiB"
        )
