"""How a command tells its user of progress, events and notes: as bars, as JSON lines, or hardly at
all.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

Emit = Callable[..., None]

# What a stage counts, where that is not steps.
UNITS = {
    "download": "MB",
    "verify": "MB",
    "convert": "MB",
    "load": "MB",
    "decode": "frame",
    "save": "frame",
}


@contextlib.contextmanager
def telling(how: str) -> Iterator[tuple[Emit, Callable]]:
    """What tells the user of events and of progress, as bars, JSON lines or not at all; notes of
    the library included.
    """
    teller = {"bar": _Bars, "json": _Json, "none": _Quiet}[how]()
    try:
        with notes(teller.note):
            yield teller.event, teller.progress
    finally:
        teller.close()


@contextlib.contextmanager
def notes(tell: Callable[[str], None]) -> Iterator[None]:
    """What the library logs, from INFO up, goes to `tell`, a line at a time."""
    handler, log = logging.Handler(), logging.getLogger("mlxvid")
    handler.emit = lambda record: tell(record.getMessage())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


class _Quiet:
    """Notes on standard error, the path of each clip on standard output, nothing else."""

    def event(self, name: str, **facts: Any) -> None:
        if name == "saved":
            print(facts["path"], flush=True)

    def progress(self, progress: Any) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Bars(_Quiet):
    """A bar with rate and time to go for each stage, on standard error."""

    def __init__(self) -> None:
        self._bar = self._stage = None

    def event(self, name: str, **facts: Any) -> None:
        self.close()
        if name == "saved":
            print(f"seed {facts['seed']}, {facts['seconds']:.1f} s", file=sys.stderr)
        super().event(name, **facts)

    def progress(self, progress: Any) -> None:
        from tqdm import tqdm

        if progress.stage != self._stage or progress.step < self._bar.n:
            self.close()
            unit = UNITS.get(progress.stage, "step")
            self._bar = tqdm(
                total=progress.total,
                desc=f"{progress.stage:<8}",
                unit=unit,
                file=sys.stderr,
                dynamic_ncols=True,
            )
            self._stage = progress.stage
        self._bar.update(progress.step - self._bar.n)

    def note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None


class _Json(_Quiet):
    """One JSON object a line on standard output."""

    def event(self, name: str, **facts: Any) -> None:
        print(json.dumps({"event": name, **facts}), flush=True)

    def progress(self, progress: Any) -> None:
        self.event("progress", **facts_of(progress))

    def note(self, text: str) -> None:
        self.event("note", text=text)


def facts_of(progress: Any) -> dict[str, Any]:
    """A :class:`~mlxvid.run.pipeline.Progress` as JSON-able facts, times in seconds."""
    remaining = None if progress.remaining is None else round(progress.remaining, 3)
    return {
        "stage": progress.stage,
        "step": progress.step,
        "total": progress.total,
        "elapsed": round(progress.elapsed, 3),
        "remaining": remaining,
    }
