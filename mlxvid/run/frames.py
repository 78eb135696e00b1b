"""A clip's frames as they come from the decoder."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from . import checks

OnFrames = Callable[[np.ndarray], None]


class Frames:
    """The clip's frames as they are decoded, checked and handed out."""

    def __init__(self, on_frames: OnFrames | None):
        self._on_frames = on_frames
        self._parts: list[np.ndarray] = []
        self._repeated = 0

    @property
    def count(self) -> int:
        return sum(len(part) for part in self._parts)

    def again(self, first: int) -> None:
        """What comes next begins at frame `first` once more: what is here already is passed over,
        and handed out only once.
        """
        self._repeated = self.count - first

    def add(self, pixels: mx.array) -> int:
        """The next frames [n, H, W, 3] in about [-1, 1]; returns how many."""
        checks.check_pixels(pixels)
        passed = min(self._repeated, len(pixels))
        self._repeated -= passed
        part = to_uint8(pixels[passed:])
        if len(part):
            self._parts.append(part)
        if len(part) and self._on_frames is not None:
            self._on_frames(part)
        return len(pixels)

    def all(self) -> np.ndarray:
        """All of them, uint8 [F, H, W, 3]."""
        frames = np.concatenate(self._parts)
        checks.check_frames(frames)
        return frames


def to_uint8(pixels: mx.array) -> np.ndarray:
    """Pixels in [-1, 1] (clipped) as uint8."""
    return np.array(mx.clip(mx.round(pixels * 127.5 + 127.5), 0, 255).astype(mx.uint8))
