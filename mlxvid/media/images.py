"""Pictures in and out: stills to condition on, and the frames of a PNG clip.

Everything here is uint8 ``[H, W, 3]`` sRGB-style RGB. A file that can't be read raises
:class:`~mlxvid.errors.MediaError`, whatever Pillow raised underneath. Only :data:`FORMATS` are
opened, by what is in the file: asked for anything, Pillow would hand PostScript to Ghostscript.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from mlxvid.errors import MediaError
from mlxvid.paths import require_regular

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The formats that are opened, as Pillow names them."""

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
    OverflowError,
    struct.error,
    zlib.error,
)


def read_image(source: Source) -> np.ndarray:
    """One picture as a fresh uint8 ``[H, W, 3]`` array, upright and opaque.

    `source` is a file in one of :data:`FORMATS`, a Pillow image, or a uint8 array ``[H, W]``,
    ``[H, W, 1]``, ``[H, W, 3]`` or ``[H, W, 4]``. A camera's EXIF rotation is applied, transparency
    is laid over white, 16-bit greys are scaled to 8 bits, and of an animation the first frame is
    taken. Colour profiles are not converted.

    Raises :class:`MediaError` for a file that is missing, damaged, no picture, or so large (over
    Pillow's ``Image.MAX_IMAGE_PIXELS``) that decoding it could exhaust the memory, and for arrays
    of another type or shape.
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source)
    if isinstance(source, Image.Image):
        with picture_errors("the picture"):
            return to_rgb(source)
    with open_picture(source) as picture:
        return to_rgb(picture)


def fit(image: np.ndarray, width: int, height: int) -> tuple[np.ndarray, str | None]:
    """`image` (uint8 ``[H, W, 3]``) as uint8 ``[height, width, 3]``, and what was done to it.

    The picture is scaled (Lanczos) until it covers the asked size, never stretched, and what sticks
    out is cropped evenly from both sides. What was done is a sentence; None where the picture has
    that size already, and is given back as it is.
    """
    have_height, have_width = image.shape[:2]
    if (have_width, have_height) == (width, height):
        return image, None
    fitted = ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.LANCZOS)
    scale = max(width / have_width, height / have_height)
    verb = "enlarged" if scale > 1 else "reduced" if scale < 1 else "kept at its scale"
    over_x = have_width * scale - width
    over_y = have_height * scale - height
    sides = "left and right" if over_x > over_y else "top and bottom"
    crop = f" and cropped at the {sides}" if max(over_x, over_y) >= 0.5 else ""
    sizes = f"({have_width}x{have_height}) was {verb}{crop} to {width}x{height}"
    return np.asarray(fitted), f"The picture {sizes}."


@contextmanager
def open_picture(path: str | os.PathLike) -> Iterator[Image.Image]:
    """The file as a Pillow image, its pixels not decoded yet.

    Raises :class:`MediaError` for a file in none of :data:`FORMATS`, and for whatever Pillow raises
    inside the block.
    """
    require_regular(path)
    with picture_errors(path), Image.open(path, formats=FORMATS) as picture:
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
    except FileNotFoundError as error:
        raise MediaError(f"There is no file {path}: check the name.") from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{path} is not a picture that can be read here: save it as PNG or JPEG."
        ) from error
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path} can't be read ({reason}): copy or make it again.") from error


def to_rgb(picture: Image.Image) -> np.ndarray:
    """A Pillow image of any mode, upright, over white, as uint8 ``[H, W, 3]``."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise MediaError(
            "A picture with floating-point pixels has no known range: save it as an 8-bit PNG."
        )
    if picture.mode.startswith("I"):
        # Pillow's own conversion would clip 16-bit greys at 255.
        deep = np.clip(np.asarray(picture), 0, 65535)
        return _array_to_rgb((deep / 257 + 0.5).astype(np.uint8))
    if picture.has_transparency_data:
        return _array_to_rgb(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _array_to_rgb(array: np.ndarray) -> np.ndarray:
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
    opacity = alpha.astype(np.float32) / 255
    return (colours * opacity + 255 * (1 - opacity) + 0.5).astype(np.uint8)
