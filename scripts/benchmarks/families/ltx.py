"""LTX-Video beside Diffusers, and what the newest VAE holds at its real size beside the plan."""

from __future__ import annotations

import time
from typing import Any

from . import Call, Case, drawn

TRANSFORMER: dict[str, Any] = dict(
    num_attention_heads=8,
    attention_head_dim=64,
    cross_attention_dim=512,
    num_layers=6,
    caption_channels=512,
)
LATENTS = (1, 9, 12, 20, 128)  # [B, F, H, W, C]
TOKENS = 9 * 12 * 20
WORDS = 128
FPS = 25.0
# Half of the released widths.
VAE: dict[str, Any] = dict(
    latent_channels=64,
    block_out_channels=[64, 128, 256, 512, 1024],
    decoder_block_out_channels=[128, 256, 512],
    down_block_types=["LTXVideo095DownBlock3D"] * 4,
    downsample_type=["spatial", "temporal", "spatiotemporal", "spatiotemporal"],
    layers_per_block=[4, 6, 6, 2, 2],
    decoder_layers_per_block=[5, 5, 5, 5],
    spatio_temporal_scaling=[True] * 4,
    decoder_spatio_temporal_scaling=[True] * 3,
    decoder_inject_noise=[False] * 4,
    upsample_residual=[True] * 3,
    upsample_factor=[2] * 3,
    timestep_conditioning=True,
)
VAE_LATENTS = (1, 2, 6, 8, 64)
DECODE_TIME = 0.05


def our_step() -> Call:
    import mlx.core as mx
    import numpy as np

    from mlxvid.models.ltx.config import LTXTransformerConfig
    from mlxvid.models.ltx.rope import coords, tables
    from mlxvid.models.ltx.transformer import LTXVideoTransformer3DModel, Times

    config = LTXTransformerConfig(**TRANSFORMER)
    network = drawn(LTXVideoTransformer3DModel(config))
    x = mx.random.normal((1, TOKENS, LATENTS[-1]))
    text = mx.random.normal((1, WORDS, TRANSFORMER["caption_channels"]))
    rope = tables(config, coords(LATENTS[1:4], FPS, causal=True))
    times = Times.of(np.array([0.5]))
    return lambda: mx.eval(network(x, text, None, times, rope))


def their_step() -> Call:
    import torch
    from diffusers import LTXVideoTransformer3DModel

    network: Any = LTXVideoTransformer3DModel(**TRANSFORMER)
    network.eval()
    _, frames, height, width, channels = LATENTS
    shape = {"num_frames": frames, "height": height, "width": width}
    scale = (8 / FPS, 32, 32)
    x = torch.randn(1, TOKENS, channels)
    text = torch.randn(1, WORDS, TRANSFORMER["caption_channels"])
    time = torch.tensor([500.0])
    mask = torch.ones(1, WORDS)
    return lambda: network(x, text, time, mask, **shape, rope_interpolation_scale=scale)


def our_decode() -> Call:
    import mlx.core as mx

    from mlxvid.models.ltx.vae import AutoencoderKLLTXVideo
    from mlxvid.models.ltx.vae_config import LTXVAEConfig

    vae = drawn(AutoencoderKLLTXVideo(LTXVAEConfig(**VAE)))
    return _decoding(vae, mx.random.normal(VAE_LATENTS))


def their_decode() -> Call:
    import torch
    from diffusers import AutoencoderKLLTXVideo

    vae: Any = AutoencoderKLLTXVideo(**VAE)
    vae.eval()
    z = torch.randn(VAE_LATENTS).movedim(-1, 1).contiguous()
    return lambda: vae.decode(z, torch.tensor([DECODE_TIME]))


def _decoding(vae: Any, latents: Any) -> Call:
    import mlx.core as mx

    def call() -> None:
        for part in vae.decode(latents, DECODE_TIME):
            mx.eval(part)

    return call


CASES = {"step": Case(our_step, their_step), "decode": Case(our_decode, their_decode)}


def at_real_size() -> None:
    """The newest VAE decoding at its real widths with random weights: its memory beside the plan's,
    at two sizes. The weights are counted: those of the encoder are never made.
    """
    import mlx.core as mx

    from mlxvid.models.ltx.vae import AutoencoderKLLTXVideo
    from mlxvid.models.ltx.vae_config import LTXVAEConfig
    from mlxvid.run.planning import plan

    real = {
        **VAE,
        "latent_channels": 128,
        "block_out_channels": [128, 256, 512, 1024, 2048],
        "decoder_block_out_channels": [256, 512, 1024],
    }
    vae = AutoencoderKLLTXVideo(LTXVAEConfig(**real))
    drawn(vae.decoder)
    for width, height, frames in ((256, 160, 17), (384, 256, 9)):
        planned = plan("ltxv-2b-0.9.6-dev", width=width, height=height, frames=frames)
        weights = sum(planned.weights["vae"].values())
        expected = planned.stage_bytes["decode"]
        latents = mx.random.normal((1, (frames - 1) // 8 + 1, height // 32, width // 32, 128))
        mx.eval(latents)
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        start = time.perf_counter()
        _decoding(vae, latents)()
        taken = time.perf_counter() - start
        held = mx.get_peak_memory() - before
        peak = weights + held
        print(
            f"decode {width}x{height}, {frames} frames: {taken:6.1f} s, {held / 2**20:.0f} MiB "
            f"beside weights; peak {peak / 2**20:.0f} MiB, planned {expected / 2**20:.0f} MiB, "
            f"ratio {expected / peak:.2f}",
            flush=True,
        )
