"""Clip: frames, frame rate and the settings that made them, written to and read from files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from PIL import Image

from mlxvid.errors import MediaError, SettingError
from mlxvid.model.rates import exact

from .encodings import Encoding, encoding_for
from .formats import FOREIGN_FPS, GIF_MAX_FPS, MAX_FPS, MIN_FPS
from .names import given_file
from .reading import Contents, read_contents, read_tag, read_texts, true_rate
from .tag import pack_tag, stored_size, without_tag
from .targets import check_writable, kind_of, staged, unwritable
from .writing import write_frames

log = logging.getLogger("mlxvid")


class KeptLatents(Protocol):
    """A clip's latents on the disk, there until the clip is saved."""

    def discard(self) -> None:
        """The clip is saved: remove the file."""

    def named(self) -> AbstractContextManager[None]:
        """What ends the block early leaves the file, and says how to go on from it."""


@dataclass
class Clip:
    """A clip in memory.

    `frames`: uint8 ``[F, H, W, 3]``, at least one; `fps`: frames a second, 0.1 to 1000, where
    23.976 and its like stand for 24000/1001; `settings`: JSON-able; `kept`: for a clip that was
    just made, its latents on the disk (:class:`mlxvid.run.latents.KeptLatents`). Raises
    :class:`SettingError` for anything else.
    """

    frames: np.ndarray
    fps: float
    settings: dict[str, Any] = field(default_factory=dict)
    kept: KeptLatents | None = field(default=None, repr=False, compare=False)

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
                "A clip's frames are a uint8 array [frames, height, width, 3] "
                "with at least one frame: convert them first."
            )
        if not MIN_FPS <= self.fps <= MAX_FPS:  # also false for NaN
            raise SettingError(
                f"A clip can't play {self.fps} frames a second: "
                f"choose between {MIN_FPS:g} and {MAX_FPS:g}."
            )
        self.fps = exact(float(self.fps))

    def save(
        self,
        path: str | os.PathLike,
        on_progress: Callable[[int, int], None] | None = None,
        *,
        metadata: bool = True,
        overwrite: bool = True,
        codec: str | None = None,
    ) -> Path:
        """Write the clip in the format of the name's ending, and return its path.

        ``.mp4`` (H.264), ``.webm`` (VP9), ``.mov`` (ProRes 422 HQ, for editing), ``.mkv`` (FFV1,
        without loss), ``.gif``, ``.webp``, ``.png`` (one frame only); a name without an
        ending, with a ``/`` at its end, or of an existing folder makes a folder of
        ``frame_0000.png`` and on. A file of that name is replaced; a folder is, if it is empty or
        holds nothing but a clip saved before; neither without `overwrite`. The settings, the prompt
        among them, are stored inside, unless `metadata` is False. `codec` is another one that the
        format takes: a name of :data:`mlxvid.media.encodings.ENCODINGS`. `on_progress(frames done,
        frames in all)` is called after each frame.

        The work is done under a temporary name beside the target and renamed at the end: when
        anything goes wrong, an exception out of `on_progress` or a Ctrl-C included, neither name is
        left behind and a clip that was there stays as it was; the latents of a clip that was just
        made stay in the cache, and the exception says where. What a format changes is logged on
        the logger ``mlxvid``. Raises :class:`MediaError` as :func:`check_writable` does, and when
        writing fails; :class:`SettingError` when the settings are not JSON-able or the
        format or the size does not take the `codec`.
        """
        with self.latents_named():
            target = check_writable(path, len(self.frames), overwrite)
            kind = kind_of(path)
            encoding = encoding_for(kind, codec, self.frames.shape[2], self.frames.shape[1])
            comment = pack_tag(self.frames.shape, self.fps, self.settings) if metadata else ""
            _log_changes(self, target, kind, encoding)
            with closing(_save(self, target, kind, encoding, comment)) as steps:
                for done in steps:
                    if on_progress is not None:
                        on_progress(done, len(self.frames))
        if self.kept:
            self.kept.discard()
        return target

    def latents_named(self) -> AbstractContextManager[None]:
        """What ends the block early says where the clip's latents are kept, if they are."""
        return self.kept.named() if self.kept else nullcontext()

    @classmethod
    def load(cls, path: str | os.PathLike) -> Clip:
        """Read any clip that :meth:`save` writes, and most others (settings ``{}``).

        The content counts, not the name's ending. Animated GIFs, WebPs and PNGs play at their mean
        rate. Raises :class:`MediaError` for what is missing, damaged, cut short, or no clip.
        """
        return _restored(read_contents(given_file(path)))


def read_settings(path: str | os.PathLike) -> dict[str, Any]:
    """The settings inside a saved clip, without decoding its frames.

    Raises :class:`MediaError` if it has none or is no clip.
    """
    source = given_file(path)
    tag = read_tag(source)
    if tag is None:
        raise MediaError(without_tag(source, read_texts(source)))
    return tag["settings"]


def contact_sheet(clips: Sequence[Clip], columns: int = 9) -> Image.Image:
    """A picture with one row a clip, on white.

    Up to `columns` of a clip's frames are in its row, evenly spaced from the first to the last.
    """
    gap = 2
    height = max(clip.frames.shape[1] for clip in clips)
    width = max(clip.frames.shape[2] for clip in clips)
    size = (columns * (width + gap) - gap, len(clips) * (height + gap) - gap)
    sheet = Image.new("RGB", size, "white")
    for row, clip in enumerate(clips):
        last = len(clip.frames) - 1
        count = min(columns, len(clip.frames))
        indices = np.linspace(0, last, count).round().astype(int)
        for column, index in enumerate(indices):
            place = (column * (width + gap), row * (height + gap))
            sheet.paste(Image.fromarray(clip.frames[index]), place)
    return sheet


def _save(
    clip: Clip, target: Path, kind: str, encoding: Encoding | None, comment: str
) -> Generator[int, None, None]:
    """Write the clip, yielding the frames done.

    A generator, so that what the caller's callback raises isn't taken for a failed write.
    """
    try:
        with staged(target, kind) as stage:
            yield from write_frames(clip.frames, clip.fps, stage, kind, encoding, comment)
    except MemoryError as error:
        raise MediaError(
            f"{target} can't be written for want of memory: close other programs and try again."
        ) from error
    except (OSError, av.FFmpegError) as error:
        raise unwritable(target, error) from error


def _log_changes(clip: Clip, target: Path, kind: str, encoding: Encoding | None) -> None:
    """Log what the format can't keep as it is."""
    height, width = clip.frames.shape[1:3]
    if encoding is not None and encoding.needs_even_sides and (width % 2 or height % 2):
        log.info(
            "%s is stored as %dx%d, since video needs even sides; the last line is repeated.",
            target,
            width + width % 2,
            height + height % 2,
        )
    if kind == ".gif" and clip.fps > GIF_MAX_FPS:
        log.warning(
            "%s plays at %g frames a second instead of %g, the most that a GIF can.",
            target,
            GIF_MAX_FPS,
            clip.fps,
        )
    elif kind == ".gif" and not (100 / clip.fps).is_integer():
        log.info(
            "%s keeps its speed, but single frames last up to 5 ms more or less: "
            "GIF counts in steps of 10 ms.",
            target,
        )


def _restored(contents: Contents) -> Clip:
    """The clip as it was saved: with the rate and size of its tag.

    Where another program has changed these in the file since, the file's count."""
    frames, fps, tag = contents
    if tag is None:
        return Clip(frames, min(max(fps or FOREIGN_FPS, MIN_FPS), MAX_FPS), {})
    height, width = frames.shape[1:3]
    if (width, height) == stored_size(tag):
        frames = np.ascontiguousarray(frames[:, : tag["height"], : tag["width"]])
    return Clip(frames, true_rate(fps, tag) or tag["fps"], tag["settings"])
