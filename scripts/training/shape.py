"""The shape of a thing: the one whose template, as drawing.py draws it, fits best."""

from __future__ import annotations

import numpy as np

from . import drawing, world
from .track import Track

# A full turn shows the same picture this many times.
FOLDS = {"square": 4, "triangle": 3, "star": 5, "cross": 4}


def find_shape(
    cover: np.ndarray, hidden: np.ndarray, track: Track
) -> tuple[str | None, dict[str, float] | None]:
    """The shape whose template fits the clearest frames best, and the misfit of each.

    The clearest are the five sharpest of those in which the thing is large: with the fewest pixels
    half covered, as they are where motion or a codec smears it.
    """
    good = np.flatnonzero(track.clear)
    if len(good) == 0:
        good = np.flatnonzero(track.seen)
    if len(good) == 0:
        return None, None
    large = good[track.area[good] >= 0.75 * np.median(track.area[good])]
    smear = (cover[large] * (1 - cover[large])).sum((1, 2)) / track.area[large]
    picks = large[np.argsort(smear, kind="stable")[:5]]
    fits = {}
    for shape in world.SHAPES:
        misfits = [_misfit(shape, cover[i], ~hidden[i], track.x[i], track.y[i]) for i in picks]
        # A geometric mean: one clear look outweighs vague ones.
        fits[shape] = float(np.exp(np.mean(np.log(np.add(misfits, 0.005)))))
    return min(fits, key=lambda shape: fits[shape]), fits


def _unit(shape: str) -> tuple[float, float]:
    """The area of a shape of radius 1, and the phase of its moment when it stands upright."""
    if shape not in _UNITS:
        axis = np.linspace(-1.3, 1.3, 521)
        x = axis[None, :]
        y = axis[:, None]
        inside = (drawing.distance(shape, x, y, np.ones(1)) < 0).astype(np.float64)
        phase = np.angle(_moment(inside, x, y, FOLDS[shape])) if shape in FOLDS else 0.0
        _UNITS[shape] = (float(inside.sum() * (axis[1] - axis[0]) ** 2), float(phase))
    return _UNITS[shape]


_UNITS: dict[str, tuple[float, float]] = {}


def _moment(cover: np.ndarray, x: np.ndarray, y: np.ndarray, fold: int) -> complex:
    """Complex moment of a cover about the origin; its angle is `fold` times the thing's."""
    return complex((cover * np.hypot(x, y) ** 2 * np.exp(1j * fold * np.arctan2(y, x))).sum())


def turn(shape: str, cover: np.ndarray, cx: float, cy: float) -> float:
    """A shape's angle in radians, modulo its symmetry; clockwise is positive, since y is down."""
    x = np.arange(cover.shape[1]) + 0.5 - cx
    y = np.arange(cover.shape[0])[:, None] + 0.5 - cy
    return float(np.angle(_moment(cover, x, y, FOLDS[shape])) - _unit(shape)[1]) / FOLDS[shape]


def _misfit(shape: str, cover: np.ndarray, visible: np.ndarray, cx: float, cy: float) -> float:
    """Squared difference between a cover [H, W] and the shape's best placed template.

    It is relative to the cover's mass. Place, radius and angle start from the cover's moments and
    are refined one after another with shrinking steps.
    """
    size, _ = _unit(shape)
    r = float(np.sqrt(cover.sum() / size))
    angle = turn(shape, cover, cx, cy) if shape in FOLDS else 0.0
    reach = 1.6 * r + 3
    stride = max(1, round(r / 9))
    xs = np.arange(int(max(0, cx - reach)), int(min(cover.shape[1], cx + reach + 1)), stride)
    ys = np.arange(int(max(0, cy - reach)), int(min(cover.shape[0], cy + reach + 1)), stride)
    part = cover[np.ix_(ys, xs)]
    seen = visible[np.ix_(ys, xs)]
    px, py = (v[seen].astype(np.float32) + 0.5 for v in np.meshgrid(xs, ys))
    want = part[seen]

    def errors(places: np.ndarray) -> np.ndarray:
        x, y, radius, turn = places.T[..., None].astype(np.float32)
        c = np.cos(turn)
        s = np.sin(turn)
        dx = px - x
        dy = py - y
        away = drawing.distance(shape, dx * c + dy * s, dy * c - dx * s, radius)
        return ((np.clip(0.5 - away / 1.4, 0, 1) - want) ** 2).sum(1)

    place = np.array([cx, cy, r, angle])
    steps = np.array([0.16 * r, 0.16 * r, 0.12 * r, 0.17])
    for _ in range(4):
        for which in range(4 if shape in FOLDS else 3):
            trial = np.tile(place, (3, 1))
            trial[:, which] += np.array((-1, 0, 1)) * steps[which]
            place = trial[np.argmin(errors(trial))]
        steps = steps / 2
    return float(errors(place[None])[0] / max(want.sum(), 1e-3))
