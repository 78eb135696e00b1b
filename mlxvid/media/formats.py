"""The formats that a clip is kept in: their names, their limits, and how a GIF counts time."""

from __future__ import annotations

import re

import numpy as np

MIN_FPS = 0.1
MAX_FPS = 1000.0
FOREIGN_FPS = 24.0
"""The rate given to pictures that say nothing about time."""

UNTIMED_FPS = 10.0
"""The rate at which players show an animation whose frames have no times."""

RATE_TOLERANCE = 1e-4
"""So far the rate in a container may be from a clip's: 23.976 and 24 are ten times as far apart."""

GIF_MAX_FPS = 50.0
"""Browsers show a GIF's frame of less than 20 ms for 100 ms."""

FOLDER = "folder"
"""The kind of a folder of PNG frames; the other kinds are the endings of the names."""

VIDEO = (".mp4", ".webm", ".mov", ".mkv")
FRAME_NAME = re.compile(r"frame_\d{4,}\.png")


def webp_starts(frames: int, fps: float) -> np.ndarray:
    """When each frame of a WebP starts, and the last one ends, in ms ``[frames + 1]``."""
    return np.rint(np.arange(frames + 1) * 1000 / fps).astype(int)


def gif_starts(frames: int, fps: float) -> np.ndarray:
    """When each frame of a GIF starts, and the last one ends, in ms ``[frames + 1]``.

    Multiples of 10 that don't drift from `fps`, or from :data:`GIF_MAX_FPS` where that is less.
    """
    return np.rint(np.arange(frames + 1) * 100 / min(fps, GIF_MAX_FPS)).astype(int) * 10
