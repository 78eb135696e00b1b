"""What is to be seen in a clip of mini's world: colour, shape and motion, found by measuring, with
nothing learned.

The captions' world is made of saturated things on unsaturated ground. So a pixel is looked at in
the *chroma plane* (RGB with its grey part taken away), where posts, lamp and shadow vanish and a
thing's edge is a straight mixture of its colour and the ground's: how far along that line a pixel
lies is how much of it the thing covers. From this soft cover come the track, the shape (the
template that fits it best, as :func:`world.distance` draws it) and the motion (which kind of path
the track is). The caption is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import world
from .motion import find_behind, find_motion
from .shape import find_shape
from .track import Track, bounce_heights, consistency, middles, parabola_fit

__all__ = ["Seen", "bounce_heights", "consistency", "detect", "parabola_fit"]

NAMES = list(world.COLOURS)
PLANE = np.array([[2, -1, -1], [0, np.sqrt(3), -np.sqrt(3)]], np.float32).T / np.float32(
    np.sqrt(6)
)  # [3, 2], orthonormal, grey -> 0
_HUES = np.array(list(world.COLOURS.values()), np.float32) @ PLANE
_HUES /= np.linalg.norm(_HUES, axis=1, keepdims=True)
SATURATED = 85  # max - min over R, G, B, above which a pixel belongs to a thing; grounds and lamp stay below 55


@dataclass
class Seen:
    """What a clip shows. `None` where there is nothing that can be named."""

    colour: str | None
    shape: str | None
    motion: str | None
    direction: int  # +1 right, -1 left: of a throw, a slide, a pan of the camera, a moving lamp; 0 elsewhere
    track: Track
    second_colour: str | None = None
    fits: dict[str, float] | None = None  # misfit of each shape, 0 (perfect) upwards


def detect(frames: np.ndarray) -> Seen:
    """Look at a clip, uint8 [F, H, W, 3], and say what it shows. Raises ValueError for any other
    array.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(
            f"a clip is a uint8 array [F, H, W, 3], not {frames.dtype} {list(frames.shape)}"
        )
    f, h, w, _ = frames.shape
    clip = frames.astype(np.float32)
    flat = clip @ PLANE
    core, counts = _cores(clip, flat)
    main, second = _choose(core, counts, min(h, w))
    if main is None:
        nothing = np.full(f, np.nan)
        empty = Track(
            nothing, nothing, np.zeros(f), np.full((f, 3), np.nan), np.zeros(f, bool), h, w
        )
        return Seen(None, None, None, 0, empty)
    reach = max(
        3, round(0.055 * min(h, w))
    )  # a star's tips are too thin to have a core, and reach this far beyond it
    ground = _ground(clip, _widen((core >= 0), reach))
    hidden = _widen(core == second, 2) if second is not None else np.zeros((f, h, w), bool)
    mine = core == main
    colour = np.median(clip[mine], axis=0)
    cover = _cover(clip, ground, colour) * (_widen(mine, reach) & ~hidden)
    track = _track(clip, cover, mine, hidden)
    shape, fits = find_shape(cover, hidden, track)
    grey = clip.mean(-1) - ground.mean(-1)[:, None]
    motion, direction = None, 0
    if second is not None and f > 1:
        motion, direction = find_behind(
            track, core == second, (cover * _widen(hidden, 2)).any((1, 2))
        )
    if motion is None and f > 1:
        motion, direction = find_motion(
            track, cover, shape, np.where(_widen((core >= 0) | (cover > 0.1), 2), np.nan, grey)
        )
    name = NAMES[int(np.argmax(_HUES @ (colour @ PLANE)))]
    return Seen(
        name, shape, motion, direction, track, NAMES[second] if second is not None else None, fits
    )


# --- finding the things ---------------------------------------------------------------------------


def _cores(clip: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels well inside a thing: [F, H, W] index of the nearest named hue or -1, and how many of
    each hue a frame has [F, 8].

    A pixel whose four neighbours are of another hue is an edge, where two colours mix into a third
    that isn't there.
    """
    hue = np.where(clip.max(-1) - clip.min(-1) > SATURATED, np.argmax(flat @ _HUES.T, -1), -1)
    padded = np.pad(hue, ((0, 0), (1, 1), (1, 1)), mode="edge")
    same = np.ones(hue.shape, bool)
    for shifted in (
        padded[:, :-2, 1:-1],
        padded[:, 2:, 1:-1],
        padded[:, 1:-1, :-2],
        padded[:, 1:-1, 2:],
    ):
        same &= shifted == hue
    core = np.where(same, hue, -1)
    return core, np.stack([(core == i).sum((1, 2)) for i in range(len(NAMES))], 1)


def _widen(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask [F, H, W] grown by `by` pixels in every direction."""
    for axis in (1, 2):
        pad = [(0, 0)] * 3
        pad[axis] = (by, by)
        total = np.cumsum(np.pad(mask, pad), axis=axis, dtype=np.int32)
        size = mask.shape[axis]
        upper = np.take(total, range(2 * by, 2 * by + size), axis)
        lower = np.insert(np.take(total, range(size - 1), axis), 0, 0, axis)
        mask = upper > lower
    return mask


def _choose(core: np.ndarray, counts: np.ndarray, short: int) -> tuple[int | None, int | None]:
    """The hue of the main thing, and of a second one that is seen beside it. Of two, the main one
    is the one that travels.
    """
    enough = max(3, 0.0006 * short * short)
    total = counts.sum(0)
    often = (counts >= enough).mean(0)
    big = [int(i) for i in np.argsort(-total) if total[i] > 0.04 * total.max() and often[i] >= 0.3]
    if not big:
        return None, None
    if len(big) == 1:
        return big[0], None
    a, b = ((middles(core == i), counts[:, i] >= enough) for i in big[:2])
    both = a[1] & b[1]
    if (
        both.sum() < 0.25 * len(core)
        or np.max(np.linalg.norm(a[0] - b[0], axis=1)[both]) < 0.12 * short
    ):
        return big[0], None  # one thing whose colour wavers between two names
    travel = [np.ptp(place[there], axis=0).max() for place, there in (a, b)]
    return (big[0], big[1]) if travel[0] >= travel[1] else (big[1], big[0])


def _ground(clip: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Colour of the ground at each height, [H, 3]: backgrounds and floor differ from row to row,
    never along one.
    """
    rows = []
    every = clip[~things]
    spare = np.median(every, axis=0) if len(every) else np.zeros(3, np.float32)
    for row, taken in zip(clip.swapaxes(0, 1), things.swapaxes(0, 1), strict=True):
        free = row[~taken]
        rows.append(np.median(free, axis=0) if len(free) >= 8 else spare)
    return np.array(rows, np.float32)


def _cover(clip: np.ndarray, ground: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """How much of each pixel the thing covers, 0..1, [F, H, W]. The outer fifths are cut off: there
    lie noise and artefacts.

    A pixel between ground and thing lies on the line between their colours, and brightness tells
    where more sharply than chroma does, which codecs blur. What lies off that line has a post, lamp
    or shadow in it: there the chroma alone is asked.
    """
    over = clip - ground[:, None]
    full, off = _along(over, colour - ground)
    plain, _ = _along(over @ PLANE, (colour - ground) @ PLANE)
    trust = np.clip(2 - off / 30, 0, 1)
    return np.clip((trust * full + (1 - trust) * plain - 0.2) / 0.6, 0, 1)


def _along(over: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where vectors [F, H, W, n] lie along each row's line [H, n], 0 at its start and 1 at its end,
    and how far off it.
    """
    share = (over * line[:, None]).sum(-1) / np.maximum((line**2).sum(-1), 1)[:, None]
    return share, np.linalg.norm(over - share[..., None] * line[:, None], axis=-1)


def _track(clip: np.ndarray, cover: np.ndarray, mine: np.ndarray, hidden: np.ndarray) -> Track:
    area = cover.sum((1, 2))
    seen = (
        area > max(6, 0.1 * np.median(area[area > 0]))
        if np.any(area > 0)
        else np.zeros(len(area), bool)
    )
    middle = np.where(seen[:, None], middles(cover), np.nan)
    edge = (
        np.concatenate([cover[:, 0], cover[:, -1], cover[:, :, 0], cover[:, :, -1]], 1).max(1) > 0.3
    )
    touching = (_widen(hidden, 1) & (cover > 0.3)).any((1, 2))
    inside = mine & (cover > 0.9)
    inside = np.where(inside.any((1, 2))[:, None, None], inside, cover > 0.5)
    many = np.maximum(inside.sum((1, 2)), 1)[:, None]
    rgb = np.where(
        seen[:, None], np.einsum("fhwc,fhw->fc", clip, inside.astype(np.float32)) / many, np.nan
    )
    return Track(middle[:, 0], middle[:, 1], area, rgb, seen & ~edge & ~touching, *cover.shape[1:])
