"""What is to be seen in a clip of mini's world: colour, shape and motion, found by measuring, with nothing learned.

The captions' world is made of saturated things on unsaturated ground. So a pixel is looked at in the *chroma plane* (RGB with its
grey part taken away), where posts, lamp and shadow vanish and a thing's edge is a straight mixture of its colour and the ground's:
how far along that line a pixel lies is how much of it the thing covers. From this soft cover come the track, the shape (the
template that fits it best, as :func:`world.distance` draws it) and the motion (which kind of path the track is).
The caption is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import world

NAMES = list(world.COLOURS)
PLANE = np.array([[2, -1, -1], [0, np.sqrt(3), -np.sqrt(3)]], np.float32).T / np.float32(np.sqrt(6))  # [3, 2], orthonormal, grey -> 0
_HUES = np.array(list(world.COLOURS.values()), np.float32) @ PLANE
_HUES /= np.linalg.norm(_HUES, axis=1, keepdims=True)
SATURATED = 85  # max - min over R, G, B, above which a pixel belongs to a thing; grounds and lamp stay below 55
FOLDS = {"square": 4, "triangle": 3, "star": 5, "cross": 4}  # a full turn shows the same picture this many times


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
        """[n] indices of the clear frames, or of all frames with the thing in them where clear ones are too few to tell a path."""
        seen, clear = np.flatnonzero(self.seen), np.flatnonzero(self.clear)
        return clear if len(clear) >= max(4, 0.4 * len(seen)) else seen


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
    """Look at a clip, uint8 [F, H, W, 3], and say what it shows. Raises ValueError for any other array."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(f"a clip is a uint8 array [F, H, W, 3], not {frames.dtype} {list(frames.shape)}")
    f, h, w, _ = frames.shape
    clip = frames.astype(np.float32)
    flat = clip @ PLANE
    core, counts = _cores(clip, flat)
    main, second = _choose(core, counts, min(h, w))
    if main is None:
        nothing = np.full(f, np.nan)
        empty = Track(nothing, nothing, np.zeros(f), np.full((f, 3), np.nan), np.zeros(f, bool), h, w)
        return Seen(None, None, None, 0, empty)
    reach = max(3, round(0.055 * min(h, w)))  # a star's tips are too thin to have a core, and reach this far beyond it
    ground = _ground(clip, _widen((core >= 0), reach))
    hidden = _widen(core == second, 2) if second is not None else np.zeros((f, h, w), bool)
    mine = core == main
    colour = np.median(clip[mine], axis=0)
    cover = _cover(clip, ground, colour) * (_widen(mine, reach) & ~hidden)
    track = _track(clip, cover, mine, hidden)
    shape, fits = _shape(cover, hidden, track)
    grey = clip.mean(-1) - ground.mean(-1)[:, None]
    motion, direction = None, 0
    if second is not None and f > 1:
        motion, direction = _behind(track, core == second, (cover * _widen(hidden, 2)).any((1, 2)))
    if motion is None and f > 1:
        motion, direction = _motion(track, cover, shape, np.where(_widen((core >= 0) | (cover > 0.1), 2), np.nan, grey))
    name = NAMES[int(np.argmax(_HUES @ (colour @ PLANE)))]
    return Seen(name, shape, motion, direction, track, NAMES[second] if second is not None else None, fits)


# --- finding the things -------------------------------------------------------------------------------------------------


def _cores(clip: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels well inside a thing: [F, H, W] index of the nearest named hue or -1, and how many of each hue a frame has [F, 8].

    A pixel whose four neighbours are of another hue is an edge, where two colours mix into a third that isn't there.
    """
    hue = np.where(clip.max(-1) - clip.min(-1) > SATURATED, np.argmax(flat @ _HUES.T, -1), -1)
    padded = np.pad(hue, ((0, 0), (1, 1), (1, 1)), mode="edge")
    same = np.ones(hue.shape, bool)
    for shifted in (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]):
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
    """The hue of the main thing, and of a second one that is seen beside it. Of two, the main one is the one that travels."""
    enough = max(3, 0.0006 * short * short)
    total = counts.sum(0)
    often = (counts >= enough).mean(0)
    big = [int(i) for i in np.argsort(-total) if total[i] > 0.04 * total.max() and often[i] >= 0.3]
    if not big:
        return None, None
    if len(big) == 1:
        return big[0], None
    a, b = ((_middles(core == i), counts[:, i] >= enough) for i in big[:2])
    both = a[1] & b[1]
    if both.sum() < 0.25 * len(core) or np.max(np.linalg.norm(a[0] - b[0], axis=1)[both]) < 0.12 * short:
        return big[0], None  # one thing whose colour wavers between two names
    travel = [np.ptp(place[there], axis=0).max() for place, there in (a, b)]
    return (big[0], big[1]) if travel[0] >= travel[1] else (big[1], big[0])


def _middles(weight: np.ndarray) -> np.ndarray:
    """Centroids (x, y) in pixels of weights [F, H, W], NaN where there is nothing: [F, 2]."""
    weight = weight.astype(np.float32)
    area = weight.sum((1, 2))
    area = np.where(area > 0, area, np.nan)
    x = weight.sum(1) @ (np.arange(weight.shape[2]) + 0.5) / area
    y = weight.sum(2) @ (np.arange(weight.shape[1]) + 0.5) / area
    return np.stack([x, y], 1)


def _ground(clip: np.ndarray, things: np.ndarray) -> np.ndarray:
    """Colour of the ground at each height, [H, 3]: backgrounds and floor differ from row to row, never along one."""
    rows = []
    every = clip[~things]
    spare = np.median(every, axis=0) if len(every) else np.zeros(3, np.float32)
    for row, taken in zip(clip.swapaxes(0, 1), things.swapaxes(0, 1), strict=True):
        free = row[~taken]
        rows.append(np.median(free, axis=0) if len(free) >= 8 else spare)
    return np.array(rows, np.float32)


def _cover(clip: np.ndarray, ground: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """How much of each pixel the thing covers, 0..1, [F, H, W]. The outer fifths are cut off: there lie noise and artefacts.

    A pixel between ground and thing lies on the line between their colours, and brightness tells where more sharply than chroma
    does, which codecs blur. What lies off that line has a post, lamp or shadow in it: there the chroma alone is asked.
    """
    over = clip - ground[:, None]
    full, off = _along(over, colour - ground)
    plain, _ = _along(over @ PLANE, (colour - ground) @ PLANE)
    trust = np.clip(2 - off / 30, 0, 1)
    return np.clip((trust * full + (1 - trust) * plain - 0.2) / 0.6, 0, 1)


def _along(over: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where vectors [F, H, W, n] lie along each row's line [H, n], 0 at its start and 1 at its end, and how far off it."""
    share = (over * line[:, None]).sum(-1) / np.maximum((line**2).sum(-1), 1)[:, None]
    return share, np.linalg.norm(over - share[..., None] * line[:, None], axis=-1)


def _track(clip: np.ndarray, cover: np.ndarray, mine: np.ndarray, hidden: np.ndarray) -> Track:
    area = cover.sum((1, 2))
    seen = area > max(6, 0.1 * np.median(area[area > 0])) if np.any(area > 0) else np.zeros(len(area), bool)
    middle = np.where(seen[:, None], _middles(cover), np.nan)
    edge = np.concatenate([cover[:, 0], cover[:, -1], cover[:, :, 0], cover[:, :, -1]], 1).max(1) > 0.3
    touching = (_widen(hidden, 1) & (cover > 0.3)).any((1, 2))
    inside = mine & (cover > 0.9)
    inside = np.where(inside.any((1, 2))[:, None, None], inside, cover > 0.5)
    many = np.maximum(inside.sum((1, 2)), 1)[:, None]
    rgb = np.where(seen[:, None], np.einsum("fhwc,fhw->fc", clip, inside.astype(np.float32)) / many, np.nan)
    return Track(middle[:, 0], middle[:, 1], area, rgb, seen & ~edge & ~touching, *cover.shape[1:])


# --- shape --------------------------------------------------------------------------------------------------------------


def _shape(cover: np.ndarray, hidden: np.ndarray, track: Track) -> tuple[str | None, dict[str, float] | None]:
    """The shape whose template fits the clearest frames best, and the misfit of each.

    The clearest are the five sharpest of those in which it is large: fewest pixels half covered, as where motion or a codec smears it.
    """
    good = np.flatnonzero(track.clear)
    if len(good) == 0:
        good = np.flatnonzero(track.seen)
    if len(good) == 0:
        return None, None
    large = good[track.area[good] >= 0.75 * np.median(track.area[good])]
    smear = (cover[large] * (1 - cover[large])).sum((1, 2)) / track.area[large]
    picks = large[np.argsort(smear, kind="stable")[:5]]
    misfits = {s: [_misfit(s, cover[i], ~hidden[i], track.x[i], track.y[i]) for i in picks] for s in world.SHAPES}
    fits = {s: float(np.exp(np.mean(np.log(np.add(each, 0.005))))) for s, each in misfits.items()}  # one clear look outweighs vague ones
    return min(fits, key=fits.get), fits


def _unit(shape: str) -> tuple[float, float]:
    """Area of the shape with radius 1, and the phase of its turning moment when it stands upright."""
    if shape not in _UNITS:
        axis = np.linspace(-1.3, 1.3, 521)
        x, y = axis[None, :], axis[:, None]
        inside = (world.distance(shape, x, y, np.float64(1)) < 0).astype(np.float64)
        phase = np.angle(_moment(inside, x, y, FOLDS[shape])) if shape in FOLDS else 0.0
        _UNITS[shape] = (float(inside.sum() * (axis[1] - axis[0]) ** 2), float(phase))
    return _UNITS[shape]


_UNITS: dict[str, tuple[float, float]] = {}


def _moment(cover: np.ndarray, x: np.ndarray, y: np.ndarray, fold: int) -> complex:
    """Complex moment of a cover about the origin: its angle turns `fold` times as fast as the thing."""
    return (cover * np.hypot(x, y) ** 2 * np.exp(1j * fold * np.arctan2(y, x))).sum()


def _turn(shape: str, cover: np.ndarray, cx: float, cy: float) -> float:
    """Angle in radians by which the shape stands turned, modulo its symmetry; y down, so clockwise is positive."""
    x, y = np.arange(cover.shape[1]) + 0.5 - cx, np.arange(cover.shape[0])[:, None] + 0.5 - cy
    return float(np.angle(_moment(cover, x, y, FOLDS[shape])) - _unit(shape)[1]) / FOLDS[shape]


def _misfit(shape: str, cover: np.ndarray, visible: np.ndarray, cx: float, cy: float) -> float:
    """Squared difference between a cover [H, W] and the shape's best placed template, over the cover's mass.

    Place, radius and angle start from the cover's moments and are refined one after another with shrinking steps.
    """
    size, _ = _unit(shape)
    r = float(np.sqrt(cover.sum() / size))
    angle = _turn(shape, cover, cx, cy) if shape in FOLDS else 0.0
    reach, stride = 1.6 * r + 3, max(1, round(r / 9))
    xs = np.arange(int(max(0, cx - reach)), int(min(cover.shape[1], cx + reach + 1)), stride)
    ys = np.arange(int(max(0, cy - reach)), int(min(cover.shape[0], cy + reach + 1)), stride)
    part, seen = cover[np.ix_(ys, xs)], visible[np.ix_(ys, xs)]
    px, py = (v[seen].astype(np.float32) + 0.5 for v in np.meshgrid(xs, ys))
    want = part[seen]

    def errors(places: np.ndarray) -> np.ndarray:
        x, y, radius, turn = places.T[..., None].astype(np.float32)
        c, s = np.cos(turn), np.sin(turn)
        dx, dy = px - x, py - y
        away = world.distance(shape, dx * c + dy * s, dy * c - dx * s, radius)
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


# --- motion -------------------------------------------------------------------------------------------------------------


def _slope(t: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Slope of the straight line through v(t), and R²: the part of v's variance that the line explains."""
    if len(t) < 3 or np.ptp(v) == 0:
        return 0.0, 0.0
    a, b = np.polyfit(t, v, 1)
    return float(a), float(1 - np.var(v - a * t - b) / np.var(v))


def _turning_points(v: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Where v turns by at least `least`: (index, +1 at a maximum or -1 at a minimum), in order, ends left out."""
    turns: list[tuple[int, int]] = []
    low = high = 0
    way = 0
    for i in range(1, len(v)):
        low, high = (i if v[i] < v[low] else low), (i if v[i] > v[high] else high)
        if way >= 0 and v[high] - v[i] >= least:
            if way > 0 or high > 0:
                turns.append((high, 1))
            way, low = -1, i
        elif way <= 0 and v[i] - v[low] >= least:
            if way < 0 or low > 0:
                turns.append((low, -1))
            way, high = 1, i
    return turns


def _behind(track: Track, other: np.ndarray, touching: np.ndarray) -> tuple[str | None, int]:
    """Whether the main thing, travelling, is covered by the other one, which itself stays whole.

    `touching`: frames [F] in which the two meet.
    """
    still, short = _middles(other), min(track.height, track.width)
    t = np.flatnonzero(track.seen & np.isfinite(still[:, 0]))
    if len(t) < 4:
        return None, 0
    gap = (track.x - still[:, 0])[t] / short
    slope, straight = _slope(t, gap)
    covered = np.min(track.area, where=~track.seen | touching, initial=np.inf) < 0.7 * np.quantile(track.area[t], 0.9)
    sizes = other.sum((1, 2))
    if np.ptp(gap) > 0.08 and straight > 0.85 and covered and sizes.min() > 0.6 * np.median(sizes):
        return "behind", int(np.sign(slope))
    return None, 0


def _motion(track: Track, cover: np.ndarray, shape: str | None, grey: np.ndarray) -> tuple[str | None, int]:
    """The kind of motion and its direction. `grey` is brightness over the ground, NaN on and near things, [F, H, W]."""
    t = track.usable()
    if len(t) < 3:
        return None, 0
    short, span = min(track.height, track.width), len(track.x)
    x, y = track.x[t] / short, track.y[t] / short
    wide, high = np.ptp(x), np.ptp(y)
    if max(wide, high) < 0.06:
        return _in_place(track, t, cover, shape, grey)
    vx, straight_x = _slope(t, x)
    vy, straight_y = _slope(t, y)
    if _circles(t, x, y):
        return "orbit", 0
    hits = [i for i, kind in _turning_points(y, 0.04) if kind > 0]
    if hits and wide < 0.6 * high:
        pull = np.diff(y, 2)[(np.diff(t)[1:] == 1) & (np.diff(t)[:-1] == 1)]  # downwards in flight; only the hits push up
        return ("bounce" if len(pull) and np.median(pull) > 0 else None), 0
    bend = np.polyfit(t, y, 2)[0] * span**2 / 8 if len(t) > 3 else 0.0  # how far below a straight line it sags, downwards positive
    side = int(np.sign(vx))
    if bend > 0.05 and wide > 0.35 * high and not hits and straight_x > 0.7:
        return "throw", side
    if high < 0.5 * wide and straight_x > 0.7:
        camera = _posts_move(grey, vx * short)
        return ("pan", -side) if camera else ("right" if side > 0 else "left", side)
    if wide < 0.5 * high and straight_y > 0.6:
        return ("fall" if vy > 0 else "rise"), 0
    return None, 0


def _in_place(track: Track, t: np.ndarray, cover: np.ndarray, shape: str | None, grey: np.ndarray) -> tuple[str | None, int]:
    """What a thing does that stays where it is."""
    lamp = _light_moves(grey)
    if lamp:
        return "shadow", lamp
    rate, straight = _slope(t, 0.5 * np.log(track.area[t]))
    growth = rate * np.ptp(t)  # change of the logarithm of its size
    if abs(growth) > 0.12 and straight > 0.6:
        return ("grow" if growth > 0 else "shrink"), 0
    if shape in FOLDS:
        fold = FOLDS[shape]
        angles = np.unwrap([_turn(shape, cover[i], track.x[i], track.y[i]) for i in t], period=2 * np.pi / fold)
        rate, straight = _slope(t, angles)
        if abs(rate) > np.deg2rad(2.5) and straight > 0.8:
            return "spin", 0
    return None, 0


def _circles(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the path is an arc of 100° or more, gone round evenly, and is nearer to that than to a thrown thing's parabola."""
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
    thrown = np.concatenate([np.polyval(np.polyfit(t, x, 1), t) - x, np.polyval(np.polyfit(t, y, 2), t) - y])
    return bool(sweep > np.deg2rad(100) and 0.08 < radius < 0.6 and best < 0.25 * radius and best < np.sqrt(np.mean(thrown**2)))


def _posts_move(grey: np.ndarray, speed: float) -> bool:
    """Whether upright posts between mid-height and floor go along with a thing of `speed` pixels a frame."""
    band = grey[:, round(0.55 * grey.shape[1]) : round(0.82 * grey.shape[1])]
    free = np.isfinite(band).sum(1)
    profile = np.where(free >= 0.3 * band.shape[1], np.nansum(band, axis=1) / np.maximum(free, 1), np.nan)  # [F, W]
    if not np.isfinite(profile).any() or np.nanstd(profile) < 8:
        return False
    width = profile.shape[1]
    place = np.arange(width)
    step = min(3, len(profile) - 1)

    def unlike(v: float) -> float:
        """Mean squared difference between frames `step` apart, when the later one is moved back by v pixels a frame."""
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
    """+1 or -1 where a lamp near the top moves right or left and a shadow on the floor moves against it, else 0."""
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
    """How far the weights' centroid goes along the frame, as a share of the width; 0 where it goes nowhere steadily."""
    enough = (np.nan_to_num(weight) > 0).sum((1, 2)) >= 6
    t = np.flatnonzero(enough)
    if len(t) < 0.6 * len(weight):
        return 0.0
    rate, straight = _slope(t, _middles(np.nan_to_num(weight))[t, 0] / weight.shape[2])
    return rate * np.ptp(t) if straight > 0.8 else 0.0


# --- measures -----------------------------------------------------------------------------------------------------------


def consistency(track: Track) -> dict[str, float]:
    """How steadily the thing keeps its look and its path over the clip; NaN where too few clear frames follow one another.

    `colour`: mean distance in RGB (0..255 units) between its colour in one frame and the next; `size`: mean change of its
    size (square root of the area) from frame to frame, over its mean size; `jitter`: RMS second difference of its centroid, pixels.
    """
    pairs = track.clear[1:] & track.clear[:-1]
    threes = pairs[1:] & pairs[:-1]
    size = np.sqrt(track.area)
    place = np.stack([track.x, track.y], 1)
    bend = np.diff(place, 2, axis=0)[threes]
    return {
        "colour": float(np.linalg.norm(np.diff(track.rgb, axis=0), axis=1)[pairs].mean()) if pairs.any() else np.nan,
        "size": float(np.abs(np.diff(size))[pairs].mean() / size[track.clear].mean()) if pairs.any() else np.nan,
        "jitter": float(np.sqrt((bend**2).sum(1).mean())) if threes.any() else np.nan,
    }


def parabola_fit(track: Track) -> float:
    """R² of the best parabola through y over time: 1 for a thing that is thrown and falls freely. NaN with fewer than 5 frames."""
    t = track.usable()
    y = track.y[t]
    if len(t) < 5 or np.ptp(y) == 0:
        return float("nan")
    return float(1 - np.var(y - np.polyval(np.polyfit(t, y, 2), t)) / np.var(y))


def bounce_heights(track: Track) -> tuple[list[float], bool | None]:
    """Heights in pixels above the lowest point of the start and of each top between two hits, and whether each is lower than the last.

    A top that the clip's end cuts off doesn't count; with fewer than two heights there is nothing to say: None.
    """
    t = np.flatnonzero(track.seen)  # a start that the upper edge clips is still the highest
    if len(t) < 3:
        return [], None
    y = track.y[t]
    tops = [i for i, kind in _turning_points(y, 0.015 * min(track.height, track.width)) if kind < 0]
    heights = [float(y.max() - y[i]) for i in (0, *tops)]
    if len(heights) < 2:
        return heights, None
    return heights, bool(np.all(np.diff(heights) < 0))
