"""The process that decodes a HEIC picture: python -m mlxvid.media.heic_process FILE PIXELS.

It writes a PNG of at most so many pixels to standard output. Where that fails it says why on
standard error and exits with 1.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

MEMORY = 8 << 30
"""Bytes of addresses: a picture of Pillow's limit takes about a tenth of them."""


def main(arguments: list[str]) -> int:
    """Decode the file; returns the exit code."""
    path, most = arguments
    with suppress(OSError, ValueError):  # macOS has the limit, and may not take it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    try:
        import pi_heif

        require_whole(path)
        picture = pi_heif.open_heif(path, convert_hdr_to_8bit=True)
        width, height = picture.size
        if width * height > int(most):
            raise ValueError(f"{width}x{height} pixels are too many")
        image = picture.to_pillow()
    except Exception as error:
        print(f"{error}".strip() or type(error).__name__, file=sys.stderr)
        return 1
    profile = image.info.get("icc_profile")
    image.info.clear()  # of what else is there, the rotation has been done
    image.save(sys.stdout.buffer, "PNG", compress_level=0, icc_profile=profile)
    return 0


def require_whole(path: str) -> None:
    """Raise ValueError for a file that ends before its boxes do, and would lack tiles."""
    size = os.path.getsize(path)
    at = 0
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            length = int.from_bytes(file.read(4), "big")
            if length == 1:  # the length follows the box's name, in 64 bits
                file.seek(at + 8)
                length = int.from_bytes(file.read(8), "big")
            if length == 0:  # the last box goes to the end
                return
            at += max(length, 8)
    if at > size:
        raise ValueError("it is cut short")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
