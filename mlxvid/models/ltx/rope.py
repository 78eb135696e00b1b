"""Rotary position embedding across the whole width, from positions in seconds and pixels.

Maths of Diffusers' ``LTXVideoRotaryPosEmbed`` and LTXConditionPipeline (arXiv:2501.00103).
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from .config import LTXTransformerConfig

THETA = 10000.0
# Seconds and pixels at which the positions of each axis end: time, height, width.
ENDS = (20.0, 2048.0, 2048.0)
# Frames and pixels of a latent position.
SCALES = (8, 32, 32)


def coords(
    latent_shape: tuple[int, int, int], fps: float, causal: bool, first_frame: int = 0
) -> np.ndarray:
    """Positions of a clip's latents, float32 [3, F*H*W]: seconds, pixels down, pixels right.

    latent_shape: (F, H, W), the order of the tokens. causal: whether the first latent frame is one
    frame, as from release 0.9.5 on. first_frame: the clip's frame at which these latents begin.
    """
    time, y, x = np.indices(latent_shape).reshape(3, -1)
    frames = SCALES[0] * time
    if causal:
        frames = np.maximum(frames + 1 - SCALES[0], 0)
    # In the reference's order of roundings: the fastest angles show any other.
    seconds = (frames + first_frame).astype(np.float32) * np.float32(1 / fps)
    return np.stack([seconds, SCALES[1] * y, SCALES[2] * x]).astype(np.float32)


def tables(config: LTXTransformerConfig, positions: np.ndarray) -> tuple[mx.array, mx.array]:
    """cos and sin of each pair of neighbouring channels, float32 [N, dim/2], for all heads.

    positions: float32 [3, N], of :func:`coords`. The frequencies of the three axes take turns. The
    pairs that are left over stand in front and don't rotate.
    """
    pairs = config.hidden_size // 2
    frequencies = _frequencies(config.hidden_size // 6)
    cosines = []
    sines = []
    for values, end in zip(positions.astype(np.float32), ENDS, strict=True):
        # Few positions of an axis differ: their angles are computed once, on the host.
        distinct, index = np.unique(values, return_inverse=True)
        place = distinct / np.float32(end) * 2 - 1
        angles = (frequencies * place[:, None]).astype(np.float64)
        rows = mx.array(index.reshape(-1))
        cosines.append(mx.array(np.cos(angles).astype(np.float32))[rows])
        sines.append(mx.array(np.sin(angles).astype(np.float32))[rows])
    still = pairs - 3 * len(frequencies)
    count = positions.shape[1]
    cos = mx.stack(cosines, axis=-1).reshape(count, -1)
    sin = mx.stack(sines, axis=-1).reshape(count, -1)
    cos = mx.concatenate([mx.ones((count, still)), cos], axis=1)
    sin = mx.concatenate([mx.zeros((count, still)), sin], axis=1)
    return cos, sin


def _frequencies(count: int) -> np.ndarray:
    """The angles of an axis's end, float32 [count]: from pi/2 to pi/2 * THETA, geometrically."""
    # PyTorch's linspace counts from both ends, which shows in the last bit of the exponents.
    step = np.float32(1 / (count - 1))
    numbers = np.arange(count, dtype=np.float32)
    upper = 1 - step * numbers[::-1]
    exponents = np.where(numbers < count // 2, step * numbers, upper).astype(np.float64)
    return (THETA**exponents).astype(np.float32) * np.float32(np.pi) / np.float32(2)
