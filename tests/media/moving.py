"""A clip to save: small, smooth-edged, with something moving."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

SETTINGS = {
    "prompt": 'ein rotes Bällchen 🏀 «弹跳»\n"quoted"',
    "seed": 7,
    "guidance": 4.5,
    "size": [64, 48],
    "nested": {"a": [None, True, {"b": "ü"}]},
}


NAMES = [
    "clip.mp4",
    "clip.webm",
    "clip.mov",
    "clip.mkv",
    "clip.gif",
    "clip.webp",
    "clip",
    "clip.MP4",
]


def moving(frames: int = 9, width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth-edged red disc crossing a blue slope, in front of a still green square."""
    out = []
    for index in range(frames):
        slope = np.zeros((height * 2, width * 2, 3), np.uint8)
        slope[..., 2] = np.linspace(60, 220, height * 2)[:, None]
        picture = Image.fromarray(slope)
        draw = ImageDraw.Draw(picture)
        x = 2 * width * (index + 1) // (frames + 2)
        size = height // 2
        draw.ellipse((x, size, x + size, 2 * size), fill=(230, 30, 30))
        draw.rectangle((8, height * 2 - 30, 40, height * 2 - 8), fill=(30, 200, 60))
        out.append(np.asarray(picture.resize((width, height), Image.Resampling.BOX)))
    return np.stack(out)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(((a.astype(float) - b) ** 2).mean(), 1e-9))
