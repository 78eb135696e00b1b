"""The little world that mini learns: flat shapes that move, and the captions that say so.

A :class:`Scene` is a caption's attributes plus the numbers that a caption leaves open (where, how
fast). It is drawn analytically, by signed distances with one pixel of antialiasing, so that every
clip has an exact ground truth. Lengths are fractions of the canvas, times are frames: a clip twice
as long shows more of the motion, not a slower one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

COLOURS = {
    "red": (222, 42, 42),
    "green": (44, 176, 66),
    "blue": (48, 98, 236),
    "yellow": (244, 212, 40),
    "orange": (242, 132, 28),
    "purple": (142, 58, 196),
    "pink": (244, 112, 176),
    "cyan": (36, 204, 214),
}
SHAPES = ("ball", "square", "triangle", "star", "ring", "cross")
SIZES = {"small": 0.125, "medium": 0.165, "large": 0.21}  # radius over the canvas's shorter side
BACKGROUNDS = {  # colour at the top and at the bottom
    "black": ((14, 14, 16), (14, 14, 16)),
    "white": ((244, 244, 244), (244, 244, 244)),
    "gray": ((126, 126, 128), (126, 126, 128)),
    "navy": ((20, 26, 70), (20, 26, 70)),
    "beige": ((222, 206, 174), (222, 206, 174)),
    "dusk": ((16, 18, 48), (74, 58, 92)),
}
MOTIONS = {  # the words that name each motion; the first is the one that mini's card shows
    "left": ("moving left", "sliding to the left"),
    "right": ("moving right", "sliding to the right"),
    "rise": ("rising", "floating up"),
    "fall": ("falling", "dropping to the floor"),
    "bounce": ("bouncing", "bouncing on the floor"),
    "throw": ("thrown through the air", "thrown up in an arc"),
    "spin": ("spinning", "turning around"),
    "grow": ("growing", "getting bigger"),
    "shrink": ("shrinking", "getting smaller"),
    "orbit": ("orbiting", "moving in a circle"),
    "behind": ("passing behind",),
    "pan": ("the camera pans",),
    "shadow": ("its shadow follows the light",),
}
TURNS_VISIBLY = ("square", "triangle", "star", "cross")  # a spinning ball or ring shows nothing
FLOOR = 0.86  # height of the floor line, from the top

# Never drawn in training: what the scores call "unseen". Every single attribute is seen, these
# pairs are not.
UNSEEN_LOOKS = {
    ("red", "star"),
    ("blue", "triangle"),
    ("green", "ring"),
    ("yellow", "cross"),
    ("purple", "square"),
    ("cyan", "ball"),
}
UNSEEN_ACTS = {
    ("star", "bounce"),
    ("ball", "orbit"),
    ("square", "throw"),
    ("ring", "left"),
    ("triangle", "rise"),
    ("cross", "right"),
}


@dataclass
class Thing:
    """One object: its look, and where it is in each frame (arrays over frames, fractions of the
    canvas).
    """

    shape: str
    colour: str
    radius: np.ndarray
    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray


@dataclass
class Scene:
    """A caption's attributes and the tracks of everything in it. `things` are drawn back to front."""

    caption: str
    shape: str
    colour: str
    motion: str
    direction: int
    background: str
    frames: int
    height: int
    width: int
    things: list[Thing] = field(default_factory=list)
    floor: bool = False
    posts: np.ndarray | None = (
        None  # [n, frames]: x of each post of a panned scene, fractions of the width
    )
    light: np.ndarray | None = None  # [frames]: x of the lamp
    second_colour: str | None = None
    second_shape: str | None = None


def is_unseen(shape: str, colour: str, motion: str) -> bool:
    """Whether training never shows this combination."""
    return (colour, shape) in UNSEEN_LOOKS or (shape, motion) in UNSEEN_ACTS


def sample(
    rng: np.random.Generator,
    frames: int,
    height: int,
    width: int,
    *,
    unseen: bool | None = False,
    motion: str | None = None,
    odds: np.ndarray | None = None,
) -> Scene:
    """Draw a random scene of `frames` x `height` x `width`.

    `unseen=False` keeps to the combinations of the training world, True gives only held-out ones,
    None either. `odds`: one for each of MOTIONS, adding up to 1; None draws them nearly alike, as
    the scores do.
    """
    odds = _MOTION_ODDS if odds is None else odds
    while True:
        colour = rng.choice(list(COLOURS))
        shape = str(rng.choice(SHAPES))
        act = motion or str(rng.choice(list(MOTIONS), p=odds))
        if act == "spin" and shape not in TURNS_VISIBLY:
            continue
        if unseen is None or is_unseen(shape, colour, act) == unseen:
            break
    return build(rng, str(colour), shape, act, frames, height, width)


_MOTION_ODDS = np.array([1, 1, 1, 1, 1.3, 1.3, 1, 1, 1, 1.2, 1.3, 1.2, 1.2])
_MOTION_ODDS = _MOTION_ODDS / _MOTION_ODDS.sum()
# What mini's transformer is shown: most of what it finds hardest, where a thing turns, comes back,
# or changes its way.
TRAINING_ODDS = np.array([0.7, 0.7, 1.2, 1, 2.4, 1, 4, 1, 0.8, 2.4, 1.1, 0.8, 0.8])
TRAINING_ODDS = TRAINING_ODDS / TRAINING_ODDS.sum()


def build(
    rng: np.random.Generator,
    colour: str,
    shape: str,
    motion: str,
    frames: int,
    height: int,
    width: int,
) -> Scene:
    """A scene with the given look and motion; everything else at random."""
    size = str(rng.choice(list(SIZES)))
    background = str(rng.choice(list(BACKGROUNDS)))
    short = min(height, width)
    sx, sy = (
        short / width,
        short / height,
    )  # one short side, as a fraction of the width and of the height
    r = SIZES[size] * rng.uniform(0.95, 1.05)
    t = np.arange(frames, dtype=np.float64)
    one = np.ones(frames)
    direction = int(rng.choice((-1, 1)))
    pace = rng.uniform(0.9, 1.1)
    x, y = one * rng.uniform(0.42, 0.58), one * rng.uniform(0.42, 0.58)
    radius, angle = one * r, one * 0.0
    scene = Scene("", shape, colour, motion, direction, background, frames, height, width)
    rest = FLOOR - r * sy * 0.85  # centre height of something that lies on the floor

    if motion in ("left", "right"):
        scene.direction = -1 if motion == "left" else 1
        y = one * rng.uniform(0.3, 0.7)
        x = 0.5 + scene.direction * (0.019 * pace * t - 0.3)
    elif motion == "rise":
        x = one * rng.uniform(0.3, 0.7)
        y = 0.8 - 0.019 * pace * t
    elif motion == "fall":
        scene.floor = True
        x = one * rng.uniform(0.3, 0.7)
        top = rng.uniform(0.16, 0.24)
        y = np.minimum(top + 0.5 * 0.0024 * pace * t**2, rest)
    elif motion == "bounce":
        scene.floor = True
        x = rng.uniform(0.35, 0.65) + direction * 0.004 * t
        y = _bounce(t, rng.uniform(0.14, 0.22), rest, 0.0095 * pace, 0.78)
    elif motion == "throw":
        x = 0.5 + direction * (0.02 * t - 0.34)
        top, low = rng.uniform(0.16, 0.24), rng.uniform(0.76, 0.84)
        half = 15.0 / pace
        y = top + (low - top) * ((t - half) / half) ** 2
    elif motion == "spin":
        angle = rng.uniform(0, 6.28) + direction * np.deg2rad(7.5) * pace * t
    elif motion == "grow":
        radius = r * (0.6 + 0.028 * pace * t)
    elif motion == "shrink":
        radius = r * np.maximum(1.4 - 0.028 * pace * t, 0.45)
    elif motion == "orbit":
        turn = rng.uniform(0, 6.28) + direction * 2 * np.pi / 32 * pace * t
        x, y = 0.5 + 0.27 * sx * np.cos(turn), 0.5 + 0.27 * sy * np.sin(turn)
    elif motion == "behind":
        radius = one * SIZES["small"] * rng.uniform(1.0, 1.25)
        y = one * rng.uniform(0.42, 0.58)
        x = 0.5 + direction * (0.021 * pace * t - 0.34)
    elif motion == "pan":
        scene.floor = True
        x = rng.uniform(0.42, 0.58) + direction * (0.24 - 0.015 * pace * t)
        y = one * rest
        first = rng.uniform(0, 0.3)
        starts = first + 0.34 * np.arange(-3, 7)
        scene.posts = starts[:, None] - direction * 0.015 * pace * t
    elif motion == "shadow":
        scene.floor = True
        y = one * rest
        scene.light = 0.5 + direction * (0.022 * pace * t - 0.36)

    if motion == "behind":
        others = [c for c in COLOURS if c != colour]
        scene.second_colour, scene.second_shape = (
            str(rng.choice(others)),
            str(rng.choice(("square", "ball", "cross"))),
        )
        still = Thing(
            scene.second_shape,
            scene.second_colour,
            one * 0.19 * rng.uniform(0.95, 1.05),
            one * 0.5,
            one * 0.5,
            one * 0.0,
        )
        scene.things = [Thing(shape, colour, radius, x, y, angle), still]
    else:
        scene.things = [Thing(shape, colour, radius, x, y, angle)]
    scene.caption = caption(rng, scene, size)
    return scene


def _bounce(t: np.ndarray, top: float, rest: float, gravity: float, keep: float) -> np.ndarray:
    """Height of a ball dropped at `top` that keeps the part `keep` of its speed at each bounce."""
    y = np.empty_like(t)
    start, speed, height = 0.0, 0.0, top
    for i, now in enumerate(t):
        while True:
            ago = now - start
            value = height + speed * ago + 0.5 * gravity * ago**2
            if value <= rest or (height == rest and -speed < 0.3 * gravity):
                break
            hit = (-speed + np.sqrt(speed**2 + 2 * gravity * (rest - height))) / gravity
            speed, height, start = -keep * (speed + gravity * hit), rest, start + hit
        y[i] = min(value, rest)
    return y


def caption(rng: np.random.Generator, scene: Scene, size: str) -> str:
    """One of the ways to say a scene. Size and background are sometimes left out: then they are
    free.
    """
    side = "right" if scene.direction > 0 else "left"
    sized = rng.random() < 0.7 and scene.motion not in ("grow", "shrink", "behind")
    noun = f"{size + ' ' if sized else ''}{scene.colour} {scene.shape}"
    thing = f"{'a' if noun[0] not in 'aeiou' else 'an'} {noun}"
    words = MOTIONS[scene.motion][int(rng.integers(len(MOTIONS[scene.motion])))]
    if scene.frames == 1:
        text = thing
    elif scene.motion == "behind":
        article = "an" if scene.second_colour[0] in "aeiou" else "a"
        text = f"{thing} passing behind {article} {scene.second_colour} {scene.second_shape}"
    elif scene.motion == "pan":
        text = f"the camera pans {side} past {thing}"
    elif scene.motion == "shadow":
        text = f"{thing}, its shadow follows the light moving {side}"
    elif scene.motion == "throw":
        text = f"{thing} {words} to the {side}"
    else:
        text = f"{thing} {words}"
    if rng.random() < 0.75:
        text += f" on a {scene.background} background"
    return text


def draw(scene: Scene) -> np.ndarray:
    """The scene's frames, float32 in [-1, 1], [F, H, W, 3]."""
    f, h, w = scene.frames, scene.height, scene.width
    short = min(h, w)
    rows = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    top, bottom = (np.array(c, np.float32) for c in BACKGROUNDS[scene.background])
    column = top + (bottom - top) * rows  # [H, 3]
    dark = top.mean() < 100
    if scene.floor:
        cover = np.clip(np.arange(h, dtype=np.float32) + 0.5 - FLOOR * h + 0.5, 0, 1)[:, None]
        floor = column * 0.6 + 62 if dark else column * 0.72
        column = column + (floor - column) * cover
    clip = np.broadcast_to(column[None, :, None], (f, h, w, 3)).copy()
    ys = (np.arange(h, dtype=np.float32) + 0.5)[None, :, None]
    xs = (np.arange(w, dtype=np.float32) + 0.5)[None, None, :]
    if scene.posts is not None:
        shade = np.array((150, 150, 152) if dark else (92, 92, 94), np.float32)
        for track in scene.posts:
            cover = (
                np.clip(0.5 - (np.abs(xs - _px(track, w)) - 0.028 * short), 0, 1)
                * (ys > 0.5 * h)
                * (ys < FLOOR * h)
            )
            _paint(clip, cover, shade)
    if scene.light is not None:
        lamp_y = 0.12 * h
        lamp = np.hypot(xs - _px(scene.light, w), ys - lamp_y) - 0.06 * short
        _paint(
            clip,
            np.clip(0.5 - lamp, 0, 1),
            np.array((255, 250, 215) if dark else (250, 250, 235), np.float32),
        )
        rim = np.abs(lamp) - 0.012 * short
        _paint(
            clip,
            np.clip(0.5 - rim, 0, 1) * (0 if dark else 1),
            np.array((120, 120, 110), np.float32),
        )
        thing = scene.things[0]
        away = (thing.x - scene.light) * 0.9
        cx, cy = _px(thing.x + away * 0.55, w), _px(np.full(f, FLOOR + 0.055), h)
        a, b = _px(thing.radius * (0.9 + 0.5 * np.abs(away)), short), 0.035 * short
        ellipse = (np.hypot((xs - cx) / a, (ys - cy) / b) - 1) * b
        _paint(clip, np.clip(0.5 - ellipse, 0, 1), floor.mean(0) * 0.4)
    for thing in scene.things:
        r = _px(thing.radius, short)
        reach = 1.3 * r.max() + 2
        cx, cy = _px(thing.x, w), _px(thing.y, h)
        x0, x1 = int(max(0, cx.min() - reach)), int(min(w, cx.max() + reach + 1))
        y0, y1 = int(max(0, cy.min() - reach)), int(min(h, cy.max() + reach + 1))
        if x1 <= x0 or y1 <= y0:
            continue
        dx, dy = xs[..., x0:x1] - cx, ys[:, y0:y1] - cy
        if np.any(thing.angle):
            c, s = np.cos(thing.angle), np.sin(thing.angle)
            c, s = (v.astype(np.float32)[:, None, None] for v in (c, s))
            dx, dy = dx * c + dy * s, dy * c - dx * s
        _paint(
            clip[:, y0:y1, x0:x1],
            np.clip(0.5 - distance(thing.shape, dx, dy, r), 0, 1),
            np.array(COLOURS[thing.colour], np.float32),
        )
    return clip / np.float32(127.5) - 1


def _px(track: np.ndarray, scale: int) -> np.ndarray:
    return (track * scale).astype(np.float32)[:, None, None]


def _paint(clip: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> None:
    clip += (colour - clip) * cover[..., None]


def distance(shape: str, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Signed distance in pixels (negative inside) from points (x, y) to a shape of radius r about
    the origin, y down.
    """
    if shape == "ball":
        return np.hypot(x, y) - r
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.86 * r
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.74 * r) - 0.28 * r
    if shape == "cross":
        ax, ay = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(ax - r, ay - 0.34 * r), np.maximum(ax - 0.34 * r, ay - r))
    if shape == "triangle":
        s = np.float32(np.sqrt(3) / 2)
        return np.maximum(np.maximum(y, s * x - 0.5 * y), -s * x - 0.5 * y) - 0.66 * r
    if shape == "star":
        fifth = 2 * np.pi / 5
        a = np.abs((np.arctan2(x, -y) + fifth / 2) % fifth - fifth / 2)
        rho = np.hypot(x, y)
        tip, inner = 1.18, 0.5
        ex, ey = inner * np.cos(fifth / 2) - tip, inner * np.sin(fifth / 2)
        length = np.hypot(ex, ey)
        return (rho * np.cos(a) - tip * r) * (-ey / length) * -1 + (rho * np.sin(a)) * (
            -ex / length
        )
    raise ValueError(f"no shape is called {shape!r}")


def cut(scene: Scene, start: int, frames: int) -> Scene:
    """The same scene from frame `start` on, `frames` long."""
    part = slice(start, start + frames)
    things = [
        replace(th, **{k: getattr(th, k)[part] for k in ("radius", "x", "y", "angle")})
        for th in scene.things
    ]
    posts = None if scene.posts is None else scene.posts[:, part]
    light = None if scene.light is None else scene.light[part]
    return replace(scene, frames=frames, things=things, posts=posts, light=light)
