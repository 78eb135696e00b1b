"""Paths on this machine: mlxvid's own folders, and what a given path leads to."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import platformdirs

from .errors import MediaError, MlxvidError

SPARE = 10**9
"""Bytes left free on a disk: a system with none at all does not survive."""

# What a path can lead to besides a regular file. Opening some of these waits for ever, and some
# never end.
_ODD = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def cache_folder(name: str) -> Path:
    """mlxvid's own cache for `name`: in MLXVID_CACHE, else in the user's cache folder."""
    home = os.environ.get("MLXVID_CACHE") or platformdirs.user_cache_dir("mlxvid")
    return Path(home) / name


def models_folder() -> Path | None:
    """The folder for models that MLXVID_MODELS names, such as one on another disk; else None."""
    given = os.environ.get("MLXVID_MODELS")
    return Path(given).expanduser() if given else None


def existing(folder: Path) -> Path:
    """A folder, or of one that is not there yet the nearest around it that is."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, which need not be there yet."""
    return shutil.disk_usage(existing(folder)).free


def require_regular(path: str | os.PathLike, error: type[MlxvidError] = MediaError) -> None:
    """Raise `error` for a pipe, device, socket or folder, before it is opened.

    What is missing, or can't be looked at, passes: opening it fails at once, and says why.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    for is_odd, kind in _ODD:
        if is_odd(mode):
            raise error(f"{path} is {kind}, not a file: give one that is stored on a disk.")
