"""The folder in which a conversion grows beside its destination, for a later run to resume."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

from mlxvid.errors import MediaError


class WorkFolder:
    """`.converting-NAME` beside NAME: the new model, a list of its finished files, and a lock.

    job: what they are made from and how, as JSON has it; the files of another job are thrown away.
    All methods raise OSError where the disk fails.
    """

    def __init__(self, out: Path, job: dict[str, Any]):
        self.out = out
        self.job = job
        self.folder = out.parent / f".converting-{out.name}"
        self.model = self.folder / "model"
        self._replaced = self.folder / "old"
        self._manifest = self.folder / "finished.json"
        self._finished: dict[str, int] = {}
        self._lock = -1

    def __enter__(self) -> WorkFolder:
        """Lock the folder; raises :class:`MediaError` where another conversion holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise MediaError(
                f"Another conversion is writing {self.out}; "
                "wait until it has finished, or choose another folder."
            ) from None
        self._finished = self._read_manifest()
        if not self._finished:
            shutil.rmtree(self.model, ignore_errors=True)
        shutil.rmtree(self._replaced, ignore_errors=True)
        self.model.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder, and delete what no later run could use."""
        for part in self.model.rglob("*.part"):
            part.unlink(missing_ok=True)
        if not self._finished:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    def _read_manifest(self) -> dict[str, int]:
        """Sizes of the files that an earlier run of the same job finished, by path."""
        try:
            manifest = json.loads(self._manifest.read_text(encoding="utf-8"))
            return manifest["finished"] if manifest["job"] == self.job else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    def discard(self) -> None:
        """Leave nothing of this run for a later one."""
        self._finished = {}

    def has(self, path: str) -> bool:
        """Whether the file at `path` in the new model's folder is finished."""
        if path not in self._finished:
            return False
        file = self.model / path
        return file.is_file() and file.stat().st_size == self._finished[path]

    def begin(self, path: str) -> Path:
        """Where to write the file that :meth:`finish` moves to `path`."""
        part = self.model / f"{path}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        return part

    def finish(self, path: str) -> None:
        """Give the written file its name, then record it.

        In this order, a kill between the two costs one file at most.
        """
        file = self.model / path
        os.replace(self.model / f"{path}.part", file)
        self._finished[path] = file.stat().st_size
        manifest = self._manifest.with_suffix(".part")
        content = {"job": self.job, "finished": self._finished}
        manifest.write_text(json.dumps(content), encoding="utf-8")
        os.replace(manifest, self._manifest)

    def publish(self) -> None:
        """Move the new model to its destination, in place of one that is there."""
        if self.out.exists():
            os.replace(self.out, self._replaced)
        os.replace(self.model, self.out)
        self._finished = {}
