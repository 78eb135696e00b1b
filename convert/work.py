"""The folder in which a conversion grows beside its destination, and takes up again what an earlier
run had finished.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

from mlxvid.errors import MediaError


class Work:
    """`.converting-NAME` beside NAME: the new model's folder, a list of its finished files, and a
    lock.

    `job` is what they were made from and how, as JSON has it: the work of another job is thrown
    away. All methods raise OSError where the disk won't have it.
    """

    def __init__(self, out: Path, job: dict[str, Any]):
        self.out = out
        self.job = job
        self.folder = out.parent / f".converting-{out.name}"
        self.model = self.folder / "model"
        self._old = self.folder / "old"
        self._manifest = self.folder / "finished.json"
        self._finished: dict[str, int] = {}
        self._lock = -1

    def __enter__(self) -> Work:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise MediaError(
                f"Another conversion is writing {self.out}; wait for its end, or choose another folder."
            ) from None
        try:
            before = json.loads(self._manifest.read_text(encoding="utf-8"))
            self._finished = before["finished"] if before["job"] == self.job else {}
        except (OSError, ValueError, LookupError, TypeError):
            self._finished = {}
        if not self._finished:
            shutil.rmtree(self.model, ignore_errors=True)
        shutil.rmtree(self._old, ignore_errors=True)
        self.model.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Let go, and leave nothing that no later run could use."""
        for part in self.model.rglob("*.part"):
            part.unlink(missing_ok=True)
        if not self._finished:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def forget(self) -> None:
        """Let a later run use nothing of this one's."""
        self._finished = {}

    def has(self, path: str) -> bool:
        """Whether the file at `path` in the new folder is finished."""
        file = self.model / path
        return (
            path in self._finished
            and file.is_file()
            and file.stat().st_size == self._finished[path]
        )

    def begin(self, path: str) -> Path:
        """Where to write what is to be the file at `path`."""
        part = self.model / f"{path}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def finish(self, path: str) -> None:
        """Give what was written its name, and note that it is whole: in this order, so that a kill
        between the two costs a file at most.
        """
        file = self.model / path
        os.replace(self.model / f"{path}.part", file)
        self._finished[path] = file.stat().st_size
        note = self._manifest.with_suffix(".part")
        note.write_text(json.dumps({"job": self.job, "finished": self._finished}), encoding="utf-8")
        os.replace(note, self._manifest)

    def publish(self) -> None:
        """Move the new folder to its destination; a model that was there goes."""
        if self.out.exists():
            os.replace(self.out, self._old)
        os.replace(self.model, self.out)
        self._finished = {}
