"""HEIC, the pictures that iPhones take: decoded by libheif, in a process of its own.

The decoders of a video format, in C++, are given files from anywhere: what they do to their process
is done to that one, which has limits of time and memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from mlxvid.errors import MediaError

SECONDS = 60
"""How long decoding may take."""

_MODULE = "mlxvid.media.heic_process"
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"}


def is_heic(start: bytes) -> bool:
    """Whether a file's first 64 bytes call it HEIC or HEIF, and not AVIF."""
    if start[4:8] != b"ftyp":
        return False
    length = int.from_bytes(start[:4], "big")
    brands = [start[at : at + 4] for at in range(8, min(length, len(start)), 4) if at != 12]
    return bool(_BRANDS.intersection(brands)) and b"avif" not in brands


def decoded(path: str | os.PathLike) -> BytesIO:
    """The main picture of a file as a PNG, upright, with its colour profile.

    Raises :class:`MediaError` for one that is damaged, or that takes too much time or memory.
    """
    name = Path(path).name
    remedy = f"save it as PNG, on a Mac with: sips -s format png {name} -o {name}.png"
    command = [sys.executable, "-m", _MODULE]
    if getattr(sys, "frozen", False):
        command = [sys.executable, "--run", _MODULE]
    try:
        done = subprocess.run(
            [*command, os.path.abspath(path), str(Image.MAX_IMAGE_PIXELS)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise MediaError(f"{path} takes too long to be read: {remedy}") from None
    if done.returncode == 0:
        return BytesIO(done.stdout)
    lines = done.stderr.decode(errors="replace").split("\n")
    reason = next((line for line in reversed(lines) if line.strip()), "the decoder ended")
    raise MediaError(f"{path} is a HEIC picture that can't be read ({reason:.120}): {remedy}")
