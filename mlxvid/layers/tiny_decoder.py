"""The tiny decoders of madebyollin/taehv: latents to frames, with ten million weights.

They are 2D convolutions of frames. What they know of time comes from :class:`MemBlock`, which sees
a frame beside the one before it, and :class:`Grow`, which makes several frames of one. So a clip
goes through frame by frame, and of each block one past frame is kept: memory does not depend on
the clip's length, and the result is that of the whole clip at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from .conv import FrameConv2d, Stream, channels_last
from .tiling import chunks

LEVELS = 3
"""Levels of three blocks each, after which a picture is enlarged."""
_ENLARGED = 2
# Where a level's layers begin in the checkpoint's list, and where they grow in time.
_FIRST = 3
_EACH = 6
_GROW = 4


@dataclass(frozen=True)
class TinyDecoderConfig:
    """The sizes of a tiny decoder.

    widths: of the three levels, and after them. frames: that each level makes of one. patch: pixels
    on a side of what a last position stands for.
    """

    channels: int = 16
    widths: tuple[int, ...] = (256, 128, 64, 64)
    frames: tuple[int, ...] = (1, 2, 2)
    patch: int = 1

    @classmethod
    def of(cls, weights: dict[str, mx.array]) -> TinyDecoderConfig:
        """The sizes of the decoder that has these weights, as PyTorch has them.

        Raises KeyError or ValueError where none has.
        """
        into = weights["decoder.1.weight"]
        widths = [into.shape[0]]
        frames = []
        for level in range(LEVELS):
            start = _FIRST + level * _EACH
            grown = weights[f"decoder.{start + _GROW}.conv.weight"].shape[0]
            frames.append(grown // widths[-1])
            widths.append(weights[f"decoder.{start + _GROW + 1}.weight"].shape[0])
        colours = weights[f"decoder.{_FIRST + LEVELS * _EACH + 1}.weight"].shape[0]
        return cls(into.shape[1], tuple(widths), tuple(frames), math.isqrt(colours // 3))

    @property
    def t_factor(self) -> int:
        """Frames that it makes of a latent frame."""
        return math.prod(self.frames)

    @property
    def s_factor(self) -> int:
        """Pixels on a side that it makes of a latent position."""
        return _ENLARGED**LEVELS * self.patch


class Squash(nn.Module):
    """Values of latents, held between -3 and 3 by a smooth function."""

    def __call__(self, x: mx.array) -> mx.array:
        return mx.tanh(x / 3) * 3


class MemBlock(nn.Module):
    """Three convolutions of each frame beside the one before it, added to the frame."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = [
            FrameConv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            FrameConv2d(width, width, 3, padding=1),
            nn.ReLU(),
            FrameConv2d(width, width, 3, padding=1),
        ]

    def __call__(self, x: mx.array, stream: Stream) -> mx.array:
        seen = stream.extend(self, x, 1)
        if seen.shape[1] == x.shape[1]:  # before the clip's first frame there are zeros
            seen = mx.concatenate([mx.zeros_like(x[:, :1]), seen], axis=1)
        y = mx.concatenate([x, seen[:, :-1]], axis=-1)
        for layer in self.conv:
            y = layer(y)
        return nn.relu(y + x)


class Grow(nn.Module):
    """Several frames of each one.

    The reference enlarges the pictures first, by repeating values: the same, at four times the
    work, since each position is computed by itself.
    """

    def __init__(self, width: int, frames: int):
        super().__init__()
        self.frames = frames
        self.conv = FrameConv2d(width, frames * width, 1, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        b, f, h, w, _ = x.shape
        x = self.conv(x).reshape(b, f, h, w, self.frames, -1)
        return x.transpose(0, 1, 4, 2, 3, 5).reshape(b, f * self.frames, h, w, -1)


class TinyDecoder(nn.Module):
    """Latents [B, f, h, w, C] -> frames [B, F, H, W, 3], under the checkpoint's names."""

    def __init__(self, config: TinyDecoderConfig):
        super().__init__()
        self.config = config
        width = config.widths[0]
        self.decoder = [Squash(), FrameConv2d(config.channels, width, 3, padding=1), nn.ReLU()]
        for frames, following in zip(config.frames, config.widths[1:], strict=True):
            self.decoder += [MemBlock(width), MemBlock(width), MemBlock(width)]
            self.decoder += [nn.Identity(), Grow(width, frames)]
            self.decoder.append(FrameConv2d(width, following, 3, padding=1, bias=False))
            width = following
        self.decoder.append(nn.ReLU())
        self.decoder.append(FrameConv2d(width, 3 * config.patch**2, 3, padding=1))

    def decode(
        self, latents: mx.array, skipped: int = 0, enlargements: int = LEVELS
    ) -> Iterator[mx.array]:
        """Frames one by one, float32 [B, 1, H, W, 3] in [-1, 1], each evaluated.

        skipped: of the first ones, which a VAE does not have. enlargements: of how many levels;
        with fewer than all of them pictures are smaller, and made with less work.
        """
        stream = Stream()
        number = 0
        for z in chunks(latents.astype(mx.float32), 1):
            grown = self._grown(z, stream, enlargements)
            mx.eval(grown, stream.arrays())
            for i in range(grown.shape[1]):
                number += 1
                if number > skipped:
                    frame = self._finished(grown[:, i : i + 1], enlargements)
                    mx.eval(frame)
                    yield frame

    def _grown(self, x: mx.array, stream: Stream, enlargements: int) -> mx.array:
        """All frames of some latent frames, before they are enlarged for the last time."""
        for layer in self.decoder[:_FIRST]:
            x = layer(x)
        for level in range(LEVELS):
            start = _FIRST + level * _EACH
            for block in self.decoder[start : start + 3]:
                x = block(x, stream)
            x = self.decoder[start + _GROW](x)
            if level < LEVELS - 1:
                x = enlarged(x) if level < enlargements else x
                x = self.decoder[start + _GROW + 1](x)
        return x

    def _finished(self, x: mx.array, enlargements: int) -> mx.array:
        """The largest arrays are here, and nothing that knows of time: a frame does by itself."""
        x = enlarged(x) if enlargements == LEVELS else x
        for layer in self.decoder[_FIRST + LEVELS * _EACH - 1 :]:
            x = layer(x)
        x = mx.clip(unpatched(x, self.config.patch), 0, 1)
        return x * 2 - 1

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """The decoder's weights, channels last, without the encoder's."""
        return {
            name: channels_last(weight)
            for name, weight in weights.items()
            if not name.startswith("encoder.")
        }


def enlarged(x: mx.array) -> mx.array:
    """Pictures [B, F, H, W, C] with each position as four."""
    return mx.repeat(mx.repeat(x, _ENLARGED, axis=2), _ENLARGED, axis=3)


def unpatched(x: mx.array, patch: int) -> mx.array:
    """Positions [B, F, H, W, 3 * patch * patch] as patch x patch pixels each."""
    b, f, h, w, _ = x.shape
    x = x.reshape(b, f, h, w, 3, patch, patch).transpose(0, 1, 2, 5, 3, 6, 4)
    return x.reshape(b, f, h * patch, w * patch, 3)
