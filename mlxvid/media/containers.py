"""Video files opened with FFmpeg, and what is known of them before anything is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition

from mlxvid.errors import MediaError

from .tag import Tag, parse_tag

# What FFmpeg may take a file for: containers, bare streams, and pictures. No playlists or scripts,
# which fetch other files.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mxf,ivf,dv,yuv4mpegpipe"
_STREAMS = "h264,hevc,m4v,mpegvideo,mjpeg"
_PICTURES = "jpeg_pipe,bmp_pipe,tiff_pipe"
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": f"{_CONTAINERS},{_STREAMS},{_PICTURES}",
}


class Packets(NamedTuple):
    """What a stream's packets say without being decoded.

    filled: how many hold data. times: when frames are shown, in seconds, ascending; empty where
    the file doesn't say. last: how long the last one stays. keys: the times that decoding can begin
    at, in the stream's units, ascending.
    """

    filled: int
    times: np.ndarray
    last: float
    keys: list[int]


@contextmanager
def open_video(source: Path) -> Iterator[av.container.InputContainer]:
    """The file opened with FFmpeg; its errors inside the block become :class:`MediaError`."""
    # "file:" keeps odd names from being taken for addresses.
    name = f"file:{os.path.abspath(source)}"
    with video_errors(source), av.open(name, options=_OPTIONS) as container:
        if not container.streams.video:
            raise MediaError(f"{source} holds no pictures: give a clip.")
        yield container


@contextmanager
def video_errors(source: Path) -> Iterator[None]:
    """Turn what FFmpeg raises for a damaged file into :class:`MediaError`."""
    try:
        yield
    except MediaError:
        raise
    except MemoryError as error:
        raise too_large(source) from error
    except (OSError, ValueError, EOFError, av.FFmpegError) as error:
        raise MediaError(
            f"{source} is not a clip that can be read, or is damaged: copy or make it again."
        ) from error


def too_large(source: object) -> MediaError:
    """What is raised where a clip doesn't fit in memory."""
    return MediaError(f"{source} is too large for the memory: cut it, or scale it down.")


def container_tag(container: av.container.InputContainer) -> Tag | None:
    """The tag in the container's comment; Matroska writes that key in capitals."""
    metadata = container.metadata
    return parse_tag(metadata.get("comment", metadata.get("COMMENT", "")))


def is_cover(stream: av.VideoStream) -> bool:
    return Disposition.attached_pic in stream.disposition


def scan(
    container: av.container.InputContainer, streams: list[av.VideoStream]
) -> dict[int, Packets]:
    """By stream: what its packets say. Nothing is decoded; a damaged file ends at the damage."""
    counts = dict.fromkeys((stream.index for stream in streams), 0)
    decoding = dict.fromkeys(counts, -(2**63))
    restarts = set()
    shown: dict[int, list[tuple[int | None, int]]] = {stream.index: [] for stream in streams}
    keys: dict[int, list[int]] = {stream.index: [] for stream in streams}
    try:
        for packet in container.demux(streams):
            index = packet.stream.index
            if not packet.size:
                continue
            counts[index] += 1
            if packet.dts is not None:
                if packet.dts < decoding[index]:
                    restarts.add(index)  # as where files were put together
                decoding[index] = packet.dts
            if packet.is_keyframe and packet.pts is not None:
                keys[index].append(packet.pts)
            if not packet.is_discard:
                shown[index].append((packet.pts, packet.duration or 0))
    except (OSError, ValueError, av.FFmpegError):
        pass  # decoding will say it, after the frames before
    found = {}
    for stream in streams:
        pairs = shown[stream.index]
        times = np.empty(0)
        last = 0.0
        is_timed = stream.index not in restarts
        if stream.time_base and is_timed and all(pts is not None for pts, _ in pairs):
            pairs = sorted(pairs)
            unit = float(stream.time_base)
            times = np.array([pts for pts, _ in pairs], np.float64) * unit
            last = pairs[-1][1] * unit if pairs else 0.0
        found[stream.index] = Packets(counts[stream.index], times, last, sorted(keys[stream.index]))
    return found
