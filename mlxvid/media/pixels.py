"""From a video's frame to RGB as it is meant to be seen: upright, its pixels square, in sRGB-like
colours. FFmpeg's scale filter does the work, told what files leave out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData

from mlxvid.model.geometry import MAX_SIDE

from .images import read_image

# swscale's defaults drop every second chroma sample; with these flags a small saturated object
# keeps its colour (+3 dB).
SCALE_FLAGS = "lanczos+accurate_rnd+full_chroma_inp+full_chroma_int"
_SMALL_FLAGS = "area+accurate_rnd+full_chroma_inp"

# Codes of ITU-T H.273.
_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
_PQ_AND_HLG = (16, 18)
_WIDE_PRIMARIES = (9, 11, 12)  # BT.2020, DCI-P3 and Display P3
_FULL_RANGE = 2
_RANGES = (1, _FULL_RANGE)

# As H.264 and its like have their chroma samples. Without it swscale takes them for JPEG's, which
# costs 1.3 dB.
_CHROMA = "in_chroma_loc=left"

# Taller pictures without a tag are BT.709, others BT.601, as players have it.
_TALLEST_BT601 = 576
# Pixels further from square than this are a damaged file's.
_FLATTEST = 8


class Orientation(NamedTuple):
    """How a decoded picture is laid down: first transposed, then mirrored along its axes."""

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def applied(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels [H, W, C] as they are meant to be seen."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.upside_down:
            pixels = pixels[::-1]
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


class View:
    """How the pictures of one video are seen.

    width, height: upright, with square pixels. Made from the video's first frame and the aspect of
    its pixels.
    """

    def __init__(self, frame: av.VideoFrame, aspect: float | None):
        self.orientation = _orientation(frame)
        self._stored = (frame.width, frame.height)
        self._square = _squared(frame.width, frame.height, aspect or 1.0)
        self.width, self.height = _turned(self._square, self.orientation)
        self._graph: Graph | None = None
        self._key: tuple | None = None

    def fits(self, frame: av.VideoFrame) -> bool:
        """Whether a frame is stored in the same size as the first."""
        return (frame.width, frame.height) == self._stored

    def rgb(self, frame: av.VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
        """uint8 [H, W, 3] of `size` (width, height), by default the video's own; over white."""
        flags = SCALE_FLAGS if size is None else _SMALL_FLAGS
        square = self._square if size is None else _turned(size, self.orientation)
        transparent = is_transparent(frame)
        colours = f"{_colours(frame)}:flags={flags}"
        key = (frame.width, frame.height, frame.format.name, square, colours)
        if self._graph is None or key != self._key:
            self._graph = _graph(frame, square, colours, "rgba" if transparent else "rgb24")
            self._key = key
        self._graph.push(frame)
        converted = self._graph.pull()
        assert isinstance(converted, av.VideoFrame)  # the graph has no audio
        pixels = self.orientation.applied(converted.to_ndarray())
        return read_image(pixels) if transparent else pixels


def is_transparent(frame: av.VideoFrame) -> bool:
    """Whether a frame's pixels have an alpha channel."""
    return any(component.is_alpha for component in frame.format.components)


def is_wide(frame: av.VideoFrame) -> bool:
    """Whether a frame has more light or more colours than a screen in sRGB."""
    return frame.color_trc in _PQ_AND_HLG or frame.color_primaries in _WIDE_PRIMARIES


def _colours(frame: av.VideoFrame) -> str:
    """What the scale filter is told of a frame's colours."""
    untagged = "bt709" if frame.height > _TALLEST_BT601 else "bt601"
    matrix = _MATRICES.get(frame.colorspace, untagged)
    is_full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    if frame.format.name.startswith("gray") and frame.color_range not in _RANGES:
        is_full = True
    told = f"in_color_matrix={matrix}:in_range={_range(is_full)}:{_CHROMA}:out_range=pc"
    if frame.format.is_rgb:
        told = "out_range=pc"
    if not is_wide(frame):
        return told
    return f"{told}:out_primaries=bt709:out_transfer=bt709:intent=perceptual"


def _range(is_full: bool) -> str:
    return "pc" if is_full else "tv"


def _graph(frame: av.VideoFrame, size: tuple[int, int], colours: str, output: str) -> Graph:
    """FFmpeg's conversion, one frame in and one out."""
    graph = Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        ),
        graph.add("scale", f"{size[0]}:{size[1]}:{colours}"),
        graph.add("format", f"pix_fmts={output}"),
        graph.add("buffersink"),
    ]
    for node, following in zip(nodes, nodes[1:], strict=False):
        node.link_to(following)
    graph.configure()
    return graph


def _squared(width: int, height: int, aspect: float) -> tuple[int, int]:
    """The size with square pixels: the side that is too short is enlarged."""
    if not 1 / _FLATTEST <= aspect <= _FLATTEST:
        return width, height
    if aspect > 1:
        return min(round(width * aspect), MAX_SIDE), height
    return width, min(round(height / aspect), MAX_SIDE)


def _turned(size: tuple[int, int], orientation: Orientation) -> tuple[int, int]:
    return (size[1], size[0]) if orientation.transposed else size


def _orientation(frame: av.VideoFrame) -> Orientation:
    """What the display matrix says, where it turns by quarters (ISO/IEC 14496-12, 8.3.2).

    It takes x, y to ax + cy, bx + dy, with y downwards; a phone's clips have it.
    """
    try:
        # Its type is wrong in PyAV's stubs.
        several: Iterable[Any] = frame.side_data
        found = [data for data in several if data.type == SideData.DISPLAYMATRIX]
    except ValueError:
        # PyAV knows no name for something else that lies beside: EXIF, of stills.
        return _quarter_turns(frame.rotation)
    if not found:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found[0])[:36])
    if abs(b) > abs(a) and abs(c) > abs(d):
        return Orientation(True, b < 0, c < 0)
    return Orientation(False, d < 0, a < 0)


def _quarter_turns(degrees: int) -> Orientation:
    """A turn counterclockwise."""
    turned = {
        90: Orientation(True, True, False),
        180: Orientation(False, True, True),
        270: Orientation(True, False, True),
    }
    return turned.get(degrees % 360, Orientation())
