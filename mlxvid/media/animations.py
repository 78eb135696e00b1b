"""Animated pictures: GIFs in and out, animated WebPs and APNGs in, with imageio.

imageio's Pillow plugin turns all three into arrays with a time for each frame, and writes indices
into one palette for a whole clip. What it can't do stays with Pillow: choosing that palette, and
refusing any other format before imageio, which would open it, sees the file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import imageio.v3 as iio
import numpy as np
from imageio.plugins.pillow import PillowPlugin
from PIL import ExifTags, Image

from mlxvid.errors import MediaError

from .images import open_picture, picture_errors, to_rgb, unsaid

log = logging.getLogger("mlxvid")

FORMATS = ("GIF", "PNG", "WEBP")
"""The formats that can be animated, as Pillow names them."""

MOST_BYTES = 4 << 30
"""The most that an animation may take in memory, where a few bytes of a file can be a frame."""

_PALETTE_SAMPLE = 1 << 20
"""Pixels that a GIF's palette is chosen from: enough for its 256 colours, and about a second of
k-means."""


class Animation(NamedTuple):
    """The stored pictures, uint8 ``[H, W, 3]``, the ms that each stays, and the file's comment."""

    pictures: list[np.ndarray]
    milliseconds: list[float]
    comment: str | bytes


def is_animated(path: str | os.PathLike) -> bool:
    """Whether a picture has times: any GIF, and a WebP or PNG of several frames.

    Raises :class:`MediaError` as :func:`~mlxvid.media.images.open_picture` does.
    """
    with open_picture(path) as picture:
        several = picture.format in FORMATS and getattr(picture, "n_frames", 1) > 1
        return several or picture.format == "GIF"


def read_animation(path: str | os.PathLike) -> Animation:
    """The frames of a GIF, WebP or PNG; a PNG's picture for those who can't animate is left out.

    Raises :class:`MediaError` for a damaged file and for one that stops before the format's end
    mark.
    """
    with picture_errors(path):
        data = Path(path).read_bytes()
        # No other of Pillow's readers takes what these begin with, so imageio gets one of them too.
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            is_gif = opened.format == "GIF"
            count = getattr(opened, "n_frames", 1)
            if count * opened.width * opened.height * 3 > MOST_BYTES:
                raise MediaError(
                    f"{path} has {count} frames of {opened.width}x{opened.height}, too much for "
                    "an animation in memory: save it as .mp4 first."
                )
            skipped = 1 if getattr(opened, "default_image", False) else 0
            orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
            profile = opened.info.get("icc_profile")
            comment = comment_of(opened)
        note = partial(log.warning, "%s %s.", path)
        pictures: list[np.ndarray] = []
        milliseconds = []
        for pixels, duration in _frames(data, count):
            picture = Image.fromarray(pixels)
            picture.getexif()[ExifTags.Base.Orientation] = orientation
            picture.info["icc_profile"] = profile
            pictures.append(to_rgb(picture, unsaid if pictures else note))
            milliseconds.append(duration)
        # Pillow grows the canvas for a frame that damage has moved outside.
        if len({picture.shape for picture in pictures}) > 1:
            raise MediaError(f"{path} is damaged: copy or make it again.")
        # Pillow takes a GIF that stops between two frames for a complete one.
        if is_gif and not data.rstrip(b"\0").endswith(b";"):
            raise MediaError(f"{path} is cut short: copy or make it again.")
    return Animation(pictures[skipped:], milliseconds[skipped:], comment)


def comment_of(picture: Image.Image) -> str | bytes:
    """What a picture says of itself, "" for nothing; a WebP has it as the picture's description."""
    for name in ("comment", "Comment"):
        if name in picture.info:
            return picture.info[name]
    return picture.getexif().get(ExifTags.Base.ImageDescription, "")


def _frames(data: bytes, count: int) -> Iterator[tuple[np.ndarray, float]]:
    """The pixels of `count` frames, RGBA or 16-bit grey, and the ms that each stays."""
    file = iio.imopen(data, "r", plugin=PillowPlugin)
    with file:
        # Greys of 16 bits would be clipped at 255, and there is no transparency in them.
        as_stored = file.properties(index=0).dtype != np.uint8
        for index in range(count):
            pixels = file.read(index=index) if as_stored else file.read(index=index, mode="RGBA")
            # After the pixels: a WebP's times are known when a frame is decoded.
            yield pixels, float(file.metadata(index=index).get("duration", 0))


def write_gif(
    path: Path, frames: np.ndarray, milliseconds: Sequence[int], comment: str
) -> Iterator[int]:
    """Write uint8 ``[F, H, W, 3]`` as a GIF that loops for ever, yielding the frames done.

    `milliseconds` says how long each frame stays (multiples of 10). All frames share one palette,
    chosen from the whole clip, and are dithered by a pattern that stands still: a palette of its
    own for each frame, or an error diffusion, makes still backgrounds flicker. A run of equal
    frames is stored as one long frame.
    """
    palette = _shared_palette(frames)
    indices = np.empty(frames.shape[:3], np.uint8)
    for done, frame in enumerate(frames, 1):
        indices[done - 1] = _dithered(frame, palette)
        if done < len(frames):
            yield done
    # Through memory: with a file of its own, imageio leaves it open where the disk is full.
    data = iio.imwrite(
        "<bytes>",
        indices,
        plugin="pillow",
        extension=".gif",
        mode="P",
        save_all=True,
        duration=list(milliseconds),
        loop=0,
        comment=comment.encode("ascii"),
        palette=palette.palette,
    )
    path.write_bytes(data)
    yield len(frames)


def _dithered(frame: np.ndarray, palette: Image.Image) -> np.ndarray:
    """The indices [H, W] of uint8 [H, W, 3] in a palette, two colours mixed where none fits.

    The nearest colour, and the nearest to what lies as far beyond the pixel, are mixed in the
    pixel's proportions by a threshold for each place in 8x8 (ordered dithering, after Yliluoma). A
    pixel that has its own colour keeps it.
    """
    colours = np.array(palette.getpalette(), np.float32).reshape(-1, 3)
    pixels = frame.astype(np.float32)
    nearest = _nearest(frame, palette)
    missing = pixels - colours[nearest]
    other = _nearest(np.clip(pixels + missing, 0, 255).round().astype(np.uint8), palette)
    way = colours[other] - colours[nearest]
    length = (way**2).sum(-1)
    share = (missing * way).sum(-1) / np.maximum(length, 1)
    rows, columns = share.shape
    thresholds = np.tile(_BAYER, (-(-rows // 8), -(-columns // 8)))[:rows, :columns]
    mixed = (share > thresholds) & (length < _FARTHEST**2)
    return np.where(mixed, other, nearest).astype(np.uint8)


def _nearest(frame: np.ndarray, palette: Image.Image) -> np.ndarray:
    picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    return np.asarray(picture)


def _thresholds(size: int) -> np.ndarray:
    """Bayer's matrix of a power of two, its values evenly spaced between 0 and 1."""
    ranks = np.zeros((1, 1), np.int64)
    while len(ranks) < size:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return (ranks + 0.5) / size**2


_BAYER = _thresholds(8)
_FARTHEST = 64
"""The most that two colours may differ for their mixture to look like one."""


def _shared_palette(frames: np.ndarray) -> Image.Image:
    """A picture whose palette has the 256 colours that suit uint8 ``[F, H, W, 3]`` best."""
    pixels = frames.reshape(-1, 3)
    if len(pixels) > _PALETTE_SAMPLE:
        sample = np.random.default_rng(0).integers(len(pixels), size=_PALETTE_SAMPLE)
        pixels = pixels[sample]
    picture = Image.fromarray(pixels[None])
    return picture.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
