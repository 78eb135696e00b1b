"""Pictures in and out: stills to condition on, and the frames of a PNG clip.

Everything here is uint8 ``[H, W, 3]`` sRGB. A file that can't be read raises
:class:`~mlxvid.errors.MediaError`, whatever Pillow raised underneath. Only :data:`FORMATS` and HEIC
are opened, by what is in the file: asked for anything, Pillow would hand PostScript to Ghostscript.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import imageio.v3 as iio
import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from mlxvid.errors import MediaError
from mlxvid.paths import require_regular

from . import heic
from .colour import Note, UnknownRange, to_srgb
from .names import given_file

log = logging.getLogger("mlxvid")

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""The formats that are opened, as Pillow names them."""

MAX_BYTES = 1 << 30
"""The largest file that is opened: 16 bits for each of Pillow's most pixels take less."""

Source: TypeAlias = "str | os.PathLike | np.ndarray | Image.Image"
"""A picture's file, its pixels, or Pillow's image of it."""

# Pillow's decoders let all of these out for damaged files, according to where in the file the
# damage is.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright, by its EXIF orientation."""


def unsaid(said: str) -> None:
    """The note that nobody takes."""


def read_image(source: Source) -> np.ndarray:
    """One picture as a fresh uint8 ``[H, W, 3]`` array in sRGB, upright and opaque.

    `source` is a HEIC file or one in :data:`FORMATS`, a Pillow image, or a uint8 array ``[H, W]``,
    ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]``. A camera's EXIF rotation is applied, a colour
    profile is converted, transparency is laid over white, greys of 12 or 16 bits are scaled to 8,
    and of several pictures the first is taken. What isn't seen at once is logged.

    Raises :class:`MediaError` for a file that is missing, damaged, no picture, or so large (over
    Pillow's ``Image.MAX_IMAGE_PIXELS``) that decoding it could exhaust the memory, and for arrays
    of another type or shape.
    """
    note = partial(log.warning, "%s %s.", "The picture")
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, note)
    if isinstance(source, Image.Image):
        with picture_errors("the picture"):
            return to_rgb(source, note)
    path = given_file(source)
    return _read_file(path, partial(log.warning, "%s %s.", path))


def read_images(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    """The frames of a clip, as :func:`read_image` reads each; only the first is talked about."""
    for index, path in enumerate(paths):
        yield _read_file(path, unsaid) if index else read_image(path)


def read_thumbnail(path: str | os.PathLike, side: int) -> np.ndarray:
    """A picture as :func:`read_image` reads it, of `side` pixels at most; nothing is logged.

    Raises :class:`MediaError` as that does.
    """
    with open_picture(path) as picture:
        _first(picture, unsaid)
        picture.draft("RGB", (2 * side, 2 * side))  # which makes a JPEG quick
        image = Image.fromarray(to_rgb(picture))
    image.thumbnail((side, side))
    return np.asarray(image)


def fit(
    image: np.ndarray, width: int, height: int, focus: float = 0.5
) -> tuple[np.ndarray, str | None]:
    """`image` (uint8 ``[H, W, 3]``) as uint8 ``[height, width, 3]``, and what was done to it.

    The picture is scaled (Lanczos) until it covers the asked size, never stretched, and what sticks
    out is cropped. focus: the share of that which goes at the left or top, half by default. What
    was done is a sentence; None where the picture has that size already, and is given back as it
    is.
    """
    have_height, have_width = image.shape[:2]
    if (have_width, have_height) == (width, height):
        return image, None
    method = Image.Resampling.LANCZOS
    centre = (focus, focus)
    fitted = ImageOps.fit(Image.fromarray(image), (width, height), method, centering=centre)
    scale = max(width / have_width, height / have_height)
    verb = "enlarged" if scale > 1 else "reduced" if scale < 1 else "kept at its scale"
    over_x = have_width * scale - width
    over_y = have_height * scale - height
    first, last = ("left", "right") if over_x > over_y else ("top", "bottom")
    sides = {0.0: last, 1.0: first}.get(focus, f"{first} and {last}")
    crop = f" and cropped at the {sides}" if max(over_x, over_y) >= 0.5 else ""
    sizes = f"({have_width}x{have_height}) was {verb}{crop} to {width}x{height}"
    kept = width * height / (have_width * have_height * scale**2)
    # Rounded up, so that what is left of a very long one is never nothing.
    loss = f", so that only {math.ceil(100 * kept)} % of it is seen" if kept < 0.5 else ""
    return np.asarray(fitted), f"The picture {sizes}{loss}."


@contextmanager
def open_picture(path: str | os.PathLike) -> Iterator[Image.Image]:
    """The file as a Pillow image, its pixels not decoded yet (HEIC's are).

    Raises :class:`MediaError` for what is no HEIC nor in one of :data:`FORMATS`, and for whatever
    Pillow raises inside the block.
    """
    require_regular(path)
    with picture_errors(path):
        if os.stat(path).st_size > MAX_BYTES:
            raise MediaError(f"{path} is larger than 1 GiB: give a picture, as PNG or JPEG.")
        with open(path, "rb") as opened:
            start = opened.read(64)
        file = heic.decoded(path) if heic.is_heic(start) else path
        with Image.open(file, formats=FORMATS) as picture:
            yield picture


def write_png(path: Path, frame: np.ndarray, comment: str | None = None) -> None:
    """Write uint8 ``[H, W, 3]`` as a PNG, `comment` (ASCII) in a ``tEXt`` chunk "Comment"."""
    info = PngImagePlugin.PngInfo()
    if comment is not None:
        info.add_text("Comment", comment)
    # Through memory: with a file of its own, imageio leaves it open where the disk is full.
    data = iio.imwrite(
        "<bytes>", frame, plugin="pillow", extension=".png", is_batch=False, pnginfo=info
    )
    path.write_bytes(data)


@contextmanager
def picture_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn what Pillow raises for a bad file into a :class:`MediaError` that names `path`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities that it gets over (not shown), and between one and two times
            # its limit of pixels (an error here).
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except MediaError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise MediaError(
            f"{path} is too large to be read safely: scale it down to less than {limit} megapixels."
        ) from error
    except UnknownRange as error:
        raise MediaError(
            f"{path} has {error}, which have no known range: save it as an 8-bit PNG."
        ) from error
    except MemoryError as error:
        raise MediaError(f"{path} is too large for the memory: scale it down.") from error
    except FileNotFoundError as error:
        raise MediaError(f"There is no file {path}: check the name.") from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{path} is not a picture that can be read here: save it as PNG or JPEG."
        ) from error
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path} can't be read ({reason}): copy or make it again.") from error


def to_rgb(picture: Image.Image, note: Note = unsaid) -> np.ndarray:
    """A Pillow image of any mode, upright, over white, as uint8 ``[H, W, 3]`` in sRGB."""
    picture.load()
    upright = _upright(to_srgb(picture, note), picture, note)
    return _array_to_rgb(np.asarray(upright), note)


def _read_file(path: str | os.PathLike, note: Note) -> np.ndarray:
    with open_picture(path) as picture:
        _first(picture, note)
        return to_rgb(picture, note)


def _first(picture: Image.Image, note: Note) -> None:
    """Go to the first of several pictures, and say so; an MPO's others belong to its first."""
    count = getattr(picture, "n_frames", 1)
    if count == 1 or picture.format == "MPO":
        return
    if picture.format == "TIFF":
        note(f"has {count} pages, of which the first is taken")
        return
    # A PNG may have a picture for those who can't animate before its first frame.
    picture.seek(1 if getattr(picture, "default_image", False) else 0)
    note("is an animation, of which the first frame is taken")


def _upright(image: Image.Image, picture: Image.Image, note: Note) -> Image.Image:
    """`image` turned as the EXIF of `picture` has it, from which it was made."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except _DAMAGE:
        note("has damaged EXIF data, so that it may be turned the wrong way")
        return image
    turn = _TURNS.get(orientation or 1)
    return image if turn is None else image.transpose(turn)


def _array_to_rgb(array: np.ndarray, note: Note) -> np.ndarray:
    """A uint8 array with 1, 3 or 4 channels, over white, as a fresh uint8 ``[H, W, 3]``."""
    pixels = array[..., None] if array.ndim == 2 else array
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] not in (1, 3, 4)
        or 0 in pixels.shape
    ):
        kind = f"{array.dtype} {list(array.shape)}"
        raise MediaError(
            f"A picture is a uint8 array [height, width, 3], not {kind}: convert it first."
        )
    if pixels.shape[2] < 4:
        return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    colours = pixels[..., :3]
    alpha = pixels[..., 3:]
    if alpha.min() == 255:
        return np.array(colours)
    note("is partly transparent, and is laid over white")
    opacity = alpha.astype(np.float32) / 255
    return (colours * opacity + 255 * (1 - opacity) + 0.5).astype(np.uint8)
