"""Tiny decoders with random weights, and a statement in PyTorch of what the reference makes."""

from __future__ import annotations

import numpy as np

from mlxvid.layers.tiny_decoder import TinyDecoderConfig


def tensors(config: TinyDecoderConfig) -> dict[str, np.ndarray]:
    """Random weights under the names that the reference's decoder has, in PyTorch's layout."""
    rng = np.random.default_rng(1)
    # As of a trained network: values near one within it, and few colours beyond the range.
    made: dict[str, np.ndarray] = {}

    def conv(name: str, into: int, out: int, side: int = 3, bias: bool = True) -> None:
        scale = 0.7 * (into * side * side) ** -0.5
        made[f"{name}.weight"] = scale * rng.standard_normal((out, into, side, side))
        if bias:
            made[f"{name}.bias"] = 0.2 * rng.standard_normal(out)

    width = config.widths[0]
    conv("decoder.1", config.channels, width)
    index = 3
    for frames, following in zip(config.frames, config.widths[1:], strict=True):
        for block in range(3):
            name = f"decoder.{index + block}.conv"
            conv(f"{name}.0", 2 * width, width)
            conv(f"{name}.2", width, width)
            conv(f"{name}.4", width, width)
        conv(f"decoder.{index + 4}.conv", width, frames * width, side=1, bias=False)
        conv(f"decoder.{index + 5}", width, following, bias=False)
        index += 6
        width = following
    conv(f"decoder.{index + 1}", width, 3 * config.patch**2)
    made[f"decoder.{index + 1}.bias"] += 0.5
    return {name: weight.astype(np.float32) for name, weight in made.items()}


def theirs(
    weights: dict[str, np.ndarray], config: TinyDecoderConfig, latents: np.ndarray, enlarge: int
) -> np.ndarray:
    """What the reference makes of latents [B, F, H, W, C], in its parallel mode: each layer sees
    all frames at once, [B * F, C, H, W], a block's memory is the clip shifted by a frame, and the
    frames of one stand in its channels. Frames [B, F, H, W, 3] in [0, 1], none left out.
    """
    import torch

    f = torch.nn.functional
    tensor = {name: torch.from_numpy(weight) for name, weight in weights.items()}
    b = latents.shape[0]

    def conv(name: str, x):
        weight = tensor[f"{name}.weight"]
        return f.conv2d(x, weight, tensor.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    x = torch.from_numpy(latents.transpose(0, 1, 4, 2, 3).copy()).flatten(0, 1)
    x = f.relu(conv("decoder.1", torch.tanh(x / 3) * 3))
    index = 3
    for level, frames in enumerate(config.frames):
        for block in range(3):
            clip = x.unflatten(0, (b, -1))
            past = torch.cat([torch.zeros_like(clip[:, :1]), clip[:, :-1]], dim=1).flatten(0, 1)
            name = f"decoder.{index + block}.conv"
            y = f.relu(conv(f"{name}.0", torch.cat([x, past], dim=1)))
            y = conv(f"{name}.4", f.relu(conv(f"{name}.2", y)))
            x = f.relu(y + x)
        if level < enlarge:
            x = f.interpolate(x, scale_factor=2)
        grown = conv(f"decoder.{index + 4}.conv", x)
        x = grown.reshape(frames * len(x), -1, *x.shape[2:])
        x = conv(f"decoder.{index + 5}", x)
        index += 6
    x = f.pixel_shuffle(conv(f"decoder.{index + 1}", f.relu(x)), config.patch)
    return x.clamp(0, 1).unflatten(0, (b, -1)).permute(0, 1, 3, 4, 2).numpy()
