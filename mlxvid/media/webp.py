"""Animated WebPs out: encoded by FFmpeg, frame by frame, since Pillow does it in one go."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from PIL import ExifTags, Image

QUALITY = "90"
# WebP's container specification: where a canvas's flags are, the one for metadata, and where in a
# frame's chunk is how long it stays, 3 bytes.
_FLAGS = 8
_HAS_EXIF = 0x08
_DURATION = 20
_MILLISECOND = Fraction(1, 1000)


def write_webp(path: Path, frames: np.ndarray, starts: np.ndarray, comment: str) -> Iterator[int]:
    """Write uint8 ``[F, H, W, 3]`` as a WebP that loops for ever, yielding the frames done.

    `starts` says when each frame starts, and the last one ends, in ms [F + 1]. A run of equal
    frames is stored as one long frame; where all are equal, it is a still picture.
    """
    file = BytesIO()
    height, width = frames.shape[1:3]
    with av.open(file, "w", format="webp", options={"loop": "0"}) as container:
        stream = container.add_stream("libwebp_anim", options={"quality": QUALITY})
        assert isinstance(stream, av.VideoStream)  # as the codec is a video's
        stream.width = width
        stream.height = height
        stream.pix_fmt = "bgra"
        stream.codec_context.time_base = _MILLISECOND
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgra")
            picture.pts = int(starts[index])
            picture.duration = int(starts[index + 1] - starts[index])
            picture.time_base = _MILLISECOND
            container.mux(stream.encode(picture))
            if index + 1 < len(frames):
                yield index + 1
        container.mux(stream.encode())
    chunks = bytearray(file.getvalue()[12:])
    _set_length(chunks, int(starts[-1]))
    if comment:
        _add_comment(chunks, width, height, comment)
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WEBP") + chunks)
    yield len(frames)


def _set_length(chunks: bytearray, milliseconds: int) -> None:
    """Have the last frame stay until the end; libwebp gives it the mean of the others."""
    place = 0
    passed = 0
    last = None
    while place < len(chunks):
        name, size = struct.unpack_from("<4sI", chunks, place)
        if name == b"ANMF":
            if last is not None:
                passed += int.from_bytes(chunks[last : last + 3], "little")
            last = place + _DURATION
        place += 8 + size + size % 2
    if last is not None:
        chunks[last : last + 3] = (milliseconds - passed).to_bytes(3, "little")


def _add_comment(chunks: bytearray, width: int, height: int, comment: str) -> None:
    """Add a comment as the picture's description, which is where others look for one."""
    if not chunks.startswith(b"VP8X"):  # a still picture has no canvas
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks[:0] = struct.pack("<4sII", b"VP8X", 10, 0) + sides
    chunks[_FLAGS] |= _HAS_EXIF
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = comment
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunks += struct.pack("<4sI", b"EXIF", len(body)) + body + b"\0" * (len(body) % 2)
