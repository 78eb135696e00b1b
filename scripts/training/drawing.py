"""The drawing of a scene: signed distances, with one pixel of antialiasing."""

from __future__ import annotations

import numpy as np

from .world import BACKGROUNDS, COLOURS, FLOOR, Scene, Thing


def draw(scene: Scene) -> np.ndarray:
    """The scene's frames, float32 in [-1, 1], [F, H, W, 3]."""
    f = scene.frames
    h = scene.height
    w = scene.width
    column = _ground(scene)
    clip = np.broadcast_to(column[None, :, None], (f, h, w, 3)).copy()
    if scene.posts is not None:
        _draw_posts(clip, scene)
    if scene.light is not None:
        _draw_lamp(clip, scene)
        # The floor's colour, from its lowest row.
        _draw_shadow(clip, scene, _floor(scene).mean(0) * 0.4)
    for thing in scene.things:
        _draw_thing(clip, scene, thing)
    return clip / np.float32(127.5) - 1


def to_bytes(clip: np.ndarray) -> np.ndarray:
    """A clip in [-1, 1] as uint8."""
    return np.clip((clip + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)


def is_dark(scene: Scene) -> bool:
    """Whether the background is a dark one."""
    top, _ = BACKGROUNDS[scene.background]
    return bool(np.array(top, np.float32).mean() < 100)


def _background(scene: Scene) -> np.ndarray:
    """The background's colour in each row, [H, 3], 0 to 255."""
    rows = np.linspace(0, 1, scene.height, dtype=np.float32)[:, None]
    top, bottom = (np.array(colour, np.float32) for colour in BACKGROUNDS[scene.background])
    return top + (bottom - top) * rows


def _floor(scene: Scene) -> np.ndarray:
    """The colour that a floor has in each row, [H, 3]."""
    column = _background(scene)
    return column * 0.6 + 62 if is_dark(scene) else column * 0.72


def _ground(scene: Scene) -> np.ndarray:
    """Background and floor in each row, [H, 3]."""
    column = _background(scene)
    if not scene.floor:
        return column
    rows = np.arange(scene.height, dtype=np.float32)
    cover = np.clip(rows + 0.5 - FLOOR * scene.height + 0.5, 0, 1)[:, None]
    return column + (_floor(scene) - column) * cover


def _grid(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """x [1, 1, W] and y [1, H, 1] of the pixels' middles."""
    xs = (np.arange(scene.width, dtype=np.float32) + 0.5)[None, None, :]
    ys = (np.arange(scene.height, dtype=np.float32) + 0.5)[None, :, None]
    return xs, ys


def _draw_posts(clip: np.ndarray, scene: Scene) -> None:
    assert scene.posts is not None
    xs, ys = _grid(scene)
    half = 0.028 * min(scene.height, scene.width)
    shade = (150, 150, 152) if is_dark(scene) else (92, 92, 94)
    upright = (ys > 0.5 * scene.height) * (ys < FLOOR * scene.height)
    for track in scene.posts:
        across = np.clip(0.5 - (np.abs(xs - _pixels(track, scene.width)) - half), 0, 1)
        _paint(clip, across * upright, shade)


def _draw_lamp(clip: np.ndarray, scene: Scene) -> None:
    assert scene.light is not None
    xs, ys = _grid(scene)
    short = min(scene.height, scene.width)
    dark = is_dark(scene)
    away = np.hypot(xs - _pixels(scene.light, scene.width), ys - 0.12 * scene.height)
    lamp = away - 0.06 * short
    _paint(clip, np.clip(0.5 - lamp, 0, 1), (255, 250, 215) if dark else (250, 250, 235))
    if not dark:  # on a light ground it has a rim
        rim = np.abs(lamp) - 0.012 * short
        _paint(clip, np.clip(0.5 - rim, 0, 1), (120, 120, 110))


def _draw_shadow(clip: np.ndarray, scene: Scene, colour: np.ndarray) -> None:
    """The first thing's shadow on the floor: an ellipse on the side away from the lamp."""
    assert scene.light is not None
    xs, ys = _grid(scene)
    short = min(scene.height, scene.width)
    thing = scene.things[0]
    away = (thing.x - scene.light) * 0.9
    cx = _pixels(thing.x + away * 0.55, scene.width)
    cy = _pixels(np.full(scene.frames, FLOOR + 0.055), scene.height)
    a = _pixels(thing.radius * (0.9 + 0.5 * np.abs(away)), short)
    b = 0.035 * short
    ellipse = (np.hypot((xs - cx) / a, (ys - cy) / b) - 1) * b
    _paint(clip, np.clip(0.5 - ellipse, 0, 1), colour)


def _draw_thing(clip: np.ndarray, scene: Scene, thing: Thing) -> None:
    h = scene.height
    w = scene.width
    r = _pixels(thing.radius, min(h, w))
    reach = 1.3 * r.max() + 2
    cx = _pixels(thing.x, w)
    cy = _pixels(thing.y, h)
    x0 = int(max(0, cx.min() - reach))
    x1 = int(min(w, cx.max() + reach + 1))
    y0 = int(max(0, cy.min() - reach))
    y1 = int(min(h, cy.max() + reach + 1))
    if x1 <= x0 or y1 <= y0:
        return
    xs, ys = _grid(scene)
    dx = xs[..., x0:x1] - cx
    dy = ys[:, y0:y1] - cy
    if np.any(thing.angle):
        c = np.cos(thing.angle).astype(np.float32)[:, None, None]
        s = np.sin(thing.angle).astype(np.float32)[:, None, None]
        dx, dy = dx * c + dy * s, dy * c - dx * s
    cover = np.clip(0.5 - distance(thing.shape, dx, dy, r), 0, 1)
    _paint(clip[:, y0:y1, x0:x1], cover, COLOURS[thing.colour])


def _pixels(track: np.ndarray, scale: int) -> np.ndarray:
    """A track over frames in pixels, [F, 1, 1]."""
    return (track * scale).astype(np.float32)[:, None, None]


def _paint(clip: np.ndarray, cover: np.ndarray, colour: np.ndarray | tuple[int, int, int]) -> None:
    """Lay a colour over a clip where it is covered (0 to 1)."""
    clip += (np.asarray(colour, np.float32) - clip) * cover[..., None]


def distance(shape: str, x: np.ndarray, y: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Signed distance in pixels from points (x, y) to a shape of radius r, negative inside.

    The shape is upright about the origin, with y down.
    """
    if shape == "ball":
        return np.hypot(x, y) - r
    if shape == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.86 * r
    if shape == "ring":
        return np.abs(np.hypot(x, y) - 0.74 * r) - 0.28 * r
    if shape == "cross":
        ax = np.abs(x)
        ay = np.abs(y)
        return np.minimum(np.maximum(ax - r, ay - 0.34 * r), np.maximum(ax - 0.34 * r, ay - r))
    if shape == "triangle":
        s = np.float32(np.sqrt(3) / 2)
        return np.maximum(np.maximum(y, s * x - 0.5 * y), -s * x - 0.5 * y) - 0.66 * r
    if shape == "star":
        fifth = 2 * np.pi / 5
        a = np.abs((np.arctan2(x, -y) + fifth / 2) % fifth - fifth / 2)
        rho = np.hypot(x, y)
        tip = 1.18
        inner = 0.5
        ex = inner * np.cos(fifth / 2) - tip
        ey = inner * np.sin(fifth / 2)
        length = np.hypot(ex, ey)
        outwards = (rho * np.cos(a) - tip * r) * (-ey / length) * -1
        return outwards + (rho * np.sin(a)) * (-ex / length)
    raise ValueError(f"no shape is called {shape!r}")
