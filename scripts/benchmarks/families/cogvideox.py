"""CogVideoX beside Diffusers."""

from __future__ import annotations

from typing import Any

from . import Call, Case, drawn

TRANSFORMER: dict[str, Any] = dict(
    num_attention_heads=12,
    attention_head_dim=64,
    in_channels=16,
    out_channels=16,
    text_embed_dim=512,
    num_layers=6,
    sample_width=24,
    sample_height=16,
    sample_frames=33,
    max_text_seq_length=128,
)
LATENTS = (1, 9, 16, 24, 16)  # [B, F, H, W, C]
VAE: dict[str, Any] = dict(block_out_channels=[64, 128, 128, 256], layers_per_block=2)
VAE_LATENTS = (1, 3, 8, 12, 16)


def our_step() -> Call:
    import mlx.core as mx

    from mlxvid.models.cogvideox.config import CogVideoXConfig
    from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel

    network = drawn(CogVideoXTransformer3DModel(CogVideoXConfig(**TRANSFORMER)))
    x = mx.random.normal(LATENTS)
    text = mx.random.normal((1, TRANSFORMER["max_text_seq_length"], TRANSFORMER["text_embed_dim"]))
    return lambda: mx.eval(network(x, mx.array([500.0]), text))


def their_step() -> Call:
    import torch
    from diffusers import CogVideoXTransformer3DModel

    network: Any = CogVideoXTransformer3DModel(**TRANSFORMER)
    network.eval()
    x = torch.randn(LATENTS).movedim(-1, 2).contiguous()
    text = torch.randn(1, TRANSFORMER["max_text_seq_length"], TRANSFORMER["text_embed_dim"])
    return lambda: network(x, text, torch.tensor([500]))


def our_decode() -> Call:
    import mlx.core as mx

    from mlxvid.models.cogvideox.vae import AutoencoderKLCogVideoX
    from mlxvid.models.cogvideox.vae_config import CogVideoXVAEConfig

    vae = drawn(AutoencoderKLCogVideoX(CogVideoXVAEConfig(**VAE)))
    z = mx.random.normal(VAE_LATENTS)

    def call() -> None:
        for part in vae.decode(z):
            mx.eval(part)

    return call


def their_decode() -> Call:
    import torch
    from diffusers import AutoencoderKLCogVideoX

    vae: Any = AutoencoderKLCogVideoX(**VAE)
    vae.eval()
    z = torch.randn(VAE_LATENTS).movedim(-1, 1).contiguous()
    return lambda: vae.decode(z)


CASES = {"step": Case(our_step, their_step), "decode": Case(our_decode, their_decode)}
