"""Pictures in and out, with Pillow: stills to condition on, the frames of a PNG clip, animated
GIFs.

Everything here is uint8 ``[H, W, 3]`` sRGB-style RGB. A file that can't be read raises
:class:`~mlxvid.errors.MediaError`, whatever Pillow raised underneath.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from mlxvid.errors import MediaError

_PALETTE_SAMPLE = 1 << 20
"""Pixels that a GIF's palette is chosen from: enough for its 256 colours, and about a second of
k-means.
"""

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


def read_image(source: str | os.PathLike | np.ndarray | Image.Image) -> np.ndarray:
    """One picture as a fresh uint8 ``[H, W, 3]`` array, upright and opaque.

    `source` is a file in any format that Pillow reads, a Pillow image, or a uint8 array ``[H, W]``,
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
        with _reading("the picture"):
            return _to_rgb(source)
    with open_picture(source) as picture:
        return _to_rgb(picture)


def fit(image: np.ndarray, width: int, height: int) -> tuple[np.ndarray, str | None]:
    """`image` (uint8 ``[H, W, 3]``) as uint8 ``[height, width, 3]`` without stretching, and a
    sentence on what was done to it.

    The picture is scaled (Lanczos) until it covers the asked size, and what sticks out is cropped
    evenly from both sides. The sentence is None, and the picture the same, when it has that size
    already.
    """
    have_height, have_width = image.shape[:2]
    if (have_width, have_height) == (width, height):
        return image, None
    fitted = ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.LANCZOS)
    scale = max(width / have_width, height / have_height)
    over_x, over_y = have_width * scale - width, have_height * scale - height
    verb = "enlarged" if scale > 1 else "reduced" if scale < 1 else "kept at its scale"
    sides = "left and right" if over_x > over_y else "top and bottom"
    crop = f" and cropped at the {sides}" if max(over_x, over_y) >= 0.5 else ""
    return np.asarray(
        fitted
    ), f"The picture ({have_width}x{have_height}) was {verb}{crop} to {width}x{height}."


@contextmanager
def open_picture(path: str | os.PathLike) -> Iterator[Image.Image]:
    """The file as a Pillow image, its pixels not decoded yet; Pillow's errors inside the block
    become :class:`MediaError`.
    """
    with _reading(os.fspath(path)), Image.open(path) as picture:
        yield picture


def write_png(path: Path, frame: np.ndarray, comment: str | None = None) -> None:
    """Write uint8 ``[H, W, 3]`` as a PNG, with `comment` (ASCII) in its ``tEXt`` chunk "Comment"
    when there is one.
    """
    info = PngImagePlugin.PngInfo()
    if comment is not None:
        info.add_text("Comment", comment)
    Image.fromarray(frame).save(path, format="PNG", pnginfo=info)


def write_gif(
    path: Path, frames: np.ndarray, milliseconds: Sequence[int], comment: str
) -> Iterator[int]:
    """Write uint8 ``[F, H, W, 3]`` as a GIF that loops for ever, yielding the number of frames done
    after each.

    `milliseconds` says how long each frame stays (multiples of 10). All frames share one palette,
    chosen from the whole clip, and are not dithered: a palette of its own for each frame, or an
    error diffusion, makes still backgrounds flicker. Pillow stores a run of equal frames as one
    long frame.
    """
    pixels = frames.reshape(-1, 3)
    if len(pixels) > _PALETTE_SAMPLE:
        pixels = pixels[np.random.default_rng(0).integers(len(pixels), size=_PALETTE_SAMPLE)]
    palette = Image.fromarray(pixels[None]).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)
    pictures = []
    for done, frame in enumerate(frames, 1):
        pictures.append(Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE))
        if done < len(frames):
            yield done
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=list(milliseconds),
        loop=0,
        comment=comment.encode("ascii"),
        palette=palette.palette,
    )
    yield len(frames)


def read_gif(path: Path) -> tuple[list[np.ndarray], list[int], bytes]:
    """A GIF's stored pictures (uint8 ``[H, W, 3]`` each), how many milliseconds each stays, and its
    comment.

    Raises :class:`MediaError` for a damaged file and for one that stops before the format's end
    mark.
    """
    with _reading(path):
        data = Path(path).read_bytes()
        with Image.open(BytesIO(data)) as gif:
            comment = gif.info.get("comment", b"")
            pictures, milliseconds = [], []
            for index in range(gif.n_frames):
                gif.seek(index)
                pictures.append(_to_rgb(gif))
                milliseconds.append(int(gif.info.get("duration", 0)))
        if (
            len({picture.shape for picture in pictures}) > 1
        ):  # Pillow grows the canvas for a frame that damage has moved outside
            raise MediaError(f"{path} is damaged: copy or make it again.")
        # Pillow takes a file that stops between two frames for a complete one.
        if not data.rstrip(b"\0").endswith(b";"):
            raise MediaError(f"{path} is cut short: copy or make it again.")
    return pictures, milliseconds, comment


@contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
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
        raise MediaError(
            f"{path} can't be read ({getattr(error, 'strerror', None) or error}): copy or make it again."
        ) from error


def _to_rgb(picture: Image.Image) -> np.ndarray:
    """A Pillow image of any mode, upright, over white, as uint8 [H, W, 3]."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise MediaError(
            "A picture with floating-point pixels has no known range: save it as an 8-bit PNG."
        )
    if picture.mode.startswith("I"):
        # Pillow's own conversion would clip 16-bit greys at 255.
        return _array_to_rgb((np.clip(np.asarray(picture), 0, 65535) / 257 + 0.5).astype(np.uint8))
    if picture.has_transparency_data:
        return _array_to_rgb(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def _array_to_rgb(array: np.ndarray) -> np.ndarray:
    """A uint8 array with 1, 3 or 4 channels, over white, as a fresh uint8 [H, W, 3]."""
    pixels = array[..., None] if array.ndim == 2 else array
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] not in (1, 3, 4)
        or 0 in pixels.shape
    ):
        raise MediaError(
            f"A picture is a uint8 array [height, width, 3], not {array.dtype} {list(array.shape)}: convert it first."
        )
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        return (pixels[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
