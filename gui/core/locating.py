"""Clips whose files have been moved, found where the user says that they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mlxvid.errors import MediaError
from mlxvid.media.reading import read_tag

from .clips_table import ClipRow
from .tasks import Task


def locating(
    wanted: Sequence[ClipRow], others: Sequence[ClipRow], chosen: Path
) -> Callable[[Task], dict[int, Path]]:
    """The work of finding clips; it returns the new files by the clips' ids.

    chosen: the file of a single wanted clip, or the folder in which they are. Others that are
    missing from the same places are found there too. Raises :class:`MediaError` where none of the
    wanted is, and for the file of another clip.
    """

    def work(task: Task) -> dict[int, Path]:
        if not chosen.is_dir() or _is_frames(chosen):
            _check(wanted[0], chosen)
            found = {wanted[0].id: chosen}
            folder = chosen.parent
        else:
            folder = chosen
            found = _found(wanted, folder, task)
            if not found:
                names = ", ".join(row.path.name for row in wanted[:3])
                raise MediaError(f"{folder} has none of these clips ({names}): choose another.")
        left = {row.path.parent for row in wanted}
        gone = [row for row in others if row.path.parent in left and not os.path.exists(row.path)]
        return _found(gone, folder, task) | found

    return work


def _is_frames(folder: Path) -> bool:
    """Whether a folder is a clip itself."""
    return read_tag(folder) is not None


def _found(rows: Sequence[ClipRow], folder: Path, task: Task) -> dict[int, Path]:
    """The clips that `folder` has, under their own names."""
    found = {}
    for row in rows:
        task.check()
        path = folder / row.path.name
        if not path.exists():
            continue
        try:
            _check(row, path)
        except MediaError:
            continue
        found[row.id] = path
    return found


def _check(row: ClipRow, path: Path) -> None:
    """Raise unless a file may be that clip: no setting that both have differs."""
    tag = read_tag(path)
    settings = tag["settings"] if tag is not None else {}
    if any(settings[name] != row.settings[name] for name in settings.keys() & row.settings.keys()):
        raise MediaError(f"{path} is another clip: choose the one that was {row.path.name}.")
