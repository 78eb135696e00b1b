"""What a clip of the drawn world shows: colour, shape and motion, measured, with nothing learned.

The captions' world is made of saturated things on unsaturated ground. So a pixel is looked at in
the *chroma plane* (RGB with its grey part taken away), where posts, lamp and shadow vanish and a
thing's edge is a straight mixture of its colour and the ground's: how far along that line a pixel
lies is how much of it the thing covers. From this soft cover come the track, the shape (the
template that fits it best, as :func:`drawing.distance` draws it) and the motion (which kind of path
the track is). The caption is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import world
from .motion import find_behind, find_motion
from .shape import find_shape
from .track import Track, middles

NAMES = list(world.COLOURS)
# The chroma plane, [3, 2]: orthonormal, and grey becomes 0.
PLANE = np.array([[2, -1, -1], [0, np.sqrt(3), -np.sqrt(3)]], np.float32).T
PLANE = PLANE / np.float32(np.sqrt(6))
_HUES = np.array(list(world.COLOURS.values()), np.float32) @ PLANE
_HUES /= np.linalg.norm(_HUES, axis=1, keepdims=True)
# The range of R, G and B above which a pixel belongs to a thing; grounds and lamp stay below 55.
SATURATED = 85


@dataclass
class Seen:
    """What a clip shows; None where there is nothing that can be named.

    direction: +1 right or -1 left of a throw, a slide, a pan of the camera and a moving lamp, else
    0; fits: the misfit of each shape, from 0 (perfect) up.
    """

    colour: str | None
    shape: str | None
    motion: str | None
    direction: int
    track: Track
    second_colour: str | None = None
    fits: dict[str, float] | None = None


def detect(frames: np.ndarray) -> Seen:
    """What a clip, uint8 [F, H, W, 3], shows.

    Raises ValueError for any other array.
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
        return _nothing(f, h, w)
    # A star's tips are too thin to have a core, and reach this far beyond it.
    reach = max(3, round(0.055 * min(h, w)))
    ground = _ground(clip, _widen(core >= 0, reach))
    hidden = np.zeros((f, h, w), bool) if second is None else _widen(core == second, 2)
    mine = core == main
    colour = np.median(clip[mine], axis=0)
    cover = _cover(clip, ground, colour) * (_widen(mine, reach) & ~hidden)
    track = _track(clip, cover, mine, hidden)
    shape, fits = find_shape(cover, hidden, track)
    motion: str | None = None
    direction = 0
    if second is not None and f > 1:
        touching = (cover * _widen(hidden, 2)).any((1, 2))
        motion, direction = find_behind(track, core == second, touching)
    if motion is None and f > 1:
        grey = clip.mean(-1) - ground.mean(-1)[:, None]
        near = _widen((core >= 0) | (cover > 0.1), 2)
        motion, direction = find_motion(track, cover, shape, np.where(near, np.nan, grey))
    name = NAMES[int(np.argmax(_HUES @ (colour @ PLANE)))]
    second_name = None if second is None else NAMES[second]
    return Seen(name, shape, motion, direction, track, second_name, fits)


def _nothing(frames: int, height: int, width: int) -> Seen:
    """What a clip shows that has nothing in it."""
    unknown = np.full(frames, np.nan)
    colours = np.full((frames, 3), np.nan)
    clear = np.zeros(frames, bool)
    track = Track(unknown, unknown, np.zeros(frames), colours, clear, height, width)
    return Seen(None, None, None, 0, track)


# --- finding the things ---------------------------------------------------------------------------


def _cores(clip: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels well inside a thing.

    Returns the index of the nearest named hue or -1, [F, H, W], and how many of each hue a frame
    has, [F, 8]. A pixel with a neighbour of another hue is an edge, where two colours mix into a
    third that isn't there.
    """
    saturated = clip.max(-1) - clip.min(-1) > SATURATED
    hue = np.where(saturated, np.argmax(flat @ _HUES.T, -1), -1)
    padded = np.pad(hue, ((0, 0), (1, 1), (1, 1)), mode="edge")
    same = np.ones(hue.shape, bool)
    above = padded[:, :-2, 1:-1]
    below = padded[:, 2:, 1:-1]
    before = padded[:, 1:-1, :-2]
    after = padded[:, 1:-1, 2:]
    for shifted in (above, below, before, after):
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
    """The hue of the main thing, and of a second one beside it, or None.

    Of two, the main one is the one that travels.
    """
    enough = max(3, 0.0006 * short * short)
    total = counts.sum(0)
    often = (counts >= enough).mean(0)
    lasting = (total > 0.04 * total.max()) & (often >= 0.3) & (total > 0)
    big = [int(i) for i in np.argsort(-total) if lasting[i]]
    if not big:
        return None, None
    if len(big) == 1:
        return big[0], None
    first, other = big[:2]
    places = [middles(core == hue) for hue in (first, other)]
    both = (counts[:, first] >= enough) & (counts[:, other] >= enough)
    if both.sum() < 0.25 * len(core):
        return first, None
    apart = np.linalg.norm(places[0] - places[1], axis=1)[both]
    if np.max(apart) < 0.12 * short:
        return first, None  # one thing whose colour wavers between two names
    travel = []
    for hue, place in zip((first, other), places, strict=True):
        travel.append(np.ptp(place[counts[:, hue] >= enough], axis=0).max())
    return (first, other) if travel[0] >= travel[1] else (other, first)


def _ground(clip: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Colour of the ground in each row, [H, 3]; backgrounds and floor never differ along one."""
    rows = []
    every = clip[~things]
    spare = np.median(every, axis=0) if len(every) else np.zeros(3, np.float32)
    for row, taken in zip(clip.swapaxes(0, 1), things.swapaxes(0, 1), strict=True):
        free = row[~taken]
        rows.append(np.median(free, axis=0) if len(free) >= 8 else spare)
    return np.array(rows, np.float32)


def _cover(clip: np.ndarray, ground: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """How much of each pixel the thing covers, 0 to 1, [F, H, W].

    The outer fifths are cut off: there lie noise and artefacts. A pixel between ground and thing
    lies on the line between their colours, and brightness tells where more sharply than chroma
    does, which codecs blur. What lies off that line has a post, lamp or shadow in it: there only
    the chroma counts.
    """
    over = clip - ground[:, None]
    full, off = _along(over, colour - ground)
    plain, _ = _along(over @ PLANE, (colour - ground) @ PLANE)
    trust = np.clip(2 - off / 30, 0, 1)
    return np.clip((trust * full + (1 - trust) * plain - 0.2) / 0.6, 0, 1)


def _along(over: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where vectors [F, H, W, n] lie along each row's line [H, n], and how far off it.

    0 is the line's start and 1 its end.
    """
    share = (over * line[:, None]).sum(-1) / np.maximum((line**2).sum(-1), 1)[:, None]
    return share, np.linalg.norm(over - share[..., None] * line[:, None], axis=-1)


def _track(clip: np.ndarray, cover: np.ndarray, mine: np.ndarray, hidden: np.ndarray) -> Track:
    """The thing's place, area and colour in each frame."""
    area = cover.sum((1, 2))
    seen = np.zeros(len(area), bool)
    if np.any(area > 0):
        seen = area > max(6, 0.1 * np.median(area[area > 0]))
    middle = np.where(seen[:, None], middles(cover), np.nan)
    borders = [cover[:, 0], cover[:, -1], cover[:, :, 0], cover[:, :, -1]]
    edge = np.concatenate(borders, 1).max(1) > 0.3
    touching = (_widen(hidden, 1) & (cover > 0.3)).any((1, 2))
    inside = mine & (cover > 0.9)
    inside = np.where(np.any(inside, axis=(1, 2), keepdims=True), inside, cover > 0.5)
    pixels = np.maximum(inside.sum((1, 2)), 1)[:, None]
    mean = np.einsum("fhwc,fhw->fc", clip, inside.astype(np.float32)) / pixels
    rgb = np.where(seen[:, None], mean, np.nan)
    clear = seen & ~edge & ~touching
    _, height, width = cover.shape
    return Track(middle[:, 0], middle[:, 1], area, rgb, clear, height, width)
