"""The formats that a clip is kept in: frames, rate and a comment, to and from mp4, webm, GIF, PNG
and folders of PNGs.

Pixels and time only. Where files stand under which name is :mod:`mlxvid.media.clip`'s; so is what
is in the comment, but for how it is recognised (:func:`unpack`), since the sizes and the rate in it
help to undo what a format did to the clip.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

from mlxvid.errors import MediaError

from . import images

FOREIGN_FPS = 24.0
"""The rate given to pictures that say nothing about time."""

MIN_FPS, MAX_FPS = 0.1, 1000.0
FOLDER = "folder"
"""The kind of a folder of PNG frames; the other kinds are the endings of the names."""

FRAME_NAME = re.compile(r"frame_\d{4,}\.png")
_BT709 = 1  # the code of BT.709 for matrix, primaries and transfer curve alike (ITU-T H.273)
# swscale's defaults drop every second chroma sample; with these flags a small saturated object
# keeps its colour (+3 dB).
_SCALE_FLAGS = "lanczos+accurate_rnd+full_chroma_inp+full_chroma_int"
EXACT = (
    0x200 | 0x40000 | 0x4000 | 0x2000
)  # the same flags as swscale.h numbers them: PyAV 17, Python 3.10's last, has no names for them
VIDEO = {
    ".mp4": ("libx264", {"crf": "18"}, {"movflags": "use_metadata_tags+faststart"}),
    ".webm": (
        "libvpx-vp9",
        {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        {},
    ),
}

Contents = tuple[np.ndarray, "float | None", "dict | None"]
"""Frames uint8 [F, H, W, 3], the rate that the file itself gives, and its tag; None where there is
none.
"""


# --- writing --------------------------------------------------------------------------------------


def write(frames: np.ndarray, fps: float, path: Path, kind: str, comment: str) -> Iterator[int]:
    """Write frames uint8 [F, H, W, 3] with `comment` (ASCII) to `path`, yielding the frames done.

    `kind` is one of :data:`VIDEO`, ".gif", ".png" (one frame) or :data:`FOLDER` (`path` is then one
    that exists). Raises OSError and ``av.FFmpegError`` where writing fails.
    """
    if kind in VIDEO:
        yield from _write_video(frames, fps, path, kind, comment)
    elif kind == ".gif":
        starts = _gif_starts(len(frames), fps)
        yield from images.write_gif(path, frames, [int(ms) for ms in np.diff(starts)], comment)
    elif kind == ".png":
        images.write_png(path, frames[0], comment)
        yield 1
    else:
        (path / "settings.json").write_text(comment + "\n", encoding="ascii")
        for index, frame in enumerate(frames):
            images.write_png(path / f"frame_{index:04d}.png", frame)
            yield index + 1


def _write_video(
    frames: np.ndarray, fps: float, path: Path, kind: str, comment: str
) -> Iterator[int]:
    codec, options, container_options = VIDEO[kind]
    if codec == "libx264" and _has_avx512():
        options = {**options, "x264-params": "asm=avx2"}
    height, width = frames.shape[1:3]
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(f"file:{path}", "w", format=kind[1:], options=container_options) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(
            codec, rate=rate, options={**options, "chroma_sample_location": "left"}
        )
        stream.width, stream.height, stream.pix_fmt = (
            width + width % 2,
            height + height % 2,
            "yuv420p",
        )
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        converter = _to_yuv420(stream.width, stream.height, 1 / rate)
        for index, frame in enumerate(frames):
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            picture.pts, picture.time_base = index, 1 / rate
            converter.push(picture)
            container.mux(stream.encode(converter.pull()))
            if index + 1 < len(frames):
                yield index + 1
        container.mux(stream.encode())
    yield len(frames)


@cache
def _has_avx512() -> bool:
    """Whether x264 would use AVX-512: its macroblock tree then varies with what was in memory, and
    the same frames make other files.
    """
    try:
        return " avx512f " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _to_yuv420(width: int, height: int, time_base: Fraction) -> Graph:
    """FFmpeg's conversion from RGB to BT.709 yuv420p, one frame in and one out.

    A filter, since `VideoFrame.reformat` puts chroma samples in the middle of their pixels, and
    players expect H.264's at the left.
    """
    graph = Graph()
    nodes = [
        graph.add_buffer(width=width, height=height, format="rgb24", time_base=time_base),
        graph.add(
            "scale", f"out_color_matrix=bt709:out_range=tv:out_chroma_loc=left:flags={_SCALE_FLAGS}"
        ),
        graph.add("format", "pix_fmts=yuv420p"),
        graph.add("buffersink"),
    ]
    for node, following in zip(nodes, nodes[1:], strict=False):
        node.link_to(following)
    graph.configure()
    return graph


def _gif_starts(frames: int, fps: float) -> np.ndarray:
    """When each frame of a GIF starts, and the last one ends, in ms ``[frames + 1]``: multiples of
    10 that don't drift from `fps`.

    Browsers show a frame of less than 20 ms for 100 ms, so nothing plays faster than 50 a second.
    """
    return np.rint(np.arange(frames + 1) * 100 / min(fps, 50)).astype(int) * 10


# --- reading --------------------------------------------------------------------------------------


def read(source: Path) -> Contents:
    """What is in a file or folder; raises :class:`MediaError` for what is missing, damaged, cut
    short, or no clip.
    """
    if source.is_dir():
        return _read_folder(source)
    first = magic(source)
    if first.startswith(b"GIF8"):
        return _read_gif(source)
    if first.startswith(b"\x89PNG"):
        return images.read_image(source)[None], None, read_tag(source)
    return _read_video(source)


def _read_video(source: Path) -> Contents:
    with open_video(source) as container:
        stream = container.streams.video[0]
        tag = unpack(_comment(container))
        fps = float(stream.average_rate or FOREIGN_FPS)
        packets, frames = 0, []
        for packet in container.demux(stream):
            packets += packet.size > 0
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise MediaError(f"{source} is damaged: copy or make it again.")
                frames.append(frame.to_ndarray(format="rgb24", interpolation=EXACT))
        # mp4 counts its packets; Matroska gives the duration, whose frames are known for a clip of
        # ours.
        promised = stream.frames or (
            round(container.duration / av.time_base * tag["fps"])
            if tag and container.duration
            else 1
        )
        if packets < promised or not frames:
            raise MediaError(
                f"{source} is cut short, with {len(frames)} of {promised} frames: copy or make it again."
            )
        return np.stack(frames), fps, tag


def _read_gif(source: Path) -> Contents:
    pictures, milliseconds, comment = images.read_gif(source)
    tag = unpack(comment)
    starts = np.cumsum([0, *milliseconds])
    fps = 1000 * len(pictures) / max(int(starts[-1]), 1)
    if tag is not None:
        expected = _gif_starts(tag["frames"], tag["fps"])
        if expected[-1] == starts[-1]:  # otherwise another program has changed its timing since
            fps = tag["fps"]
            pictures = [
                pictures[i] for i in np.searchsorted(starts[:-1], expected[:-1], side="right") - 1
            ]
    return (
        np.stack(pictures),
        fps if starts[-1] else 10.0,
        tag,
    )  # players show GIFs without times at 10 a second


def _read_folder(folder: Path) -> Contents:
    tag = folder_tag(folder)
    names = [
        path for path in folder.glob("*.png") if tag is None or FRAME_NAME.fullmatch(path.name)
    ]
    names.sort(key=lambda path: (len(path.name), path.name) if tag else path.name)
    if not names:
        raise MediaError(
            f"The folder {folder} holds no .png frames: give a clip, or a folder of its frames."
        )
    if tag is not None and len(names) != tag["frames"]:
        raise MediaError(
            f"The folder {folder} holds {len(names)} of {tag['frames']} frames: copy or make it again."
        )
    frames = [images.read_image(name) for name in names]
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError(f"The pictures in {folder} have different sizes: give frames of one size.")
    return np.stack(frames), None, tag


@contextmanager
def open_video(source: Path) -> Iterator[av.container.InputContainer]:
    """The file opened with FFmpeg; its errors inside the block become :class:`MediaError`."""
    # "file:" and the list keep odd names, and playlists in disguise, from reaching for the network.
    with (
        sound(source),
        av.open(
            f"file:{os.path.abspath(source)}", options={"protocol_whitelist": "file"}
        ) as container,
    ):
        if not container.streams.video:
            raise MediaError(f"{source} holds no pictures: give a clip.")
        yield container


@contextmanager
def sound(source: Path) -> Iterator[None]:
    """Turn what FFmpeg says of a damaged file into :class:`MediaError`."""
    try:
        yield
    except MediaError:
        raise
    except (OSError, ValueError, EOFError, av.FFmpegError) as error:
        raise MediaError(
            f"{source} is not a clip that can be read, or is damaged: copy or make it again."
        ) from error


def magic(source: Path) -> bytes:
    try:
        with open(source, "rb") as file:
            return file.read(8)
    except FileNotFoundError as error:
        raise MediaError(f"There is no clip {source}: check the name.") from error
    except (OSError, ValueError) as error:
        raise MediaError(
            f"{source} can't be read ({getattr(error, 'strerror', None) or error}): check its permissions."
        ) from error


# --- the settings inside --------------------------------------------------------------------------


def unpack(comment: str | bytes) -> dict | None:
    """The tag in a comment; None for anything that mlxvid can't have made."""
    try:
        tag = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(tag, dict)
        or tag.get("mlxvid") != 1
        or not isinstance(tag.get("settings"), dict)
    ):
        return None
    counts = [tag.get(key) for key in ("frames", "width", "height")]
    if not all(type(count) is int and 0 < count < 1 << 20 for count in counts):
        return None
    if not isinstance(tag.get("fps"), (int, float)) or not MIN_FPS <= tag["fps"] <= MAX_FPS:
        return None
    return tag


def read_tag(source: Path) -> dict | None:
    """The tag in a clip's file or folder, None where it has none. Raises :class:`MediaError` as
    :func:`read` does.
    """
    if source.is_dir():
        return folder_tag(source)
    first = magic(source)
    if first.startswith((b"GIF8", b"\x89PNG")):
        with images.open_picture(source) as picture:
            return unpack(picture.info.get("comment", picture.info.get("Comment", "")))
    with open_video(source) as container:
        return unpack(_comment(container))


def _comment(container: av.container.InputContainer) -> str:
    """The container's comment; Matroska writes its key in capitals."""
    return container.metadata.get("comment", container.metadata.get("COMMENT", ""))


def folder_tag(folder: Path) -> dict | None:
    """The tag beside a folder's frames, None where it has none."""
    try:
        return unpack((folder / "settings.json").read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MediaError(
            f"{folder / 'settings.json'} can't be read ({error.strerror}): check its permissions."
        ) from error
