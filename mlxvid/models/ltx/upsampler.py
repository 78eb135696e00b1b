"""LTX-Video's latent upsamplers, and what brings upsampled latents back to the first pass's look.

Names and maths of the networks are those of Diffusers' ``LTXLatentUpsamplerModel``; the functions
are those of the original repository, Lightricks/LTX-Video.
"""

from __future__ import annotations

from math import prod

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers import bounds
from mlxvid.layers.conv import CentredConv3d, FrameConv2d, Stream, channels_last
from mlxvid.layers.passing import Layer, passed
from mlxvid.layers.processor import silu

from .upsampler_config import GROUPS, LTXUpsamplerConfig
from .vae_blocks import from_channels


class ResBlock(nn.Module):
    """A convolution and a group norm, twice, added to the input before the last SiLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = centred(channels, channels)
        self.norm1 = group_norm(channels)
        self.conv2 = centred(channels, channels)
        self.norm2 = group_norm(channels)

    def __call__(self, x: mx.array) -> mx.array:
        h = silu(self.norm1(convolved(self.conv1, x)))
        return silu(self.norm2(convolved(self.conv2, h)) + x)


class LTXLatentUpsamplerModel(nn.Module):
    """Latents [B, f, h, w, C] -> [B, f, 2h, 2w, C], [B, 2f - 1, h, w, C], or both.

    They are as the VAE's encoder made them, not normalised (``scaled_back`` of the VAE). Float32.
    Its group norms see the whole clip: it goes through in one piece, each convolution by itself.
    """

    def __init__(self, config: LTXUpsamplerConfig):
        super().__init__()
        self.config = config
        width = config.mid_channels
        blocks = config.num_blocks_per_stage
        up = width * prod(config.factors)
        self.initial_conv = centred(config.in_channels, width)
        self.initial_norm = group_norm(width)
        self.res_blocks = [ResBlock(width) for _ in range(blocks)]
        in_time = config.temporal_upsample
        self.upsampler = [centred(width, up) if in_time else FrameConv2d(width, up, 3, padding=1)]
        self.post_upsample_res_blocks = [ResBlock(width) for _ in range(blocks)]
        self.final_conv = centred(width, config.in_channels)

    def __call__(self, latents: mx.array) -> mx.array:
        x = latents.astype(self.initial_conv.weight.dtype)
        x = silu(self.initial_norm(convolved(self.initial_conv, x)))
        for block in self.res_blocks:
            x = block(x)
        x = from_channels(convolved(self.upsampler[0], x), self.config.factors)
        if self.config.temporal_upsample:
            x = x[:, 1:]  # a clip's first latent frame is of one frame
        for block in self.post_upsample_res_blocks:
            x = block(x)
        return convolved(self.final_conv, x).astype(mx.float32)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last."""
        return {name: channels_last(weight) for name, weight in weights.items()}


def centred(in_channels: int, out_channels: int) -> CentredConv3d:
    """A 3x3x3 convolution with zeros around the clip."""
    return CentredConv3d(in_channels, out_channels, (3, 3, 3), repeat_edges=False)


def group_norm(channels: int) -> nn.GroupNorm:
    """PyTorch's group norm, over the whole clip."""
    return nn.GroupNorm(GROUPS, channels, pytorch_compatible=True)


def convolved(layer: CentredConv3d | FrameConv2d, x: mx.array) -> mx.array:
    """The convolution of a clip, as many frames an evaluation as its bound allows."""
    positions = int(bounds.EVAL_OPS / (2 * layer.weight.size))

    def of_frame(x: mx.array, stream: Stream) -> mx.array:
        return layer(x)

    step: Layer = layer if isinstance(layer, CentredConv3d) else of_frame
    return mx.concatenate(list(passed([step], x, positions)), axis=1)


def adain(latents: mx.array, reference: mx.array, factor: float = 1.0) -> mx.array:
    """`latents` [B, F, H, W, C] with each channel's mean and deviation of those of `reference`.

    The statistics are over frames and space, of each clip of the batch by itself; the two differ in
    size. factor: 0 leaves the latents as they are, 1 is all the way. Whether both are normalised or
    neither makes no difference. Of a reference of one position only the mean is known.
    """
    x = latents.astype(mx.float32)
    mean, deviation = _statistics(x)
    wanted_mean, wanted_deviation = _statistics(reference.astype(mx.float32))
    if prod(reference.shape[1:4]) == 1:
        wanted_deviation = deviation  # a single position has none of its own
    moved = (x - mean) / deviation * wanted_deviation + wanted_mean
    return x + factor * (moved - x)


def _statistics(x: mx.array) -> tuple[mx.array, mx.array]:
    """Mean and sample deviation of each channel, [B, 1, 1, 1, C]."""
    axes = (1, 2, 3)
    return mx.mean(x, axes, keepdims=True), mx.std(x, axes, keepdims=True, ddof=1)


def tone_mapped(latents: mx.array, ratio: float) -> mx.array:
    """Normalised latents whose large values are made smaller. ratio: 0 (as they are) to 1.

    The release does this just before it decodes, after the noise for the decoder is mixed in.
    """
    scale = 0.75 * ratio
    x = latents.astype(mx.float32)
    return x * (1 - 0.8 * scale * mx.sigmoid(4 * scale * (mx.abs(x) - 1)))
