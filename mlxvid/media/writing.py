"""Writing frames, their rate and a comment as a video, GIF, WebP, PNG or a folder of PNGs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

from mlxvid.model.rates import nearest_rate

from .animations import write_gif
from .encodings import Encoding
from .formats import gif_starts, webp_starts
from .images import write_png
from .pixels import SCALE_FLAGS
from .tag import SIDECAR
from .webp import write_webp

_RGB = 0  # no matrix at all
_BT709 = 1  # the code of BT.709 for matrix, primaries and transfer curve alike (ITU-T H.273)


def write_frames(
    frames: np.ndarray,
    fps: float,
    path: Path,
    kind: str,
    encoding: Encoding | None,
    comment: str,
) -> Iterator[int]:
    """Write frames uint8 [F, H, W, 3] and `comment` (ASCII, "" for none) to `path`, yielding the
    frames done.

    `kind` is one of :data:`VIDEO`, ".gif", ".webp", ".png" (one frame) or :data:`FOLDER` (`path` is
    then one that exists); `encoding` is that of a video. Raises OSError and
    ``av.FFmpegError`` where writing fails.
    """
    if encoding is not None:
        yield from _write_video(frames, fps, path, encoding, comment)
    elif kind == ".gif":
        milliseconds = np.diff(gif_starts(len(frames), fps)).tolist()
        yield from write_gif(path, frames, milliseconds, comment)
    elif kind == ".webp":
        yield from write_webp(path, frames, webp_starts(len(frames), fps), comment)
    elif kind == ".png":
        write_png(path, frames[0], comment or None)
        yield 1
    else:
        if comment:
            (path / SIDECAR).write_text(comment + "\n", encoding="ascii")
        for index, frame in enumerate(frames):
            write_png(path / f"frame_{index:04d}.png", frame)
            yield index + 1


def _write_video(
    frames: np.ndarray, fps: float, path: Path, encoding: Encoding, comment: str
) -> Iterator[int]:
    height, width = frames.shape[1:3]
    below = height % 2 if encoding.needs_even_sides else 0
    right = width % 2 if encoding.needs_even_sides else 0
    rate = nearest_rate(fps)
    with av.open(
        f"file:{path}", "w", format=encoding.container, options=encoding.container_options
    ) as container:
        if comment:
            container.metadata["comment"] = comment
        stream = _add_stream(container, encoding, rate, width + right, height + below)
        converter = _converter(stream.width, stream.height, 1 / rate, encoding)
        for index, frame in enumerate(frames):
            even = np.pad(frame, ((0, below), (0, right), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            picture.pts = index
            picture.time_base = 1 / rate
            converter.push(picture)
            converted = converter.pull()
            assert isinstance(converted, av.VideoFrame)  # the graph has no audio
            container.mux(stream.encode(converted))
            if index + 1 < len(frames):
                yield index + 1
        container.mux(stream.encode())
    yield len(frames)


def _add_stream(
    container: av.container.OutputContainer,
    encoding: Encoding,
    rate: Fraction,
    width: int,
    height: int,
) -> av.VideoStream:
    """A video stream tagged as BT.709, its chroma samples at the left."""
    options = dict(encoding.options)
    if encoding.has_chroma:
        options["chroma_sample_location"] = "left"
    if encoding.codec == "libx264":
        options.update(x264_options())
    stream = container.add_stream(encoding.codec, rate=rate, options=options)
    assert isinstance(stream, av.VideoStream)  # as the codec is a video's
    stream.width = width
    stream.height = height
    stream.pix_fmt = encoding.pixels
    context = stream.codec_context
    if encoding.tag:
        context.codec_tag = encoding.tag
    context.colorspace = _BT709 if encoding.has_chroma else _RGB
    context.color_primaries = _BT709
    context.color_trc = _BT709
    return stream


@cache
def x264_options() -> dict[str, str]:
    """Options with which x264 makes the same file of the same frames.

    With AVX-512 its macroblock tree varies with what was in memory before.
    """
    try:
        has_avx512 = " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        has_avx512 = False
    return {"x264-params": "asm=avx2"} if has_avx512 else {}


def _converter(width: int, height: int, time_base: Fraction, encoding: Encoding) -> Graph:
    """FFmpeg's conversion from RGB to the codec's pixels, one frame in and one out.

    A filter, since `VideoFrame.reformat` puts chroma samples in the middle of their pixels, and
    players expect H.264's at the left.
    """
    graph = Graph()
    colours = f"flags={SCALE_FLAGS}"
    if encoding.has_chroma:
        colours = f"out_color_matrix=bt709:out_range=tv:out_chroma_loc=left:{colours}"
    nodes = [
        graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("rgb24"), time_base=time_base
        ),
        graph.add("scale", colours),
        graph.add("format", f"pix_fmts={encoding.pixels}"),
        graph.add("buffersink"),
    ]
    for node, following in zip(nodes, nodes[1:], strict=False):
        node.link_to(following)
    graph.configure()
    return graph
