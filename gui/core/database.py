"""The library, one SQLite file: the queue, the clips, how long runs took, and the prompts."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from .database_file import FILE_NAME, data_folder, open_library
from .jobs import Job, State

# The prompts that are kept, and the timings of each model.
PROMPTS_KEPT = 500
TIMINGS_KEPT = 200
# The id of a row that could not be written.
NOTHING = -1


@dataclass(frozen=True)
class ClipRow:
    """A clip on disk.

    created: seconds since 1970. settings: those inside the file. job: the id of the job that made
    it, if one did.
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


class Database(QObject):
    """One connection, used by the GUI thread alone.

    notice: a sentence for the user where the file could not be opened as it was, else None.
    clips_changed: the ids of the clips that are new, gone or different. message: what goes wrong
    later. Nothing here raises for a damaged or unwritable file: the app
    goes on without what it can't keep, and says so.
    """

    clips_changed = Signal(list)
    jobs_changed = Signal()
    message = Signal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None):
        """Open or create the file; `path` is for tests.

        A damaged file is set aside as ``*.broken-<date>`` and a new one begun.
        """
        super().__init__(parent)
        self.path = path or data_folder() / FILE_NAME
        self._connection, self.notice = open_library(self.path)

    def close(self) -> None:
        self._connection.close()

    # --- clips ------------------------------------------------------------------------------------

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
        rows = self._read("SELECT id FROM clips WHERE path = ?", str(path))
        ids = [row["id"] for row in rows]
        with self._change(lambda: self.clips_changed.emit(ids)) as change:
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
        """Add clips whose paths are new, and return how many there were."""
        known = self.clip_paths()
        new = [clip for clip in clips if str(clip.path) not in known]
        if not new:
            return 0
        ids: list[int] = []
        with self._change(lambda: self.clips_changed.emit(ids)) as change:
            for clip in new:
                _insert(change, clip, None)
                ids.append(change.new_id)
        return len(new) if change.written else 0

    def clip_paths(self) -> set[str]:
        """The files of all clips."""
        return {row["path"] for row in self._read("SELECT path FROM clips")}

    def clips(self) -> list[ClipRow]:
        """All clips, newest first."""
        return [
            _clip(row) for row in self._read("SELECT * FROM clips ORDER BY created DESC, id DESC")
        ]

    def clip(self, number: int) -> ClipRow | None:
        """The clip of that id; None where there is none."""
        rows = self._read("SELECT * FROM clips WHERE id = ?", number)
        return _clip(rows[0]) if rows else None

    def set_favourites(self, ids: list[int], favourite: bool) -> None:
        with self._change(lambda: self.clips_changed.emit(ids)) as change:
            for number in ids:
                change.run("UPDATE clips SET favourite = ? WHERE id = ?", int(favourite), number)

    def remove_clip(self, number: int) -> None:
        """Remove a clip from the library; its file stays."""
        with self._change(lambda: self.clips_changed.emit([number])) as change:
            change.run("DELETE FROM clips WHERE id = ?", number)

    # --- jobs -------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """The queue in its order: every job that is not done."""
        sql = "SELECT * FROM jobs WHERE state != ? ORDER BY position, id"
        return [_job(row) for row in self._read(sql, State.DONE.value)]

    def job(self, number: int) -> Job | None:
        """The job of that id, done or not; None where there is none."""
        rows = self._read("SELECT * FROM jobs WHERE id = ?", number)
        return _job(rows[0]) if rows else None

    def insert_jobs(self, jobs: Iterable[Job]) -> list[int]:
        """Put jobs into the queue and return their ids.

        Jobs that were in it before return to their places; new ones go to its end.
        """
        ids: list[int] = []
        end = max((job.position for job in self.jobs()), default=0.0)
        with self._change(self.jobs_changed.emit) as change:
            for count, job in enumerate(jobs, 1):
                place = end + count if job.id is None else job.position
                values = (
                    job.id,
                    place,
                    job.state.value,
                    json.dumps(job.settings),
                    job.message,
                    int(job.resume),
                )
                change.run(
                    "INSERT INTO jobs (id, position, state, settings, message, resume) "
                    "VALUES (?,?,?,?,?,?)",
                    *values,
                )
                ids.append(change.new_id)
        return [] if change.new_id == NOTHING else ids

    def remove_jobs(self, ids: Iterable[int]) -> None:
        """Take jobs out of the queue; a running one stays."""
        with self._change(self.jobs_changed.emit) as change:
            for number in ids:
                change.run(
                    "DELETE FROM jobs WHERE id = ? AND state != ?", number, State.RUNNING.value
                )

    def place_jobs(self, positions: dict[int, float]) -> None:
        """Give jobs other places in the queue."""
        with self._change(self.jobs_changed.emit) as change:
            for number, position in positions.items():
                change.run("UPDATE jobs SET position = ? WHERE id = ?", position, number)

    def replace_job(self, job: Job) -> None:
        """Change what a job makes, and its state; one that runs stays as it is."""
        with self._change(self.jobs_changed.emit) as change:
            change.run(
                "UPDATE jobs SET settings = ?, state = ?, message = ?, resume = ? "
                "WHERE id = ? AND state != ?",
                json.dumps(job.settings),
                job.state.value,
                job.message,
                int(job.resume),
                job.number,
                State.RUNNING.value,
            )

    def set_job_state(
        self, number: int, state: State, message: str = "", resume: bool = False
    ) -> bool:
        """Record how far a job is; whether that could be written."""
        with self._change(self.jobs_changed.emit) as change:
            change.run(
                "UPDATE jobs SET state = ?, message = ?, resume = ? WHERE id = ?",
                state.value,
                message,
                int(resume),
                number,
            )
        return change.written

    def interrupt_running(self, message: str) -> list[int]:
        """Mark the jobs that ran when the app last ended as interrupted, and return their ids."""
        rows = self._read("SELECT id FROM jobs WHERE state = ?", State.RUNNING.value)
        ids = [row["id"] for row in rows]
        for number in ids:
            self.set_job_state(number, State.INTERRUPTED, message)
        return ids

    # --- timings ----------------------------------------------------------------------------------

    def add_timing(self, model: str, tokens: int, passes: float, seconds: float) -> None:
        """Add the time of a run: `passes` evaluations of the network over `tokens` tokens."""
        with self._change() as change:
            change.run(
                "INSERT INTO timings (model, tokens, passes, seconds) VALUES (?,?,?,?)",
                model,
                tokens,
                passes,
                seconds,
            )
            change.run(
                "DELETE FROM timings WHERE model = ?1 AND id NOT IN "
                "(SELECT id FROM timings WHERE model = ?1 ORDER BY id DESC LIMIT ?2)",
                model,
                TIMINGS_KEPT,
            )

    def timings(self, model: str) -> list[tuple[int, float, float]]:
        """(tokens, passes, seconds) of a model's earlier runs, the latest first."""
        rows = self._read(
            "SELECT tokens, passes, seconds FROM timings WHERE model = ? ORDER BY id DESC", model
        )
        return [(row["tokens"], row["passes"], row["seconds"]) for row in rows]

    # --- prompts ----------------------------------------------------------------------------------

    def add_prompt(self, text: str, negative: bool = False) -> None:
        """Add a prompt as the one last used."""
        if not text.strip():
            return
        with self._change() as change:
            change.run(
                "INSERT OR REPLACE INTO prompts (text, negative, used) VALUES (?,?,?)",
                text,
                int(negative),
                time.time(),
            )
            change.run(
                "DELETE FROM prompts WHERE negative = ?1 AND text NOT IN "
                "(SELECT text FROM prompts WHERE negative = ?1 ORDER BY used DESC LIMIT ?2)",
                int(negative),
                PROMPTS_KEPT,
            )

    def prompts(self, negative: bool = False) -> list[str]:
        """The prompts used, the latest first."""
        sql = "SELECT text FROM prompts WHERE negative = ? ORDER BY used DESC"
        return [row["text"] for row in self._read(sql, int(negative))]

    # --- statements -------------------------------------------------------------------------------

    @contextmanager
    def _change(self, changed: Callable[[], None] | None = None) -> Iterator[_Change]:
        """A transaction, and `changed` after it; an error of the file is a message, not raised."""
        change = _Change(self._connection)
        try:
            with self._connection:
                yield change
        except sqlite3.Error as error:
            change.new_id = NOTHING
            change.written = False
            self.message.emit(
                f"The library can't be written ({error}): make room on the disk of {self.path}."
            )
        else:
            if changed is not None:
                changed()

    def _read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.message.emit(f"The library can't be read ({error}): quit, and check {self.path}.")
            return []


class _Change:
    """`new_id`: of the row inserted last, NOTHING where there is none. `written`: whether all of
    it could be.
    """

    written = True

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self.new_id = NOTHING

    def run(self, sql: str, *values: Any) -> None:
        self.new_id = self._connection.execute(sql, values).lastrowid or NOTHING


def _insert(change: _Change, clip: FoundClip, job: int | None) -> None:
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
        "settings": _json(row["settings"]),
        "favourite": bool(row["favourite"]),
    }
    return ClipRow(**{name: known[name] for name in ClipRow.__dataclass_fields__})


def _job(row: sqlite3.Row) -> Job:
    return Job(
        _json(row["settings"]),
        row["id"],
        State(row["state"]),
        row["position"],
        row["message"],
        bool(row["resume"]),
    )


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
