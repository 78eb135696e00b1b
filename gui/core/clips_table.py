"""The library's clips."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .jobs import GROUP, State
from .statements import NOTHING, Change, Statements, parsed


@dataclass(frozen=True)
class ClipRow:
    """A clip on disk.

    created: seconds since 1970. settings: those inside the file. job: the id of the job that made
    it, if one did. group: what it shares with the clips that were asked for with it, or "".
    """

    id: int
    path: Path
    created: float
    prompt: str
    model: str
    settings: dict[str, Any]
    fps: float
    frames: int
    width: int
    height: int
    favourite: bool
    job: int | None
    group: str


_COLUMNS = (
    *("id", "path", "created", "prompt", "model", "settings"),
    *("fps", "frames", "width", "height", "favourite", "job"),
)
# A clip's row with the group of the job that made it.
_SELECT = (
    f"SELECT clips.*, coalesce(json_extract(jobs.settings, '$.{GROUP}'), '') AS \"group\" "
    "FROM clips LEFT JOIN jobs ON jobs.id = clips.job AND json_valid(jobs.settings)"
)


@dataclass(frozen=True)
class FoundClip:
    """A clip's file that the library doesn't know, as the file itself describes it.

    changed: seconds since 1970. size: width, height.
    """

    path: Path
    changed: float
    settings: dict[str, Any]
    fps: float
    frames: int
    size: tuple[int, int]


class ClipsTable(Statements):
    """The clips: their files, what made them, and which are favourites."""

    def add_clip(
        self,
        path: str | os.PathLike[str],
        settings: dict[str, Any],
        fps: float,
        frames: int,
        width: int,
        height: int,
        job: int | None = None,
    ) -> int:
        """Add a clip and return its id, NOTHING where it can't be written.

        It replaces one of the same path. The job that made it is done, in the same transaction.
        """
        clip = FoundClip(Path(path), time.time(), settings, fps, frames, (width, height))
        rows = self.read("SELECT id FROM clips WHERE path = ?", str(path))
        ids = [row["id"] for row in rows]
        with self.change(lambda: self.clips_changed.emit(ids)) as change:
            change.run("DELETE FROM clips WHERE path = ?", str(path))
            _insert(change, clip, job)
            ids.append(change.new_id)
            number = change.new_id
            if job is not None:
                change.run("UPDATE jobs SET state = ? WHERE id = ?", State.DONE.value, job)
        if not change.written:
            return NOTHING
        if job is not None:
            self.jobs_changed.emit()
        return number

    def add_found(self, clips: Iterable[FoundClip]) -> int:
        """Add clips whose paths are new and of no export; return how many there were."""
        known = self.known_paths()
        new = [clip for clip in clips if str(clip.path) not in known]
        if not new:
            return 0
        ids: list[int] = []
        with self.change(lambda: self.clips_changed.emit(ids)) as change:
            for clip in new:
                _insert(change, clip, None)
                ids.append(change.new_id)
        return len(new) if change.written else 0

    def clip_paths(self) -> set[str]:
        """The files of all clips."""
        return {row["path"] for row in self.read("SELECT path FROM clips")}

    def known_paths(self) -> set[str]:
        """The files of all clips, and of the copies that were exported of them."""
        exported = {row["path"] for row in self.read("SELECT path FROM exports")}
        return self.clip_paths() | exported

    def add_exports(self, paths: Iterable[Path]) -> None:
        """Note files as copies of clips, which are no clips of their own."""
        with self.change() as change:
            for path in paths:
                change.run("INSERT OR IGNORE INTO exports (path) VALUES (?)", str(path))

    def remove_exports(self, paths: Iterable[Path]) -> None:
        """Forget copies that were not made after all."""
        with self.change() as change:
            for path in paths:
                change.run("DELETE FROM exports WHERE path = ?", str(path))

    def clips(self) -> list[ClipRow]:
        """All clips, newest first."""
        return [
            _clip(row) for row in self.read(f"{_SELECT} ORDER BY clips.created DESC, clips.id DESC")
        ]

    def is_empty(self) -> bool:
        """Whether there is no clip."""
        return not self.read("SELECT 1 FROM clips LIMIT 1")

    def clip(self, number: int) -> ClipRow | None:
        """The clip of that id; None where there is none."""
        rows = self.read(f"{_SELECT} WHERE clips.id = ?", number)
        return _clip(rows[0]) if rows else None

    def clip_at(self, path: Path) -> ClipRow | None:
        """The clip in that file; None where the library has none of it."""
        rows = self.read(f"{_SELECT} WHERE clips.path = ?", str(path))
        return _clip(rows[0]) if rows else None

    def set_favourites(self, ids: list[int], favourite: bool) -> None:
        with self.change(lambda: self.clips_changed.emit(ids)) as change:
            for number in ids:
                change.run("UPDATE clips SET favourite = ? WHERE id = ?", int(favourite), number)

    def restore_clips(self, clips: list[ClipRow]) -> None:
        """Put clips back that were removed, as they were."""
        names = ", ".join(_COLUMNS)
        marks = ", ".join("?" for _ in _COLUMNS)
        with self.change(lambda: self.clips_changed.emit([clip.id for clip in clips])) as change:
            for clip in clips:
                values = {name: getattr(clip, name) for name in _COLUMNS}
                values |= {"path": str(clip.path), "settings": json.dumps(clip.settings)}
                change.run(f"INSERT INTO clips ({names}) VALUES ({marks})", *values.values())

    def move_clips(self, paths: Mapping[int, Path]) -> None:
        """Give clips, by their ids, other files; a clip that had one of these goes."""
        ids = list(paths)
        for number, path in paths.items():
            same = self.read("SELECT id FROM clips WHERE path = ? AND id != ?", str(path), number)
            ids += [row["id"] for row in same]
        with self.change(lambda: self.clips_changed.emit(ids)) as change:
            for number, path in paths.items():
                change.run("DELETE FROM clips WHERE path = ? AND id != ?", str(path), number)
                change.run("UPDATE clips SET path = ? WHERE id = ?", str(path), number)

    def remove_clips(self, ids: list[int]) -> None:
        """Remove clips from the library; their files stay."""
        with self.change(lambda: self.clips_changed.emit(ids)) as change:
            for number in ids:
                change.run("DELETE FROM clips WHERE id = ?", number)


def _insert(change: Change, clip: FoundClip, job: int | None) -> None:
    width, height = clip.size
    change.run(
        "INSERT INTO clips (path, created, prompt, model, settings, fps, frames, width, "
        "height, job) VALUES (?,?,?,?,?,?,?,?,?,?)",
        str(clip.path),
        clip.changed,
        str(clip.settings.get("prompt", "")),
        str(clip.settings.get("model", "")),
        json.dumps(clip.settings),
        clip.fps,
        clip.frames,
        width,
        height,
        job,
    )


def _clip(row: sqlite3.Row) -> ClipRow:
    known = {
        **dict(row),
        "path": Path(row["path"]),
        "settings": parsed(row["settings"]),
        "favourite": bool(row["favourite"]),
    }
    return ClipRow(**{name: known[name] for name in ClipRow.__dataclass_fields__})
