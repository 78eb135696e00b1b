"""Colours of pictures as people have them, as 8-bit sRGB: every mode of Pillow's, and profiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageCms

Note: TypeAlias = Callable[[str], None]
"""Takes what was done to a picture, as what follows its name in a sentence."""


class UnknownRange(Exception):
    """Pixels are numbers of which nothing says what is black and white; it says which numbers."""


_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""What profiles call the spaces that pictures are in, and Pillow's modes for these."""

_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0


def to_srgb(picture: Image.Image, note: Note) -> Image.Image:
    """A loaded picture of any mode as RGB or, where it has transparency, RGBA.

    Colours are those that its profile means, as littlecms converts them (perceptual). What was
    guessed or left out is given to `note`. Raises :class:`UnknownRange`.
    """
    profile = picture.info.get("icc_profile")
    if picture.mode == "LAB":  # whatever the profile, Pillow means CIELAB by it
        return picture.convert("RGB")
    if picture.mode == "F":
        raise UnknownRange("floating-point pixels")
    if picture.mode.startswith("I"):
        return _in_srgb(_eight_bits(picture), profile, note)
    if not picture.has_transparency_data:
        return _in_srgb(picture, profile, note)
    transparent = picture.convert("RGBA")
    is_grey = picture.mode in ("1", "L", "LA", "La")
    converted = _in_srgb(transparent.convert("L" if is_grey else "RGB"), profile, note)
    converted.putalpha(transparent.getchannel("A"))
    return converted


def _in_srgb(picture: Image.Image, profile: bytes | None, note: Note) -> Image.Image:
    """An opaque picture as RGB, by its profile where it has one that can be used."""
    is_cmyk = picture.mode == "CMYK"
    if profile:
        is_grey = picture.mode in ("1", "L")
        try:
            given = ImageCms.ImageCmsProfile(BytesIO(profile))
            mode = _SPACES.get(given.profile.xcolor_space)
            fits = mode == "RGB" and not is_cmyk or mode == "L" and is_grey
            if fits or mode == "CMYK" and is_cmyk:
                converted = ImageCms.profileToProfile(
                    picture.convert(mode), given, _srgb(), outputMode="RGB"
                )
                assert converted is not None  # as it isn't converted in place
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
        note("has a colour profile that is damaged or not its own, which is left out")
    elif is_cmyk:
        note("is in CMYK without a colour profile, so that its colours are a guess")
    return picture.convert("RGB")


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Greys of 12 or 16 bits as mode L; Pillow's own conversion would clip them at 255."""
    tags = getattr(picture, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))
    most = 4095 if bits == (12,) else 65535
    deep = np.asarray(picture)
    if deep.min() < 0 or deep.max() > most:
        raise UnknownRange("32-bit pixels")
    greys = (deep / (most / 255) + 0.5).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        greys = 255 - greys
    return Image.fromarray(greys)
