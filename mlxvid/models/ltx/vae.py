"""LTX-Video's VAE: 1 + 8k frames of pixels <-> 1 + k latent frames, 32 pixels a position.

Neither way does memory depend on the length of the clip. The encoder is causal, the decoder sees
future frames, twenty latent frames far; both go through the network a few frames at a time, where
each layer waits for the frames that it needs (:func:`mlxvid.layers.passing.passed`). So the result
is that of one pass: there are no seams in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import SettingError
from mlxvid.layers.conv import Stream, channels_last
from mlxvid.layers.embeddings import TimestepEmbedding
from mlxvid.layers.passing import Layer, passed
from mlxvid.layers.processor import silu
from mlxvid.layers.tiling import blended, chunks

from .vae_blocks import (
    CausalConv,
    CausalResnet,
    CentredConv,
    CentredResnet,
    Downsampler,
    Upsampler,
    pixel_norm,
    shifts_and_scales,
)
from .vae_config import DownLevel, LTXVAEConfig, UpLevel
from .vae_noise import Noise

# Positions (frames x height x width of a level) that a layer works on at once: several frames of a
# small picture, one of a large one.
MAX_POSITIONS = 2**13


class DownBlock(nn.Module):
    """A level of the encoder: residual blocks, downsampling, a change of width."""

    def __init__(self, level: DownLevel, config: LTXVAEConfig):
        super().__init__()
        width = level.in_channels
        eps = config.resnet_norm_eps
        self.resnets = [CausalResnet(width, width, eps) for _ in range(level.layers)]
        self.downsamplers: list[Layer] = []
        if level.stride is not None and config.is_residual:
            self.downsamplers.append(Downsampler(width, level.out_channels, level.stride))
        elif level.stride is not None:
            self.downsamplers.append(CausalConv(width, width, level.stride[0]))
        if width != level.out_channels and not config.is_residual:
            self.conv_out = CausalResnet(width, level.out_channels, eps)

    def layers(self) -> list[Layer]:
        """All of them in order."""
        last = [self.conv_out] if "conv_out" in self else []
        return [*self.resnets, *self.downsamplers, *last]


class MidBlock(nn.Module):
    """The encoder's residual blocks on the coarsest level."""

    def __init__(self, channels: int, layers: int, eps: float):
        super().__init__()
        self.resnets = [CausalResnet(channels, channels, eps) for _ in range(layers)]


class Encoder(nn.Module):
    """Pixels [B, F, H, W, 3] -> moments [B, f, h, w, C + 1]: means, and one log-variance."""

    def __init__(self, config: LTXVAEConfig):
        super().__init__()
        self.patch_size = config.patch_size
        levels = config.down_levels
        width = levels[-1].out_channels
        layers = config.layers_per_block[-1]
        self.conv_in = CausalConv(config.in_channels * config.patch_size**2, levels[0].in_channels)
        self.down_blocks = [DownBlock(level, config) for level in levels]
        self.mid_block = MidBlock(width, layers, config.resnet_norm_eps)
        self.conv_out = CausalConv(width, config.latent_channels + 1)

    def layers(self) -> list[Layer]:
        """All of them in order, for :func:`passed`."""
        blocks = [layer for block in self.down_blocks for layer in block.layers()]
        return [self.first, *blocks, *self.mid_block.resnets, self.last]

    def first(self, x: mx.array, stream: Stream) -> mx.array:
        """Patches of pixels, convolved. In their channels columns come before rows."""
        b, f, h, w, c = x.shape
        p = self.patch_size
        x = x.reshape(b, f, h // p, p, w // p, p, c).transpose(0, 1, 2, 4, 6, 5, 3)
        return self.conv_in(x.reshape(b, f, h // p, w // p, -1), stream)

    def last(self, x: mx.array, stream: Stream) -> mx.array:
        return self.conv_out(silu(pixel_norm(x)), stream)


class TimedBlock(nn.Module):
    """Residual blocks of the decoder, which may be told a time and get noise."""

    def __init__(self, channels: int, layers: int, noisy: bool, config: LTXVAEConfig):
        super().__init__()
        timed = config.timestep_conditioning
        if timed:
            self.time_embedder = time_embedder(4 * channels)
        self.resnets = []
        for _ in range(layers):
            self.resnets.append(
                CentredResnet(channels, channels, config.resnet_norm_eps, timed, noisy)
            )

    def layers(self, times: mx.array, noise: Noise | None) -> list[Layer]:
        """All of them in order. times: [B], 0 to 1000. noise: None for none."""
        embedded = None
        if "time_embedder" in self:
            embedded = self.time_embedder["timestep_embedder"](times)
        made: list[Layer] = []
        for resnet in self.resnets:
            drawn = noise.of_block() if noise is not None and resnet.noisy else None
            made.append(partial(resnet, time=embedded, noise=drawn))
        return made


class UpBlock(TimedBlock):
    """A level of the decoder: a change of width, upsampling, residual blocks."""

    def __init__(self, level: UpLevel, config: LTXVAEConfig):
        super().__init__(level.out_channels, level.layers, level.noisy, config)
        if level.in_channels != level.out_channels:
            self.conv_in = CentredResnet(
                level.in_channels, level.out_channels, config.resnet_norm_eps
            )
        if level.doubled:
            width = level.out_channels * level.factor
            self.upsamplers = [Upsampler(width, level.factor, level.residual)]

    def layers(self, times: mx.array, noise: Noise | None) -> list[Layer]:
        first = [self.conv_in] if "conv_in" in self else []
        return [*first, *self.get("upsamplers", ()), *super().layers(times, noise)]


class Decoder(nn.Module):
    """Latents [B, f, h, w, C] -> pixels [B, F, H, W, 3]."""

    def __init__(self, config: LTXVAEConfig):
        super().__init__()
        self.patch_size = config.patch_size
        levels = config.up_levels
        coarsest = config.decoder_block_out_channels[-1]
        layers = config.decoder_layers_per_block[-1]
        self.conv_in = CentredConv(config.latent_channels, coarsest)
        self.mid_block = TimedBlock(coarsest, layers, config.decoder_inject_noise[-1], config)
        self.up_blocks = [UpBlock(level, config) for level in levels]
        width = levels[-1].out_channels
        self.conv_out = CentredConv(width, config.out_channels * config.patch_size**2)
        if config.timestep_conditioning:
            self.timestep_scale_multiplier = mx.array(1000.0)
            self.time_embedder = time_embedder(2 * width)
            self.scale_shift_table = mx.zeros((2, width))

    def layers(self, times: mx.array, noise: Noise | None) -> list[Layer]:
        """All of them in order, for :func:`passed`. times: [B], 0 to 1. noise: None for none."""
        embedded = None
        if "time_embedder" in self:
            times = times * self.timestep_scale_multiplier
            embedded = self.time_embedder["timestep_embedder"](times)
        layers: list[Layer] = [self.conv_in, *self.mid_block.layers(times, noise)]
        for block in self.up_blocks:
            layers += block.layers(times, noise)
        return [*layers, partial(self.last, time=embedded)]

    def last(self, x: mx.array, stream: Stream, time: mx.array | None) -> mx.array:
        """Patches of pixels, in whose channels columns come before rows, as pixels."""
        x = pixel_norm(x)
        if time is not None:
            shift, scale = shifts_and_scales(time, self.scale_shift_table)
            x = x * (1 + scale) + shift
        x = self.conv_out(silu(x), stream)
        b, f, h, w, c = x.shape
        p = self.patch_size
        x = x.reshape(b, f, h, w, c // p**2, p, p).transpose(0, 1, 2, 6, 3, 5, 4)
        return x.reshape(b, f, h * p, w * p, c // p**2)


class AutoencoderKLLTXVideo(nn.Module):
    """Encoder and decoder, with latents of zero mean and unit deviation per channel."""

    def __init__(self, config: LTXVAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.latents_mean = mx.zeros((config.latent_channels,))
        self.latents_std = mx.ones((config.latent_channels,))

    @property
    def t_factor(self) -> int:
        """Frames per latent frame, except the first, which is one frame."""
        return self.config.t_factor

    @property
    def s_factor(self) -> int:
        """Pixels per latent position on each side."""
        return self.config.s_factor

    def normalised(self, latents: mx.array) -> mx.array:
        """Latents [..., C] as the transformer has them: float32, by mean and deviation."""
        z = latents.astype(mx.float32)
        return (z - self.latents_mean.astype(mx.float32)) / self.latents_std.astype(mx.float32)

    def scaled_back(self, latents: mx.array) -> mx.array:
        """The reverse of :meth:`normalised`: as the encoder made them, and the upsampler has."""
        z = latents.astype(mx.float32)
        return z * self.latents_std.astype(mx.float32) + self.latents_mean.astype(mx.float32)

    def encode(self, frames: mx.array, tile: int | None = None) -> mx.array:
        """Pixels [B, 1 + 8k, H, W, 3] in [-1, 1] -> normalised latents [B, 1 + k, H/32, W/32, C].

        float32, the distribution's mean. tile: as of :meth:`decode`. Raises :class:`SettingError`
        for another number of frames, or a width or height that is no multiple of 32.
        """
        return self.normalised(self._moments(frames, tile)[..., :-1])

    def sample(self, frames: mx.array, key: mx.array, tile: int | None = None) -> mx.array:
        """As :meth:`encode`, but drawn from the distribution, as the pipelines have pictures."""
        moments = self._moments(frames, tile).astype(mx.float32)
        mean = moments[..., :-1]
        # One log-variance for all channels, within the bounds of Diffusers' distribution.
        deviation = mx.exp(0.5 * mx.clip(moments[..., -1:], -30, 20))
        return self.normalised(mean + deviation * mx.random.normal(mean.shape, key=key))

    def _moments(self, frames: mx.array, tile: int | None) -> mx.array:
        t = self.t_factor
        s = self.s_factor
        f, h, w = frames.shape[1:4]
        if f % t != 1 % t or h % s or w % s:
            raise SettingError(
                f"{f} frames of {w}x{h} can't be encoded; "
                f"give 1 + {t}k frames of a width and height that divide by {s}."
            )
        x = frames.astype(self.encoder.conv_in.conv.weight.dtype)

        def whole(part: mx.array, number: int) -> mx.array:
            return mx.concatenate(list(passed(self.encoder.layers(), part, MAX_POSITIONS)), axis=1)

        if tile is None:
            return whole(x, 0)
        return blended(whole, x, tile * s, stride(tile) * s, down=s)

    def decode(
        self,
        latents: mx.array,
        time: float | None = None,
        key: mx.array | None = None,
        tile: int | None = None,
    ) -> Iterator[mx.array]:
        """Normalised latents [B, 1 + k, h, w, C] -> the clip's 1 + 8k frames in order, in parts.

        They are float32 [B, n, 32h, 32w, 3], in about [-1, 1]. time: that the decoders of 0.9.1 and
        later are told, 0 to 1, by default 0: the share of noise that the latents seem to have. key:
        of the noise that 0.9.1's decoder adds, None for none. tile: latent positions on a side of
        tiles, 2 or more, for larger pictures; by default there are none. Tiles overlap by an eighth
        and are blended there, as with Diffusers' `enable_tiling` (16 positions): the result is only
        near that of one pass, and no frame is complete until the last tile is done.
        """
        z = self.scaled_back(latents).astype(self.decoder.conv_in.conv.weight.dtype)
        times = mx.full((z.shape[0],), time or 0.0)
        height, width = z.shape[2:4]
        if tile is None or max(height, width) <= tile:
            noise = None if key is None else Noise(key, height, width)
            for part in passed(self.decoder.layers(times, noise), z, MAX_POSITIONS):
                yield part.astype(mx.float32)
            return
        step = stride(tile)
        columns = -(-width // step)

        def whole(part: mx.array, number: int) -> mx.array:
            noise = None
            if key is not None:
                row, column = divmod(number, columns)
                noise = Noise(key, height, width, row * step, column * step, part.shape[2])
            layers = self.decoder.layers(times, noise)
            return mx.concatenate(list(passed(layers, part, MAX_POSITIONS)), axis=1)

        frames = blended(whole, z, tile, step, up=self.s_factor).astype(mx.float32)
        yield from chunks(frames, self.t_factor, 1 - self.t_factor)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Convolution weights with their channels last, scales of noise [C].

        PyTorch's scales have axes of length 1 to broadcast over.
        """
        made = {}
        for name, weight in weights.items():
            is_scale = "per_channel_scale" in name
            made[name] = weight.reshape(-1) if is_scale else channels_last(weight)
        return made


def time_embedder(channels: int) -> dict[str, nn.Module]:
    """An embedding of times, under the reference's name."""
    return {"timestep_embedder": TimestepEmbedding(channels)}


def stride(tile: int) -> int:
    """Positions from one tile to the next, with an eighth of overlap."""
    return tile - max(1, tile // 8)
