"""Finished latents, kept on the disk while their clip is decoded and saved."""

from __future__ import annotations

import json
import logging
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import mlx.core as mx

from mlxvid.errors import (
    CancelledError,
    DegenerateClipError,
    MediaError,
    MlxvidError,
)
from mlxvid.in_use import Hold

from . import checks
from .cache_files import MOST_KEPT, latents_folder, load, remove, runs_folder, unique, write

log = logging.getLogger("mlxvid")

# The name of latents before a result that is broken: no clip that waits to be decoded.
BROKEN = "broken"

Settings = dict[str, Any]


class KeptLatents:
    """A file from which a clip can be made without all its steps: it stays, whatever happens, until
    the clip is saved.

    path: None where nothing could be kept. hold: on the file, if nobody else is at it. way: the
    setting that makes the clip of it, "decode_saved" or "resume".
    """

    _unsaved: ClassVar[list[weakref.ref[KeptLatents]]] = []

    def __init__(self, path: Path | None, hold: Hold | None = None, way: str = "decode_saved"):
        self.path = path
        self.way = way
        self._stays = False
        self._hold = hold
        self._removal: weakref.finalize | None = None

    def until_dropped(self) -> None:
        """From now on the file goes when the clip is dropped, too, but not when the process ends.

        Of clips that are neither saved nor dropped, the files of the newest stay.
        """
        if self._is_ours():
            assert self.path is not None
            self._removal = weakref.finalize(self, _remove_of_dropped, self.path)
            self._removal.atexit = False
            waiting = [kept for ref in self._unsaved if (kept := ref()) is not None and kept.path]
            for kept in waiting[: max(0, len(waiting) + 1 - MOST_KEPT)]:
                kept.discard()
            self._unsaved[:] = [weakref.ref(kept) for kept in [*waiting, self] if kept.path]

    def stay(self) -> None:
        """The clip is a draft: the file is not removed when it is saved, and how to make the whole
        one of it is logged.
        """
        path = self.leave()
        self._stays = path is not None and self.way == "decode_saved"
        if self._stays:
            log.warning("This clip is a draft; `%s` %s makes the whole one.", self.way, path)

    def discard(self) -> None:
        """The clip is saved: remove the file, unless it is to stay, or somebody moved it out of the
        cache or is at it.
        """
        self._let_stay()
        if self._is_ours() and not self._stays:
            assert self.path is not None
            remove(self.path)
        self.path = None

    def leave(self) -> str | None:
        """The file is needed after all: let it stay, and say where it is (None for nowhere)."""
        self._let_stay()
        return str(self.path) if self.path and self.path.exists() else None

    @contextmanager
    def named(self) -> Iterator[None]:
        """What ends the block early leaves the file, and says how to go on from it."""
        try:
            yield
        except BaseException as error:
            path = self.leave()
            if path is None or getattr(error, "latents_path", None):
                raise
            named = _naming(error, self.way, path)
            if named is None:
                log.warning("The latents are kept; `%s` %s goes on from there.", self.way, path)
                error.latents_path = path  # type: ignore[attr-defined]  # any exception takes it
                raise
            named.latents_path = path  # type: ignore[attr-defined]  # KeyboardInterrupt takes it
            raise named from None

    def _is_ours(self) -> bool:
        folders = (latents_folder().resolve(), runs_folder().resolve())
        return self.path is not None and self.path.resolve().parent in folders

    def _let_stay(self) -> None:
        if self._removal is not None:
            self._removal.detach()
        if self._hold is not None:
            self._hold.release()


def _naming(error: BaseException, way: str, path: str) -> BaseException | None:
    """What to raise in place of `error`, which says how to go on; None for what is not ours."""
    remedy = f"`{way}` {path}"
    if isinstance(error, (CancelledError, KeyboardInterrupt)):
        return type(error)(f"Stopped; {remedy} makes the clip of what is done.")
    if isinstance(error, DegenerateClipError):
        return DegenerateClipError(str(error), path)
    if isinstance(error, MlxvidError):
        reason = str(error).rstrip(".")
        named = type(error)(f"{reason}; {remedy} makes the clip without denoising again.")
        named.reason = str(error)
        return named
    if isinstance(error, (RuntimeError, MemoryError)):
        close = "close other programs"
        told = checks.in_words(error, f"{close}, and {remedy} ends the run")
        if not isinstance(told, MlxvidError):
            return None
        told.reason = str(checks.in_words(error, close))
        return told
    return None


def _remove_of_dropped(path: Path) -> None:
    # Without a caller in Python the interpreter is on its way out, after an exception or sys.exit:
    # nobody has dropped that clip.
    finalizer = sys._getframe(1)
    if finalizer.f_back is not None:
        remove(path)


def keep_latents(
    latents: mx.array, settings: Settings, name: str = BROKEN, tell: bool = True
) -> KeptLatents:
    """Write latents [1, F, H, W, C] and the settings that they came from to the cache.

    name: of the run, or "broken" for the latents before a result that is none. Where they can't be
    written, a line is logged (with `tell`) and the file's path is None: the clip itself may still
    come out well.
    """
    path = unique(latents_folder(), name)
    hold = write(path, {"latents": latents}, {"settings": json.dumps(settings)}, tell)
    return KeptLatents(path if hold else None, hold)


def read_latents(path: str | os.PathLike) -> tuple[mx.array, Settings]:
    """The latents [1, F, H, W, C] that :func:`keep_latents` wrote, and their settings.

    Raises :class:`MediaError` for any other file.
    """
    try:
        arrays, metadata = load(path)
        latents = arrays["latents"]
        settings = json.loads(metadata["settings"])
        mx.eval(latents)
        valid = isinstance(settings, dict) and latents.ndim == 5 and len(latents) == 1
    except (OSError, RuntimeError, ValueError, KeyError):
        valid = False
    if not valid:
        raise MediaError(f"{path} holds no kept latents: give the file that the failed run named.")
    return latents.astype(mx.float32), settings
