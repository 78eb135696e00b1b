"""The track of a clip's main thing over its frames, and what can be measured of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Track:
    """The main thing in each of F frames. Positions are pixels from the top left corner, y down."""

    x: np.ndarray  # [F] centroid, NaN where nothing is seen
    y: np.ndarray
    area: np.ndarray  # [F] pixels covered
    rgb: np.ndarray  # [F, 3] mean colour of the inside, 0..255, NaN where nothing is seen
    clear: np.ndarray  # [F] bool: seen, wholly inside the frame, and not touching anything in front
    height: int
    width: int

    @property
    def seen(self) -> np.ndarray:
        """[F] bool: frames in which the thing is there at all."""
        return np.isfinite(self.x)

    def usable(self) -> np.ndarray:
        """Indices [n] of the clear frames, or, where these are too few, of all with the thing."""
        seen = np.flatnonzero(self.seen)
        clear = np.flatnonzero(self.clear)
        return clear if len(clear) >= max(4, 0.4 * len(seen)) else seen


def slope(t: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Slope of the straight line through v(t), and R², the share of variance that it explains."""
    if len(t) < 3 or np.ptp(v) == 0:
        return 0.0, 0.0
    a, b = np.polyfit(t, v, 1)
    return float(a), float(1 - np.var(v - a * t - b) / np.var(v))


def turning_points(v: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Where v turns by at least `least`, in order, without the ends.

    Each is an index and +1 at a maximum or -1 at a minimum.
    """
    turns: list[tuple[int, int]] = []
    low = 0
    high = 0
    way = 0
    for i in range(1, len(v)):
        low = i if v[i] < v[low] else low
        high = i if v[i] > v[high] else high
        if way >= 0 and v[high] - v[i] >= least:
            if way > 0 or high > 0:
                turns.append((high, 1))
            way = -1
            low = i
        elif way <= 0 and v[i] - v[low] >= least:
            if way < 0 or low > 0:
                turns.append((low, -1))
            way = 1
            high = i
    return turns


def consistency(track: Track) -> dict[str, float]:
    """How steadily the thing keeps its look and its path over the clip.

    `colour`: mean distance in RGB (0 to 255) between its colour in one frame and the next; `size`:
    mean change of its size (square root of the area) from frame to frame, over its mean size;
    `jitter`: RMS second difference of its centroid, pixels. NaN where too few clear frames follow
    one another.
    """
    pairs = track.clear[1:] & track.clear[:-1]
    threes = pairs[1:] & pairs[:-1]
    found = {"colour": np.nan, "size": np.nan, "jitter": np.nan}
    if pairs.any():
        drift = np.linalg.norm(np.diff(track.rgb, axis=0), axis=1)[pairs]
        size = np.sqrt(track.area)
        found["colour"] = float(drift.mean())
        found["size"] = float(np.abs(np.diff(size))[pairs].mean() / size[track.clear].mean())
    if threes.any():
        bend = np.diff(np.stack([track.x, track.y], 1), 2, axis=0)[threes]
        found["jitter"] = float(np.sqrt((bend**2).sum(1).mean()))
    return found


def parabola_fit(track: Track) -> float:
    """R² of the best parabola through y over time: 1 for free fall, NaN below 5 frames."""
    t = track.usable()
    y = track.y[t]
    if len(t) < 5 or np.ptp(y) == 0:
        return float("nan")
    return float(1 - np.var(y - np.polyval(np.polyfit(t, y, 2), t)) / np.var(y))


def bounce_heights(track: Track) -> tuple[list[float], bool | None]:
    """The heights of a bounce, and whether each is lower than the last.

    Heights are of the start and of each top between two hits, in pixels above the lowest point. A
    top that the clip's end cuts off doesn't count. With fewer than two heights the answer is None.
    """
    t = np.flatnonzero(track.seen)  # a start that the upper edge clips is still the highest
    if len(t) < 3:
        return [], None
    y = track.y[t]
    tops = [i for i, kind in turning_points(y, 0.015 * min(track.height, track.width)) if kind < 0]
    heights = [float(y.max() - y[i]) for i in (0, *tops)]
    if len(heights) < 2:
        return heights, None
    return heights, bool(np.all(np.diff(heights) < 0))


def middles(weight: np.ndarray) -> np.ndarray:
    """Centroids (x, y) in pixels of weights [F, H, W], NaN where there is nothing: [F, 2]."""
    weight = weight.astype(np.float32)
    area = weight.sum((1, 2))
    area = np.where(area > 0, area, np.nan)
    x = weight.sum(1) @ (np.arange(weight.shape[2]) + 0.5) / area
    y = weight.sum(2) @ (np.arange(weight.shape[1]) + 0.5) / area
    return np.stack([x, y], 1)
