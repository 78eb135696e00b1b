"""Clip: frames, frame rate and the settings that made them, written to and read from files.

How the settings travel: one JSON object in ASCII, ``{"mlxvid": 1, "fps", "frames", "width",
"height", "settings"}``, in the comment of an mp4, webm or GIF, in a PNG's ``tEXt`` chunk "Comment",
or in ``settings.json`` beside a folder's frames. The sizes in it let :meth:`Clip.load` undo what a
format does to a clip: H.264's 4:2:0 needs even sides, so an odd side is stored with its last line
repeated, and is cropped again on reading; GIF counts time in hundredths of a second and merges
equal frames.
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from mlxvid.errors import MediaError, SettingError

from .containers import (
    FOLDER,
    FOREIGN_FPS,
    FRAME_NAME,
    MAX_FPS,
    MIN_FPS,
    VIDEO,
    folder_tag,
    read,
    read_tag,
    write,
)

log = logging.getLogger("mlxvid")


@dataclass
class Clip:
    """`frames`: uint8 ``[F, H, W, 3]``, at least one; `fps`: frames a second, 0.1 to 1000;
    `settings`: JSON-able.

    `kept`: for a clip that was just made, its latents on the disk, there until it is saved
    (:class:`mlxvid.run.checkpoint.Kept`). Raises :class:`SettingError` for anything else.
    """

    frames: np.ndarray
    fps: float
    settings: dict = field(default_factory=dict)
    kept: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        frames = self.frames
        if (
            not isinstance(frames, np.ndarray)
            or frames.dtype != np.uint8
            or frames.ndim != 4
            or frames.shape[3] != 3
            or not frames.size
        ):
            raise SettingError(
                "A clip's frames are a uint8 array [frames, height, width, 3] with at least one frame: convert them first."
            )
        if not MIN_FPS <= self.fps <= MAX_FPS:  # also false for NaN
            raise SettingError(
                f"A clip can't play {self.fps} frames a second: choose between {MIN_FPS:g} and {MAX_FPS:g}."
            )
        self.fps = float(self.fps)

    def save(
        self, path: str | os.PathLike, on_progress: Callable[[int, int], None] | None = None
    ) -> Path:
        """Write the clip in the format of the name's ending, and return its path.

        ``.mp4`` (H.264), ``.webm`` (VP9), ``.gif``, ``.png`` (one frame only); a name without an
        ending, with a ``/`` at its end, or of an existing folder makes a folder of
        ``frame_0000.png`` and on. A file of that name is replaced; a folder is, if it is empty or
        holds nothing but a clip saved before. `on_progress(frames done, frames in all)` is called
        after each frame.

        The work is done under a temporary name beside the target and renamed at the end: when
        anything goes wrong, an exception out of `on_progress` or a Ctrl-C included, neither name is
        left behind and a clip that was there stays as it was. What a format changes is logged on
        the logger ``mlxvid``. Raises :class:`MediaError` as :func:`check_writable` does, and when
        writing fails; :class:`SettingError` when the settings are not JSON-able.
        """
        target = check_writable(path, len(self.frames))
        kind = _kind(path)
        comment = _pack(self)
        _log_changes(self, target, kind)
        try:
            with closing(_save(self, target, kind, comment)) as steps:
                for done in steps:
                    if on_progress is not None:
                        on_progress(done, len(self.frames))
        except MediaError as error:
            latents = self.kept.leave() if self.kept else None
            if latents is None:
                raise
            reason = str(error).rstrip(".")
            raise MediaError(
                f"{reason}; `decode_saved` {latents} saves it again without denoising."
            ) from None
        if self.kept:
            self.kept.discard()
        return target

    @classmethod
    def load(cls, path: str | os.PathLike) -> Clip:
        """Read any clip that :meth:`save` writes, and most others (settings ``{}``); the content
        counts, not the name's ending.

        Raises :class:`MediaError` for what is missing, damaged, cut short, or no clip.
        """
        return _clip(*read(_expand(path)))


def check_writable(path: str | os.PathLike, frames: int | None = None) -> Path:
    """The path that :meth:`Clip.save` would write to, if a clip (of `frames` frames) can be saved
    there; to call before a long run.

    A temporary file is made and removed, since permission bits don't tell the truth on every file
    system. Nothing else changes. Raises :class:`MediaError` for an ending that has no format, a
    folder that is missing, not writable, or holds other files, and for several frames in a
    ``.png``.
    """
    target, kind = _expand(path), _kind(path)
    if kind == ".png" and frames is not None and frames > 1:
        raise MediaError(
            f"One .png holds one picture and this clip has {frames} frames: "
            "end the name in .mp4, .gif or .webm, or in / for a folder of pictures."
        )
    try:
        existing = target.exists()
        if existing and kind == FOLDER:
            _check_folder(target)
        room = target if existing and kind == FOLDER else Path(os.path.realpath(target)).parent
        if not room.is_dir():
            raise MediaError(
                f"The folder {room} does not exist: create it, or choose another place for {target.name}."
            )
        if existing and not os.access(target, os.W_OK):
            raise MediaError(f"{target} is write-protected: choose another name.")
        if not existing:
            with suppress(FileNotFoundError):
                os.lstat(
                    target
                )  # fails for a name too long for the file system, which Python 3.14 calls absent
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
    """The settings inside a saved clip, without decoding its frames. Raises :class:`MediaError` if
    it has none or is no clip.
    """
    source = _expand(path)
    tag = read_tag(source)
    if tag is None:
        raise MediaError(f"{source} holds no mlxvid settings: give a clip that mlxvid saved.")
    return tag["settings"]


def contact_sheet(clips: Sequence[Clip], columns: int = 9) -> Image.Image:
    """A picture with one row a clip: up to `columns` of its frames, evenly spaced from the first to
    the last, on white.
    """
    gap = 2
    height, width = (max(clip.frames.shape[axis] for clip in clips) for axis in (1, 2))
    sheet = Image.new(
        "RGB", (columns * (width + gap) - gap, len(clips) * (height + gap) - gap), "white"
    )
    for row, clip in enumerate(clips):
        count = min(columns, len(clip.frames))
        for column, index in enumerate(
            np.linspace(0, len(clip.frames) - 1, count).round().astype(int)
        ):
            sheet.paste(
                Image.fromarray(clip.frames[index]), (column * (width + gap), row * (height + gap))
            )
    return sheet


# --- names and temporary names --------------------------------------------------------------------


def _expand(path: str | os.PathLike) -> Path:
    return Path(os.path.expanduser(os.fspath(path)))


def _kind(path: str | os.PathLike) -> str:
    """The format that a name asks for: ".mp4", ".webm", ".gif", ".png" or FOLDER."""
    name, target = os.fspath(path), _expand(path)
    ending = target.suffix.lower()
    try:
        folder = name.endswith(("/", os.sep)) or not ending or target.is_dir()
    except (OSError, ValueError) as error:
        raise _unwritable(target, error) from error
    if folder:
        return FOLDER
    if ending not in (*VIDEO, ".gif", ".png"):
        raise MediaError(
            f"{target} ends in {ending}, which has no format: end it in .mp4, .webm, .gif, .png, or / for a folder."
        )
    return ending


def _temporary(room: Path, ending: str = "") -> Path:
    return room / f".mlxvid-{secrets.token_hex(4)}{ending}"


def _unwritable(target: Path, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or error
    return MediaError(
        f"{target} can't be written ({reason}): make room there, or choose another place."
    )


def _check_folder(folder: Path) -> None:
    """Raise unless `folder` is empty or holds nothing but a clip saved before (and what Finder
    leaves in every folder).
    """
    if not folder.is_dir():
        raise MediaError(
            f"{folder} is a file, not a folder: choose another name, or end it in .mp4, .webm, .gif or .png."
        )
    names = {entry.name for entry in folder.iterdir()} - {".DS_Store"}
    foreign = sorted(
        name for name in names if name != "settings.json" and not FRAME_NAME.fullmatch(name)
    )
    if not foreign and names and folder_tag(folder) is None:
        foreign = sorted(names)
    if foreign:
        raise MediaError(
            f"The folder {folder} holds other files ({foreign[0]}): name a new or empty folder for the frames."
        )


@contextmanager
def _staged(target: Path, kind: str) -> Iterator[Path]:
    """A temporary file or folder that becomes `target` when the block ends well, and is removed
    when it doesn't.
    """
    real = Path(os.path.realpath(target))  # through a symbolic link, so that the link stays one
    inside = (
        kind == FOLDER and real.is_dir()
    )  # an existing folder keeps its identity: someone may stand in it
    stage = _temporary(real if inside else real.parent, "" if kind == FOLDER else kind)
    try:
        if kind == FOLDER:
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
    moves = [
        (entry, old / entry.name)
        for entry in sorted(folder.iterdir())
        if not entry.name.startswith(".")
    ]
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


# --- writing --------------------------------------------------------------------------------------


def _save(clip: Clip, target: Path, kind: str, comment: str) -> Iterator[int]:
    """Write the clip, yielding the frames done: a generator, so that what the caller's callback
    raises isn't taken for a failed write.
    """
    try:
        with _staged(target, kind) as stage:
            yield from write(clip.frames, clip.fps, stage, kind, comment)
    except (OSError, av.FFmpegError) as error:
        raise _unwritable(target, error) from error


def _log_changes(clip: Clip, target: Path, kind: str) -> None:
    """Log what the format can't keep as it is."""
    height, width = clip.frames.shape[1:3]
    if kind in VIDEO and (width % 2 or height % 2):
        stored = f"{width + width % 2}x{height + height % 2}"
        log.info(
            "%s is stored as %s, since video needs even sides; the last line is repeated.",
            target,
            stored,
        )
    if kind == ".gif" and clip.fps > 50:
        log.warning(
            "%s plays at 50 frames a second instead of %g, the most that a GIF can.",
            target,
            clip.fps,
        )
    elif kind == ".gif" and not (100 / clip.fps).is_integer():
        log.info(
            "%s keeps its speed, but single frames last up to 5 ms more or less: GIF counts in steps of 10 ms.",
            target,
        )


# --- reading --------------------------------------------------------------------------------------


def _clip(frames: np.ndarray, fps: float | None, tag: dict | None) -> Clip:
    """The clip as it was saved: `tag` tells the exact rate and size, unless another program has
    changed them in the file since.

    `fps` is the file's own rate, None if it has none.
    """
    if tag is None:
        return Clip(frames, min(max(fps or FOREIGN_FPS, MIN_FPS), MAX_FPS), {})
    height, width = frames.shape[1:3]
    if (width, height) == (tag["width"] + tag["width"] % 2, tag["height"] + tag["height"] % 2):
        frames = np.ascontiguousarray(frames[:, : tag["height"], : tag["width"]])
    if fps is None or math.isclose(fps, tag["fps"], rel_tol=0.01):
        fps = tag["fps"]
    return Clip(frames, fps, tag["settings"])


# --- the settings inside --------------------------------------------------------------------------


def _pack(clip: Clip) -> str:
    """The clip's tag as ASCII JSON, which every container's comment keeps as it is."""
    frames, height, width = clip.frames.shape[:3]
    tag = {
        "mlxvid": 1,
        "fps": clip.fps,
        "frames": frames,
        "width": width,
        "height": height,
        "settings": clip.settings,
    }
    try:
        return json.dumps(tag, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingError(
            f"The clip's settings can't be stored as JSON ({error}): keep to numbers, strings, lists and dicts."
        ) from error
