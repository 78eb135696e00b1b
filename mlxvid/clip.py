"""Clip: frames, frame rate and the settings that made them, written to and read from files.

How the settings travel: one JSON object in ASCII, ``{"mlxvid": 1, "fps", "frames", "width", "height", "settings"}``, in the comment of
an mp4, webm or GIF, in a PNG's ``tEXt`` chunk "Comment", or in ``settings.json`` beside a folder's frames. The sizes in it let
:meth:`Clip.load` undo what a format does to a clip: H.264's 4:2:0 needs even sides, so an odd side is stored with its last line
repeated, and is cropped again on reading; GIF counts time in hundredths of a second and merges equal frames.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation
from PIL import Image

from . import images
from .errors import MediaError, SettingError

log = logging.getLogger("mlxvid")

FOREIGN_FPS = 24.0
"""The rate given to pictures that say nothing about time."""

_MIN_FPS, _MAX_FPS = 0.1, 1000.0
_FOLDER = "folder"
_FRAME_NAME = re.compile(r"frame_\d{4,}\.png")
_BT709 = 1  # the code of BT.709 for matrix, primaries and transfer curve alike (ITU-T H.273)
# swscale's defaults drop every second chroma sample; with these flags a small saturated object keeps its colour (+3 dB).
_SCALE_FLAGS = "lanczos+accurate_rnd+full_chroma_inp+full_chroma_int"
_EXACT = int(Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP | Interpolation.FULL_CHR_H_INT)
_VIDEO = {
    ".mp4": ("libx264", {"crf": "18"}, {"movflags": "use_metadata_tags+faststart"}),
    ".webm": ("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}, {}),
}


@dataclass
class Clip:
    """`frames`: uint8 ``[F, H, W, 3]``, at least one; `fps`: frames a second, 0.1 to 1000; `settings`: JSON-able.

    Raises :class:`SettingError` for anything else.
    """

    frames: np.ndarray
    fps: float
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
            raise SettingError("A clip's frames are a uint8 array [frames, height, width, 3] with at least one frame: convert them first.")
        if not _MIN_FPS <= self.fps <= _MAX_FPS:  # also false for NaN
            raise SettingError(f"A clip can't play {self.fps} frames a second: choose between {_MIN_FPS:g} and {_MAX_FPS:g}.")
        self.fps = float(self.fps)

    def save(self, path: str | os.PathLike, on_progress: Callable[[int, int], None] | None = None) -> Path:
        """Write the clip in the format of the name's ending, and return its path.

        ``.mp4`` (H.264), ``.webm`` (VP9), ``.gif``, ``.png`` (one frame only); a name without an ending, with a ``/`` at its end, or of an
        existing folder makes a folder of ``frame_0000.png`` and on. A file of that name is replaced; a folder is, if it is
        empty or holds nothing but a clip saved before. `on_progress(frames done, frames in all)` is called after each frame.

        The work is done under a temporary name beside the target and renamed at the end: when anything goes wrong, an exception
        out of `on_progress` or a Ctrl-C included, neither name is left behind and a clip that was there stays as it was.
        What a format changes is logged on the logger ``mlxvid``. Raises :class:`MediaError` as :func:`check_writable` does, and when
        writing fails; :class:`SettingError` when the settings are not JSON-able.
        """
        target = check_writable(path, len(self.frames))
        kind = _kind(path)
        comment = _pack(self)
        _log_changes(self, target, kind)
        with closing(_save(self, target, kind, comment)) as steps:
            for done in steps:
                if on_progress is not None:
                    on_progress(done, len(self.frames))
        return target

    @classmethod
    def load(cls, path: str | os.PathLike) -> Clip:
        """Read any clip that :meth:`save` writes, and most others (settings ``{}``); the content counts, not the name's ending.

        Raises :class:`MediaError` for what is missing, damaged, cut short, or no clip.
        """
        source = _expand(path)
        if source.is_dir():
            return _load_folder(source)
        magic = _magic(source)
        if magic.startswith(b"GIF8"):
            return _load_gif(source)
        if magic.startswith(b"\x89PNG"):
            return _clip(images.read_image(source)[None], None, _read_tag(source))
        return _load_video(source)


def check_writable(path: str | os.PathLike, frames: int | None = None) -> Path:
    """The path that :meth:`Clip.save` would write to, if a clip (of `frames` frames) can be saved there; to call before a long run.

    A temporary file is made and removed, since permission bits don't tell the truth on every file system. Nothing else changes.
    Raises :class:`MediaError` for an ending that has no format, a folder that is missing, not writable, or holds other files, and
    for several frames in a ``.png``.
    """
    target, kind = _expand(path), _kind(path)
    if kind == ".png" and frames is not None and frames > 1:
        raise MediaError(
            f"One .png holds one picture and this clip has {frames} frames: "
            "end the name in .mp4, .gif or .webm, or in / for a folder of pictures."
        )
    try:
        existing = target.exists()
        if existing and kind == _FOLDER:
            _check_folder(target)
        room = target if existing and kind == _FOLDER else Path(os.path.realpath(target)).parent
        if not room.is_dir():
            raise MediaError(f"The folder {room} does not exist: create it, or choose another place for {target.name}.")
        if existing and not os.access(target, os.W_OK):
            raise MediaError(f"{target} is write-protected: choose another name.")
        if not existing:
            with suppress(FileNotFoundError):
                os.lstat(target)  # fails for a name too long for the file system, which Python 3.14 calls absent
        probe = _temporary(room)
        try:
            probe.touch(exist_ok=False)
        finally:
            probe.unlink(missing_ok=True)
    except MediaError:
        raise
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    return target


def read_settings(path: str | os.PathLike) -> dict:
    """The settings inside a saved clip, without decoding its frames. Raises :class:`MediaError` if it has none or is no clip."""
    source = _expand(path)
    tag = _read_tag(source)
    if tag is None:
        raise MediaError(f"{source} holds no mlxvid settings: give a clip that mlxvid saved.")
    return tag["settings"]


def contact_sheet(clips: Sequence[Clip], columns: int = 9) -> Image.Image:
    """A picture with one row a clip: up to `columns` of its frames, evenly spaced from the first to the last, on white."""
    gap = 2
    height, width = (max(clip.frames.shape[axis] for clip in clips) for axis in (1, 2))
    sheet = Image.new("RGB", (columns * (width + gap) - gap, len(clips) * (height + gap) - gap), "white")
    for row, clip in enumerate(clips):
        count = min(columns, len(clip.frames))
        for column, index in enumerate(np.linspace(0, len(clip.frames) - 1, count).round().astype(int)):
            sheet.paste(Image.fromarray(clip.frames[index]), (column * (width + gap), row * (height + gap)))
    return sheet


# --- names and temporary names ---------------------------------------------------------------------------------------------------


def _expand(path: str | os.PathLike) -> Path:
    return Path(os.path.expanduser(os.fspath(path)))


def _kind(path: str | os.PathLike) -> str:
    """The format that a name asks for: ".mp4", ".webm", ".gif", ".png" or _FOLDER."""
    name, target = os.fspath(path), _expand(path)
    ending = target.suffix.lower()
    try:
        folder = name.endswith(("/", os.sep)) or not ending or target.is_dir()
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    if folder:
        return _FOLDER
    if ending not in (*_VIDEO, ".gif", ".png"):
        raise MediaError(f"{target} ends in {ending}, which has no format: end it in .mp4, .webm, .gif, .png, or / for a folder.")
    return ending


def _temporary(room: Path, ending: str = "") -> Path:
    return room / f".mlxvid-{secrets.token_hex(4)}{ending}"


def _unwritable(target: Path, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or error
    return MediaError(f"{target} can't be written ({reason}): make room there, or choose another place.")


def _check_folder(folder: Path) -> None:
    """Raise unless `folder` is empty or holds nothing but a clip saved before (and what Finder leaves in every folder)."""
    if not folder.is_dir():
        raise MediaError(f"{folder} is a file, not a folder: choose another name, or end it in .mp4, .webm, .gif or .png.")
    names = {entry.name for entry in folder.iterdir()} - {".DS_Store"}
    foreign = sorted(name for name in names if name != "settings.json" and not _FRAME_NAME.fullmatch(name))
    if not foreign and names and _folder_tag(folder) is None:
        foreign = sorted(names)
    if foreign:
        raise MediaError(f"The folder {folder} holds other files ({foreign[0]}): name a new or empty folder for the frames.")


@contextmanager
def _staged(target: Path, kind: str) -> Iterator[Path]:
    """A temporary file or folder that becomes `target` when the block ends well, and is removed when it doesn't."""
    real = Path(os.path.realpath(target))  # through a symbolic link, so that the link stays one
    inside = kind == _FOLDER and real.is_dir()  # an existing folder keeps its identity: someone may stand in it
    stage = _temporary(real if inside else real.parent, "" if kind == _FOLDER else kind)
    try:
        if kind == _FOLDER:
            stage.mkdir()
        yield stage
        if inside:
            _swap(stage, real)
        else:
            os.replace(stage, real)
    finally:
        if stage.is_dir():
            shutil.rmtree(stage)
        else:
            stage.unlink(missing_ok=True)


def _swap(stage: Path, folder: Path) -> None:
    """Move the new frames out of `stage` and the old ones into it, or leave all as it was."""
    new = sorted(stage.iterdir())
    old = stage / "old"
    old.mkdir()
    moves = [(entry, old / entry.name) for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    moves += [(entry, folder / entry.name) for entry in new]
    done = []
    try:
        for source, goal in moves:
            done.append((source, goal))
            os.replace(source, goal)
    except BaseException:
        for source, goal in reversed(done):
            if goal.exists() and not source.exists():
                os.replace(goal, source)
        raise


# --- writing -----------------------------------------------------------------------------------------------------------------------


def _save(clip: Clip, target: Path, kind: str, comment: str) -> Iterator[int]:
    """Write the clip, yielding the frames done: a generator, so that what the caller's callback raises isn't taken for a failed write."""
    try:
        with _staged(target, kind) as stage:
            if kind in _VIDEO:
                yield from _write_video(clip, stage, kind, comment)
            elif kind == ".gif":
                starts = _gif_starts(len(clip.frames), clip.fps)
                yield from images.write_gif(stage, clip.frames, [int(ms) for ms in np.diff(starts)], comment)
            elif kind == ".png":
                images.write_png(stage, clip.frames[0], comment)
                yield 1
            else:
                (stage / "settings.json").write_text(comment + "\n", encoding="ascii")
                for index, frame in enumerate(clip.frames):
                    images.write_png(stage / f"frame_{index:04d}.png", frame)
                    yield index + 1
    except (OSError, av.FFmpegError) as error:
        raise _unwritable(target, error) from error


def _write_video(clip: Clip, path: Path, kind: str, comment: str) -> Iterator[int]:
    codec, options, container_options = _VIDEO[kind]
    height, width = clip.frames.shape[1:3]
    rate = Fraction(clip.fps).limit_denominator(1001)
    with av.open(f"file:{path}", "w", format=kind[1:], options=container_options) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate=rate, options={**options, "chroma_sample_location": "left"})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        converter = _to_yuv420(stream.width, stream.height, 1 / rate)
        for index, frame in enumerate(clip.frames):
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            picture.pts, picture.time_base = index, 1 / rate
            converter.push(picture)
            container.mux(stream.encode(converter.pull()))
            if index + 1 < len(clip.frames):
                yield index + 1
        container.mux(stream.encode())
    yield len(clip.frames)


def _to_yuv420(width: int, height: int, time_base: Fraction) -> Graph:
    """FFmpeg's conversion from RGB to BT.709 yuv420p, one frame in and one out.

    A filter, since `VideoFrame.reformat` puts chroma samples in the middle of their pixels, and players expect H.264's at the left.
    """
    graph = Graph()
    nodes = [
        graph.add_buffer(width=width, height=height, format="rgb24", time_base=time_base),
        graph.add("scale", f"out_color_matrix=bt709:out_range=tv:out_chroma_loc=left:flags={_SCALE_FLAGS}"),
        graph.add("format", "pix_fmts=yuv420p"),
        graph.add("buffersink"),
    ]
    for node, following in zip(nodes, nodes[1:], strict=False):
        node.link_to(following)
    graph.configure()
    return graph


def _gif_starts(frames: int, fps: float) -> np.ndarray:
    """When each frame of a GIF starts, and the last one ends, in ms ``[frames + 1]``: multiples of 10 that don't drift from `fps`.

    Browsers show a frame of less than 20 ms for 100 ms, so nothing plays faster than 50 a second.
    """
    return np.rint(np.arange(frames + 1) * 100 / min(fps, 50)).astype(int) * 10


def _log_changes(clip: Clip, target: Path, kind: str) -> None:
    """Log what the format can't keep as it is."""
    height, width = clip.frames.shape[1:3]
    if kind in _VIDEO and (width % 2 or height % 2):
        stored = f"{width + width % 2}x{height + height % 2}"
        log.info("%s is stored as %s, since video needs even sides; the last line is repeated.", target, stored)
    if kind == ".gif" and clip.fps > 50:
        log.warning("%s plays at 50 frames a second instead of %g, the most that a GIF can.", target, clip.fps)
    elif kind == ".gif" and not (100 / clip.fps).is_integer():
        log.info("%s keeps its speed, but single frames last up to 5 ms more or less: GIF counts in steps of 10 ms.", target)


# --- reading -----------------------------------------------------------------------------------------------------------------------


def _load_video(source: Path) -> Clip:
    with _open_video(source) as container:
        stream = container.streams.video[0]
        tag = _unpack(_comment(container))
        fps = float(stream.average_rate or FOREIGN_FPS)
        packets, frames = 0, []
        for packet in container.demux(stream):
            packets += packet.size > 0
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise MediaError(f"{source} is damaged: copy or make it again.")
                frames.append(frame.to_ndarray(format="rgb24", interpolation=_EXACT))
        # mp4 counts its packets; Matroska gives the duration, whose frames are known for a clip of ours.
        promised = stream.frames or (round(container.duration / av.time_base * tag["fps"]) if tag and container.duration else 1)
        if packets < promised or not frames:
            raise MediaError(f"{source} is cut short, with {len(frames)} of {promised} frames: copy or make it again.")
        return _clip(np.stack(frames), fps, tag)


def _load_gif(source: Path) -> Clip:
    pictures, milliseconds, comment = images.read_gif(source)
    tag = _unpack(comment)
    starts = np.cumsum([0, *milliseconds])
    fps = 1000 * len(pictures) / max(int(starts[-1]), 1)
    if tag is not None:
        expected = _gif_starts(tag["frames"], tag["fps"])
        if expected[-1] == starts[-1]:  # otherwise another program has changed its timing since
            fps = tag["fps"]
            pictures = [pictures[i] for i in np.searchsorted(starts[:-1], expected[:-1], side="right") - 1]
    return _clip(np.stack(pictures), fps if starts[-1] else 10.0, tag)  # players show GIFs without times at 10 a second


def _load_folder(folder: Path) -> Clip:
    tag = _folder_tag(folder)
    names = [path for path in folder.glob("*.png") if tag is None or _FRAME_NAME.fullmatch(path.name)]
    names.sort(key=lambda path: (len(path.name), path.name) if tag else path.name)
    if not names:
        raise MediaError(f"The folder {folder} holds no .png frames: give a clip, or a folder of its frames.")
    if tag is not None and len(names) != tag["frames"]:
        raise MediaError(f"The folder {folder} holds {len(names)} of {tag['frames']} frames: copy or make it again.")
    frames = [images.read_image(name) for name in names]
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError(f"The pictures in {folder} have different sizes: give frames of one size.")
    return _clip(np.stack(frames), None, tag)


def _clip(frames: np.ndarray, fps: float | None, tag: dict | None) -> Clip:
    """The clip as it was saved: `tag` tells the exact rate and size, unless another program has changed them in the file since.

    `fps` is the file's own rate, None if it has none.
    """
    if tag is None:
        return Clip(frames, min(max(fps or FOREIGN_FPS, _MIN_FPS), _MAX_FPS), {})
    height, width = frames.shape[1:3]
    if (width, height) == (tag["width"] + tag["width"] % 2, tag["height"] + tag["height"] % 2):
        frames = np.ascontiguousarray(frames[:, : tag["height"], : tag["width"]])
    if fps is None or math.isclose(fps, tag["fps"], rel_tol=0.01):
        fps = tag["fps"]
    return Clip(frames, fps, tag["settings"])


@contextmanager
def _open_video(source: Path) -> Iterator[av.container.InputContainer]:
    """The file opened with FFmpeg; its errors inside the block become :class:`MediaError`."""
    try:
        # "file:" and the list keep odd names, and playlists in disguise, from reaching for the network.
        with av.open(f"file:{os.path.abspath(source)}", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise MediaError(f"{source} holds no pictures: give a clip.")
            yield container
    except MediaError:
        raise
    except (OSError, ValueError, EOFError, av.FFmpegError) as error:
        raise MediaError(f"{source} is not a clip that can be read, or is damaged: copy or make it again.") from error


def _magic(source: Path) -> bytes:
    try:
        with open(source, "rb") as file:
            return file.read(8)
    except FileNotFoundError as error:
        raise MediaError(f"There is no clip {source}: check the name.") from error
    except (OSError, ValueError) as error:
        raise MediaError(f"{source} can't be read ({getattr(error, 'strerror', None) or error}): check its permissions.") from error


# --- the settings inside -----------------------------------------------------------------------------------------------------------


def _pack(clip: Clip) -> str:
    """The clip's tag as ASCII JSON, which every container's comment keeps as it is."""
    frames, height, width = clip.frames.shape[:3]
    tag = {"mlxvid": 1, "fps": clip.fps, "frames": frames, "width": width, "height": height, "settings": clip.settings}
    try:
        return json.dumps(tag, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingError(f"The clip's settings can't be stored as JSON ({error}): keep to numbers, strings, lists and dicts.") from error


def _unpack(comment: str | bytes) -> dict | None:
    """The tag in a comment; None for anything that :func:`_pack` can't have made."""
    try:
        tag = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tag, dict) or tag.get("mlxvid") != 1 or not isinstance(tag.get("settings"), dict):
        return None
    counts = [tag.get(key) for key in ("frames", "width", "height")]
    if not all(type(count) is int and 0 < count < 1 << 20 for count in counts):
        return None
    if not isinstance(tag.get("fps"), (int, float)) or not _MIN_FPS <= tag["fps"] <= _MAX_FPS:
        return None
    return tag


def _read_tag(source: Path) -> dict | None:
    if source.is_dir():
        return _folder_tag(source)
    magic = _magic(source)
    if magic.startswith((b"GIF8", b"\x89PNG")):
        with images.open_picture(source) as picture:
            return _unpack(picture.info.get("comment", picture.info.get("Comment", "")))
    with _open_video(source) as container:
        return _unpack(_comment(container))


def _comment(container: av.container.InputContainer) -> str:
    """The container's comment; Matroska writes its key in capitals."""
    return container.metadata.get("comment", container.metadata.get("COMMENT", ""))


def _folder_tag(folder: Path) -> dict | None:
    try:
        return _unpack((folder / "settings.json").read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MediaError(f"{folder / 'settings.json'} can't be read ({error.strerror}): check its permissions.") from error
