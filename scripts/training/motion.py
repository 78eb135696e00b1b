"""Which kind of motion a track is."""

from __future__ import annotations

import numpy as np

from .shape import FOLDS, turn
from .track import Track, middles, slope, turning_points


def find_behind(track: Track, other: np.ndarray, touching: np.ndarray) -> tuple[str | None, int]:
    """Whether the main thing, travelling, is covered by the other one, which itself stays whole.

    `touching`: frames [F] in which the two meet.
    """
    still, short = middles(other), min(track.height, track.width)
    t = np.flatnonzero(track.seen & np.isfinite(still[:, 0]))
    if len(t) < 4:
        return None, 0
    gap = (track.x - still[:, 0])[t] / short
    pace, straight = slope(t, gap)
    covered = np.min(track.area, where=~track.seen | touching, initial=np.inf) < 0.7 * np.quantile(
        track.area[t], 0.9
    )
    sizes = other.sum((1, 2))
    if np.ptp(gap) > 0.08 and straight > 0.85 and covered and sizes.min() > 0.6 * np.median(sizes):
        return "behind", int(np.sign(pace))
    return None, 0


def find_motion(
    track: Track, cover: np.ndarray, shape: str | None, grey: np.ndarray
) -> tuple[str | None, int]:
    """The kind of motion and its direction. `grey` is brightness over the ground, NaN on and near
    things, [F, H, W].
    """
    t = track.usable()
    if len(t) < 3:
        return None, 0
    short, span = min(track.height, track.width), len(track.x)
    x, y = track.x[t] / short, track.y[t] / short
    wide, high = np.ptp(x), np.ptp(y)
    if max(wide, high) < 0.06:
        return _in_place(track, t, cover, shape, grey)
    vx, straight_x = slope(t, x)
    vy, straight_y = slope(t, y)
    if _circles(t, x, y):
        return "orbit", 0
    hits = [i for i, kind in turning_points(y, 0.04) if kind > 0]
    if hits and wide < 0.6 * high:
        pull = np.diff(y, 2)[
            (np.diff(t)[1:] == 1) & (np.diff(t)[:-1] == 1)
        ]  # downwards in flight; only the hits push up
        return ("bounce" if len(pull) and np.median(pull) > 0 else None), 0
    bend = (
        np.polyfit(t, y, 2)[0] * span**2 / 8 if len(t) > 3 else 0.0
    )  # how far below a straight line it sags, downwards positive
    side = int(np.sign(vx))
    if bend > 0.05 and wide > 0.35 * high and not hits and straight_x > 0.7:
        return "throw", side
    if high < 0.5 * wide and straight_x > 0.7:
        camera = _posts_move(grey, vx * short)
        return ("pan", -side) if camera else ("right" if side > 0 else "left", side)
    if wide < 0.5 * high and straight_y > 0.6:
        return ("fall" if vy > 0 else "rise"), 0
    return None, 0


def _in_place(
    track: Track, t: np.ndarray, cover: np.ndarray, shape: str | None, grey: np.ndarray
) -> tuple[str | None, int]:
    """What a thing does that stays where it is."""
    lamp = _light_moves(grey)
    if lamp:
        return "shadow", lamp
    rate, straight = slope(t, 0.5 * np.log(track.area[t]))
    growth = rate * np.ptp(t)  # change of the logarithm of its size
    if abs(growth) > 0.12 and straight > 0.6:
        return ("grow" if growth > 0 else "shrink"), 0
    if shape in FOLDS:
        fold = FOLDS[shape]
        angles = np.unwrap(
            [turn(shape, cover[i], track.x[i], track.y[i]) for i in t], period=2 * np.pi / fold
        )
        rate, straight = slope(t, angles)
        if abs(rate) > np.deg2rad(2.5) and straight > 0.8:
            return "spin", 0
    return None, 0


def _circles(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the path is an arc of 100° or more, gone round evenly, and is nearer to that than to
    a thrown thing's parabola.
    """
    if len(t) < 6:
        return False
    best, sweep, radius = np.inf, 0.0, 0.0
    one, nil = np.ones(len(t)), np.zeros(len(t))
    goal = np.concatenate([x, y])
    for rate in np.deg2rad(np.concatenate([-np.arange(4, 22, 0.5), np.arange(4, 22, 0.5)])):
        c, s = np.cos(rate * t), np.sin(rate * t)
        design = np.concatenate([np.stack([one, nil, c, -s], 1), np.stack([nil, one, s, c], 1)])
        fit, *_ = np.linalg.lstsq(design, goal, rcond=None)
        error = np.sqrt(np.mean((design @ fit - goal) ** 2))
        if error < best:
            best, sweep, radius = error, abs(rate) * np.ptp(t), np.hypot(fit[2], fit[3])
    thrown = np.concatenate(
        [np.polyval(np.polyfit(t, x, 1), t) - x, np.polyval(np.polyfit(t, y, 2), t) - y]
    )
    return bool(
        sweep > np.deg2rad(100)
        and 0.08 < radius < 0.6
        and best < 0.25 * radius
        and best < np.sqrt(np.mean(thrown**2))
    )


def _posts_move(grey: np.ndarray, speed: float) -> bool:
    """Whether upright posts between mid-height and floor go along with a thing of `speed` pixels a
    frame.
    """
    band = grey[:, round(0.55 * grey.shape[1]) : round(0.82 * grey.shape[1])]
    free = np.isfinite(band).sum(1)
    profile = np.where(
        free >= 0.3 * band.shape[1], np.nansum(band, axis=1) / np.maximum(free, 1), np.nan
    )  # [F, W]
    if not np.isfinite(profile).any() or np.nanstd(profile) < 8:
        return False
    width = profile.shape[1]
    place = np.arange(width)
    step = min(3, len(profile) - 1)

    def unlike(v: float) -> float:
        """Mean squared difference between frames `step` apart, when the later one is moved back by
        v pixels a frame.
        """
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
    """+1 or -1 where a lamp near the top moves right or left and a shadow on the floor moves
    against it, else 0.
    """
    f, h, w = grey.shape
    sky = grey[:, : round(0.24 * h)]
    sky = np.where(np.isfinite(sky).any(0), sky, 0)  # hidden throughout: nothing moves there
    calm = np.nanmedian(sky, axis=0)
    lamp = _sweep(np.where(np.abs(sky - calm) > 14, np.abs(sky - calm), 0))
    ground = grey[:, round(0.88 * h) : round(0.96 * h)]
    ground = np.where(np.isfinite(ground).any((0, 2))[:, None], ground, 0)
    dark = np.nanquantile(ground, 0.85, axis=(0, 2))[:, None] - ground
    shade = _sweep(np.where(dark > 12, dark, 0))
    return int(np.sign(lamp)) if lamp * shade < 0 and abs(lamp) > 0.12 and abs(shade) > 0.05 else 0


def _sweep(weight: np.ndarray) -> float:
    """How far the weights' centroid goes along the frame, as a share of the width; 0 where it goes
    nowhere steadily.
    """
    enough = (np.nan_to_num(weight) > 0).sum((1, 2)) >= 6
    t = np.flatnonzero(enough)
    if len(t) < 0.6 * len(weight):
        return 0.0
    rate, straight = slope(t, middles(np.nan_to_num(weight))[t, 0] / weight.shape[2])
    return rate * np.ptp(t) if straight > 0.8 else 0.0
