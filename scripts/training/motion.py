"""The kind of motion of a track."""

from __future__ import annotations

import numpy as np

from .shape import FOLDS, turn
from .track import Track, middles, slope, turning_points


def find_behind(track: Track, other: np.ndarray, touching: np.ndarray) -> tuple[str | None, int]:
    """Whether the main thing, travelling, is covered by the other one, which itself stays whole.

    `touching`: frames [F] in which the two meet.
    """
    still = middles(other)
    short = min(track.height, track.width)
    t = np.flatnonzero(track.seen & np.isfinite(still[:, 0]))
    if len(t) < 4:
        return None, 0
    gap = (track.x - still[:, 0])[t] / short
    pace, straight = slope(t, gap)
    usual = np.quantile(track.area[t], 0.9)
    least = np.min(track.area, where=~track.seen | touching, initial=np.inf)
    sizes = other.sum((1, 2))
    travels = np.ptp(gap) > 0.08 and straight > 0.85
    if travels and least < 0.7 * usual and sizes.min() > 0.6 * np.median(sizes):
        return "behind", int(np.sign(pace))
    return None, 0


def find_motion(
    track: Track, cover: np.ndarray, shape: str | None, grey: np.ndarray
) -> tuple[str | None, int]:
    """The kind of motion and its direction.

    `grey` is the brightness over the ground, NaN on and near things, [F, H, W].
    """
    t = track.usable()
    if len(t) < 3:
        return None, 0
    short = min(track.height, track.width)
    span = len(track.x)
    x = track.x[t] / short
    y = track.y[t] / short
    wide = np.ptp(x)
    high = np.ptp(y)
    if max(wide, high) < 0.06:
        return _in_place(track, t, cover, shape, grey)
    vx, straight_x = slope(t, x)
    vy, straight_y = slope(t, y)
    if _circles(t, x, y):
        return "orbit", 0
    hits = [i for i, kind in turning_points(y, 0.04) if kind > 0]
    if hits and wide < 0.6 * high:
        steps = np.diff(t)
        # Downwards in flight; only the hits push up.
        pull = np.diff(y, 2)[(steps[1:] == 1) & (steps[:-1] == 1)]
        return ("bounce" if len(pull) and np.median(pull) > 0 else None), 0
    # How far the path sags below a straight line, downwards positive.
    bend = np.polyfit(t, y, 2)[0] * span**2 / 8 if len(t) > 3 else 0.0
    side = int(np.sign(vx))
    if bend > 0.05 and wide > 0.35 * high and not hits and straight_x > 0.7:
        return "throw", side
    if high < 0.5 * wide and straight_x > 0.7:
        camera = _posts_move(grey, vx * short)
        if camera:
            return "pan", -side
        return ("right" if side > 0 else "left"), side
    if wide < 0.5 * high and straight_y > 0.6:
        return ("fall" if vy > 0 else "rise"), 0
    return None, 0


def _in_place(
    track: Track, t: np.ndarray, cover: np.ndarray, shape: str | None, grey: np.ndarray
) -> tuple[str | None, int]:
    """The motion of a thing that stays in its place."""
    lamp = _light_moves(grey)
    if lamp:
        return "shadow", lamp
    rate, straight = slope(t, 0.5 * np.log(track.area[t]))
    growth = rate * np.ptp(t)  # change of the logarithm of its size
    if abs(growth) > 0.12 and straight > 0.6:
        return ("grow" if growth > 0 else "shrink"), 0
    if shape in FOLDS:
        turns = [turn(shape, cover[i], track.x[i], track.y[i]) for i in t]
        angles = np.unwrap(turns, period=2 * np.pi / FOLDS[shape])
        rate, straight = slope(t, angles)
        if abs(rate) > np.deg2rad(2.5) and straight > 0.8:
            return "spin", 0
    return None, 0


def _circles(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the path is an arc of 100° or more at an even pace.

    It must also be nearer to that than to a thrown thing's parabola.
    """
    if len(t) < 6:
        return False
    best = np.inf
    sweep = 0.0
    radius = 0.0
    one = np.ones(len(t))
    nil = np.zeros(len(t))
    goal = np.concatenate([x, y])
    paces = np.arange(4, 22, 0.5)
    for rate in np.deg2rad(np.concatenate([-paces, paces])):
        c = np.cos(rate * t)
        s = np.sin(rate * t)
        design = np.concatenate([np.stack([one, nil, c, -s], 1), np.stack([nil, one, s, c], 1)])
        fit, *_ = np.linalg.lstsq(design, goal, rcond=None)
        error = np.sqrt(np.mean((design @ fit - goal) ** 2))
        if error < best:
            best = error
            sweep = abs(rate) * np.ptp(t)
            radius = np.hypot(fit[2], fit[3])
    off_x = np.polyval(np.polyfit(t, x, 1), t) - x
    off_y = np.polyval(np.polyfit(t, y, 2), t) - y
    thrown = np.concatenate([off_x, off_y])
    return bool(
        sweep > np.deg2rad(100)
        and 0.08 < radius < 0.6
        and best < 0.25 * radius
        and best < np.sqrt(np.mean(thrown**2))
    )


def _posts_move(grey: np.ndarray, speed: float) -> bool:
    """Whether upright posts above the floor move with a thing of `speed` pixels a frame."""
    band = grey[:, round(0.55 * grey.shape[1]) : round(0.82 * grey.shape[1])]
    free = np.isfinite(band).sum(1)
    means = np.nansum(band, axis=1) / np.maximum(free, 1)
    profile = np.where(free >= 0.3 * band.shape[1], means, np.nan)  # [F, W]
    if not np.isfinite(profile).any() or np.nanstd(profile) < 8:
        return False
    width = profile.shape[1]
    place = np.arange(width)
    step = min(3, len(profile) - 1)

    def unlike(v: float) -> float:
        """Mean squared difference of frames `step` apart, the later moved back v pixels a frame."""
        back = place + v * step
        inside = (back >= 0) & (back <= width - 1)
        back = np.clip(back, 0, width - 1)
        left = np.minimum(back.astype(int), width - 2)
        late = profile[step:, left] * (left + 1 - back) + profile[step:, left + 1] * (back - left)
        apart = (late - profile[:-step])[:, inside]
        apart = apart[np.isfinite(apart)]
        return float(np.mean(apart**2)) if len(apart) else np.inf

    rates = np.arange(-0.035, 0.0351, 0.0025) * width
    best = rates[np.argmin([unlike(v) for v in rates])]
    return bool(best * speed > 0 and 0.4 < best / speed < 2.5 and unlike(best) < 0.6 * unlike(0.0))


def _light_moves(grey: np.ndarray) -> int:
    """The direction of a lamp near the top whose shadow on the floor moves against it, else 0."""
    f, h, w = grey.shape
    sky = grey[:, : round(0.24 * h)]
    sky = np.where(np.isfinite(sky).any(0), sky, 0)  # hidden throughout: nothing moves there
    calm = np.nanmedian(sky, axis=0)
    lamp = _sweep(np.where(np.abs(sky - calm) > 14, np.abs(sky - calm), 0))
    ground = grey[:, round(0.88 * h) : round(0.96 * h)]
    ground = np.where(np.isfinite(ground).any((0, 2))[:, None], ground, 0)
    dark = np.nanquantile(ground, 0.85, axis=(0, 2))[:, None] - ground
    shade = _sweep(np.where(dark > 12, dark, 0))
    opposite = lamp * shade < 0
    return int(np.sign(lamp)) if opposite and abs(lamp) > 0.12 and abs(shade) > 0.05 else 0


def _sweep(weight: np.ndarray) -> float:
    """How far the weights' centroid moves along the frame, as a share of its width.

    0 where it doesn't move steadily.
    """
    enough = (np.nan_to_num(weight) > 0).sum((1, 2)) >= 6
    t = np.flatnonzero(enough)
    if len(t) < 0.6 * len(weight):
        return 0.0
    x = middles(np.nan_to_num(weight))[t, 0] / weight.shape[2]
    rate, straight = slope(t, x)
    return rate * np.ptp(t) if straight > 0.8 else 0.0
