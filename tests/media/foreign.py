"""Clips as other programs and cameras write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

# Rows of a display matrix: where x and y go.
QUARTERS = {
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "mirrored 90": (0, 1, 1, 0),
}


def encoded(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    rate: Fraction | int = 24,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    colours: Sequence[int] | None = None,
    full: bool = False,
    aspect: Fraction | None = None,
    form: str | None = None,
) -> Path:
    """Encode uint8 [F, H, W, 3 or 4].

    times: when each is shown, in ms. colours: codes of matrix, primaries and transfer curve.
    """
    source = "rgba" if frames.shape[3] == 4 else "rgb24"
    with av.open(str(path), "w", format=form, options=container or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        context = stream.codec_context
        if times is not None:
            context.time_base = Fraction(1, 1000)
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if colours is not None:
            context.colorspace, context.color_primaries, context.color_trc = colours
        if full:
            context.color_range = 2
        if not len(frames):
            file.start_encoding()
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=source)
            picture = picture.reformat(
                format=pixels,
                dst_colorspace={1: 1, 9: 9}.get((colours or [5])[0], 5),
                dst_color_range=2 if full else 1,
            )
            if colours is not None:
                picture.colorspace, picture.color_primaries, picture.color_trc = colours
            picture.pts = index if times is None else times[index]
            picture.time_base = 1 / Fraction(rate) if times is None else Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def turned(path: Path, turn: str) -> Path:
    """Write a display matrix into an mp4 or mov, as phones do."""
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in QUARTERS[turn])
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def numbered(frames: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Grey frames [F, H, W, 3] that can be told apart: each is brighter than the one before."""
    level = np.linspace(20, 235, frames).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (frames, height, width, 3)).copy()


def corners(frames: int = 3, width: int = 64, height: int = 48) -> np.ndarray:
    """Grey frames [F, H, W, 3] with four different quarters."""
    picture = np.zeros((frames, height, width, 3), np.uint8)
    picture[:, : height // 2, : width // 2] = 230
    picture[:, : height // 2, width // 2 :] = 160
    picture[:, height // 2 :, : width // 2] = 90
    picture[:, height // 2 :, width // 2 :] = 30
    return picture


def nearest(frames: np.ndarray, known: np.ndarray) -> list[int]:
    """Which of the `known` frames each is."""
    levels = known.mean((1, 2, 3))
    return [int(np.abs(levels - frame.mean()).argmin()) for frame in frames]
