"""The little world that the model learns: flat shapes that move, and the captions that say so.

A :class:`Scene` is a caption's attributes plus the numbers that a caption leaves open (where, how
fast), so that every clip has an exact ground truth; drawing.py draws it. Lengths are fractions of
the canvas, times are frames: a clip twice as long shows more of the motion, not a slower one.
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

# Never drawn in training, and called "unseen" in the scores: every attribute is seen, these pairs
# are not.
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
    """One object: its look, and its place in each frame.

    The arrays are over frames, in fractions of the canvas; the angle is in radians.
    """

    shape: str
    colour: str
    radius: np.ndarray
    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray


@dataclass
class Scene:
    """A caption's attributes and the tracks of everything in it.

    `things` are drawn back to front. posts: [n, frames], x of each post of a panned scene, in
    fractions of the width; light: [frames], x of the lamp.
    """

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
    posts: np.ndarray | None = None
    light: np.ndarray | None = None
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

    unseen: False for combinations that training shows, True for the others, None for either; odds:
    one for each of `MOTIONS`, adding up to 1. Without them motions are nearly equally likely, as in
    the scores.
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
# What the transformer is trained on: most of what it finds hardest, where a thing turns, comes
# back, or changes its direction.
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
    # The shorter side, as a fraction of the width and of the height.
    sx = short / width
    sy = short / height
    r = SIZES[size] * rng.uniform(0.95, 1.05)
    t = np.arange(frames, dtype=np.float64)
    one = np.ones(frames)
    direction = int(rng.choice((-1, 1)))
    pace = rng.uniform(0.9, 1.1)
    x = one * rng.uniform(0.42, 0.58)
    y = one * rng.uniform(0.42, 0.58)
    radius = one * r
    angle = one * 0.0
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
        top = rng.uniform(0.16, 0.24)
        low = rng.uniform(0.76, 0.84)
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
        x = 0.5 + 0.27 * sx * np.cos(turn)
        y = 0.5 + 0.27 * sy * np.sin(turn)
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

    scene.things = [Thing(shape, colour, radius, x, y, angle)]
    if motion == "behind":
        scene.things.append(_still_thing(rng, scene))
    scene.caption = caption(rng, scene, size)
    return scene


def _still_thing(rng: np.random.Generator, scene: Scene) -> Thing:
    """The large thing in the middle, of another colour, that the first one passes behind."""
    others = [name for name in COLOURS if name != scene.colour]
    colour = str(rng.choice(others))
    shape = str(rng.choice(("square", "ball", "cross")))
    scene.second_colour = colour
    scene.second_shape = shape
    one = np.ones(scene.frames)
    radius = one * 0.19 * rng.uniform(0.95, 1.05)
    return Thing(shape, colour, radius, one * 0.5, one * 0.5, one * 0.0)


def _bounce(t: np.ndarray, top: float, rest: float, gravity: float, keep: float) -> np.ndarray:
    """Height of a ball dropped at `top` that keeps the part `keep` of its speed at each bounce."""
    y = np.empty_like(t)
    start = 0.0
    speed = 0.0
    height = top
    for i, now in enumerate(t):
        while True:
            ago = now - start
            value = height + speed * ago + 0.5 * gravity * ago**2
            if value <= rest or (height == rest and -speed < 0.3 * gravity):
                break
            hit = (-speed + np.sqrt(speed**2 + 2 * gravity * (rest - height))) / gravity
            speed = -keep * (speed + gravity * hit)
            height = rest
            start += hit
        y[i] = min(value, rest)
    return y


def caption(rng: np.random.Generator, scene: Scene, size: str) -> str:
    """One of the ways to say a scene; size and background are sometimes left open."""
    side = "right" if scene.direction > 0 else "left"
    sized = rng.random() < 0.7 and scene.motion not in ("grow", "shrink", "behind")
    noun = f"{scene.colour} {scene.shape}"
    thing = with_article(f"{size} {noun}" if sized else noun)
    ways = MOTIONS[scene.motion]
    words = ways[int(rng.integers(len(ways)))]
    if scene.frames == 1:
        text = thing
    elif scene.motion == "behind":
        text = f"{thing} {words} {with_article(f'{scene.second_colour} {scene.second_shape}')}"
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


def with_article(noun: str) -> str:
    """A noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def cut(scene: Scene, start: int, frames: int) -> Scene:
    """The same scene from frame `start` on, `frames` long."""
    part = slice(start, start + frames)
    things = []
    for thing in scene.things:
        tracks = {name: getattr(thing, name)[part] for name in ("radius", "x", "y", "angle")}
        things.append(replace(thing, **tracks))
    posts = None if scene.posts is None else scene.posts[:, part]
    light = None if scene.light is None else scene.light[part]
    return replace(scene, frames=frames, things=things, posts=posts, light=light)
