"""Batches of copies, made in a process of their own while the window goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from .copies import Copy
from .export_client import ExportClient, copy_request
from .recipes import Recipe


@dataclass(frozen=True)
class Progress:
    """How far a batch is: the copy in work, how many come after it, and its frames."""

    target: Path
    left: int
    done: int
    count: int


class Outcome(NamedTuple):
    """What became of a batch: the files that were saved, and a sentence for each that was not."""

    saved: list[Path]
    failures: list[str]
    cancelled: bool


@dataclass
class _Batch:
    """Copies by one recipe. place: of the one in work."""

    copies: list[Copy]
    recipe: Recipe
    place: int = 0
    saved: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cancelled: bool = False

    @property
    def target(self) -> Path:
        return self.copies[self.place].target


class Export(QObject):
    """One batch at a time; others wait.

    A copy that can't be made does not keep the others from being made. progressed: a Progress.
    ended: the batch's copies, and its Outcome.
    """

    progressed = Signal(object)
    ended = Signal(list, object)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.client = ExportClient(self)
        self._batches: list[_Batch] = []
        self.client.stepped.connect(self._step)
        self.client.exported.connect(self._keep)
        self.client.failed.connect(self._fail)
        self.client.cancelled.connect(self._end)

    @property
    def running(self) -> bool:
        return bool(self._batches)

    @property
    def targets(self) -> set[Path]:
        """Where the copies go that are being made, or wait."""
        return {copy.target for batch in self._batches for copy in batch.copies}

    def start(self, copies: Sequence[Copy], recipe: Recipe) -> None:
        """Save copies by a recipe, one after the other."""
        self._batches.append(_Batch(list(copies), recipe))
        if len(self._batches) == 1:
            self._begin()

    def cancel(self) -> None:
        """Stop everything at the next frame; what was at the targets stays as it was."""
        for batch in self._batches:
            batch.cancelled = True
        self.client.cancel()

    def shutdown(self) -> None:
        """Stop everything for good. No signal comes of it."""
        self._batches = []
        self.client.shutdown()

    def _begin(self) -> None:
        """Begin the copy whose turn it is, if any is left."""
        batch = self._batches[0]
        if batch.cancelled or batch.place == len(batch.copies):
            self._end()
        else:
            self.client.send(copy_request(batch.copies[batch.place], batch.recipe))

    def _step(self, done: int, count: int) -> None:
        batch = self._batches[0]
        left = len(batch.copies) - batch.place - 1
        self.progressed.emit(Progress(batch.target, left, done, count))

    def _keep(self) -> None:
        batch = self._batches[0]
        batch.saved.append(batch.target)
        batch.place += 1
        self._begin()

    def _fail(self, message: str) -> None:
        batch = self._batches[0]
        batch.failures.append(message)
        batch.place += 1
        self._begin()

    def _end(self) -> None:
        batch = self._batches.pop(0)
        outcome = Outcome(batch.saved, batch.failures, batch.cancelled)
        more = bool(self._batches)
        if not more:
            self.client.rest()
        self.ended.emit(batch.copies, outcome)
        if more:
            self._begin()
