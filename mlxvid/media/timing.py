"""When a video's frames are shown: at one rate, or at times that are brought to one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from mlxvid.model.rates import nearest_rate

from .formats import FOREIGN_FPS, MAX_FPS, MIN_FPS

_SLACK = 0.75
"""Of a frame's length: so far a frame may be from its place at the rate that the file says.
Containers round times, cameras are late; a frame that is missing puts all that follow one length
off."""

_MEAN_SLACK = 0.3
"""The same at the mean rate, which follows what is missing."""

_MOST = 10
"""Frames that are made of one at most, on the average, where times are brought to one rate."""


class Timing:
    """The frames of a video at one rate.

    fps: frames a second. count: of frames at that rate; 0 where it isn't known. starts: when each
    is shown, in seconds, for a variable rate: each shows the video's latest frame of that time. It
    is None where the video's frames have that rate by themselves. sense: False where the file's
    times make none, and are left out.
    """

    def __init__(self, times: np.ndarray, last: float, rates: Sequence[Fraction | None]):
        """`times`: of the shown frames, ascending, empty where the file has none; `last`: how long
        the last one stays, 0 where that isn't known; `rates`: what the file says, best first.
        """
        usable = [rate for rate in rates if rate and _is_possible(rate)]
        self.starts: np.ndarray | None = None
        self.count = len(times)
        self.sense = True
        self.fps = nearest_rate(usable[0] if usable else Fraction(FOREIGN_FPS))
        if len(times) < 2 or any(_is_steady(times, rate, _SLACK) for rate in usable[:1]):
            return
        average = _average(times)
        for rate in [*usable[1:], average]:
            if _is_possible(rate) and _is_steady(times, rate, _MEAN_SLACK):
                self.fps = nearest_rate(rate)
                return
        self._resample(times, last, average)

    def notes(self, path: str | os.PathLike) -> list[str]:
        """A line about each thing that is changed in the times of the video in `path`."""
        rate = f"{float(self.fps):g}"
        if self.starts is not None:
            return [f"{path} has a variable frame rate: it is brought to {rate} frames a second."]
        if not self.sense:
            return [
                f"{path} has no frame rate from {MIN_FPS:g} to {MAX_FPS:g} a second: its frames "
                f"are taken at {rate} a second."
            ]
        return []

    def _resample(self, times: np.ndarray, last: float, average: Fraction) -> None:
        """Take the rate of most frames, or the mean where that would make too many of them."""
        span = float(times[-1] - times[0])
        shown = np.diff(times)
        usual = float(np.median(shown[shown > 0])) if (shown > 0).any() else 0.0
        fps = nearest_rate(1 / usual) if usual and _is_possible(1 / usual) else average
        if span * fps > _MOST * len(times):
            fps = average
        if not _is_possible(fps):
            self.sense = False
            return
        self.fps = fps
        self.count = max(round((span + (last or float(1 / fps))) * fps), 1)
        # A frame may come half a length early.
        self.starts = times[0] + (np.arange(self.count) + 0.5) / float(fps)


def _is_possible(rate: float | Fraction) -> bool:
    """Whether a clip can have this rate; as a float, in which 1/10 is the least one."""
    return MIN_FPS <= float(rate) <= MAX_FPS


def _average(times: np.ndarray) -> Fraction:
    span = float(times[-1] - times[0])
    return nearest_rate(min((len(times) - 1) / span, 1e6)) if span > 0 else Fraction(0)


def _is_steady(times: np.ndarray, rate: Fraction, slack: float) -> bool:
    """Whether each frame is about where `rate` has it."""
    places = (times - times[0]) * float(rate)
    return bool(np.abs(places - np.arange(len(times))).max() <= slack)
