"""Pictures as the release prepares them: slightly blurred, and compressed as a film is.

The model was trained on compressed films: a picture that is sharper than these is taken for one
that stands still. After `load_image_to_tensor_with_resize_and_crop` of Lightricks/LTX-Video.
"""

from __future__ import annotations

import math

import numpy as np

from mlxvid.media.compression import compressed

CRF = 29
SIGMA = 1.0


def prepared(frames: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3], each frame blurred and compressed by itself."""
    return np.stack([compressed(_blurred(frame), CRF) for frame in frames])


def _blurred(frame: np.ndarray) -> np.ndarray:
    """With a Gaussian of 3x3 pixels; what lies beyond the edge is mirrored."""
    side = math.exp(-0.5 / SIGMA**2)
    weights = np.array([side, 1, side]) / (1 + 2 * side)
    blurred = frame.astype(np.float64)
    for axis in (0, 1):
        pad = [(0, 0), (0, 0), (0, 0)]
        pad[axis] = (1, 1)
        padded = np.pad(blurred, pad, mode="reflect")
        length = frame.shape[axis]
        shifted = [np.take(padded, range(i, i + length), axis=axis) for i in range(3)]
        blurred = sum(weight * part for weight, part in zip(weights, shifted, strict=True))
    return blurred.astype(np.uint8)
