"""What the tests of LTX-Video's pipelines share: noise and pictures for both sides."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np
import torch

from mlxvid.models.ltx.keys import key_of

from .reference import CHANNELS

PROMPT = "a red ball moving left"
NEGATIVE = "blurry, ugly"
FPS = 24.0
SEED = 3


def noise(frames: int, width: int, height: int) -> np.ndarray:
    shape = (1, CHANNELS, (frames - 1) // 8 + 1, height // 32, width // 32)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def drawn(shape: Sequence[int], use: str, number: int = 0) -> torch.Tensor:
    """What mlxvid draws for latents or tokens of that shape, channels first or last as theirs."""
    key = key_of(SEED, use, number)
    if len(shape) == 5:
        b, c, f, h, w = shape
        return torch.from_numpy(np.array(mx.random.normal((b, f, h, w, c), key=key))).permute(
            0, 4, 1, 2, 3
        )
    return torch.from_numpy(np.array(mx.random.normal(tuple(shape), key=key)))


def as_bytes(video) -> np.ndarray:
    wanted = np.round(np.asarray(video) * 255)
    assert wanted.std() > 5
    return wanted


def compare(clip, video) -> None:
    wanted = as_bytes(video)
    assert clip.frames.shape == wanted.shape
    assert np.abs(clip.frames - wanted).max() <= 2


def pictures(count: int, width: int, height: int, seed: int = 0) -> list[np.ndarray]:
    frames = np.random.default_rng(seed).integers(0, 256, (count, height // 8, width // 8, 3))
    large = frames.astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return list(large)


def ours(monkeypatch, module, draws: list, repeat_encode: bool = False) -> None:
    """Have a pipeline's module draw these in order, then zeros; and its VAE what ours draws.

    repeat_encode: as for one thing that is given to several passes.
    """
    # Copies, since the reference puts what is given into the noise itself.
    waiting = [torch.tensor(np.asarray(draw)) for draw in draws]

    def given(shape, **_):
        if not waiting:
            return torch.zeros(shape)
        draw = waiting.pop(0)
        assert tuple(draw.shape) == tuple(shape)
        return draw

    encoded = iter(range(100))

    def retrieve(output, generator=None, **_):
        distribution = output.latent_dist
        mean = distribution.mean
        return mean + distribution.std * drawn(
            mean.shape, "encode", 0 if repeat_encode else next(encoded)
        )

    monkeypatch.setattr(module, "randn_tensor", given)
    monkeypatch.setattr(module, "retrieve_latents", retrieve)


def ready(frames: list[np.ndarray]):
    """Frames as the reference's video processor leaves them alone: [F, C, H, W] from 0 to 1."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
