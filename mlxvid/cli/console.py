"""How a command reports progress, events and notes: as bars, as JSON lines, or hardly at all."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from mlxvid import machines
from mlxvid.progress import Progress, ProgressBars

from .flags import spelled_as_flags

Emit = Callable[..., None]


@contextlib.contextmanager
def console(how: str) -> Iterator[tuple[Emit, Callable[[Progress], None]]]:
    """What takes events and what takes progress, "bar", "json" or "none"; notes of the library are
    shown in the same way.
    """
    reporter = {"bar": _Bars, "json": _Json, "none": _Quiet}[how]()
    if not machines.is_first():
        reporter = _Other()
    try:
        with notes(lambda text: reporter.note(spelled_as_flags(text))):
            yield reporter.event, reporter.progress
    finally:
        reporter.close()


@contextlib.contextmanager
def notes(take: Callable[[str], None]) -> Iterator[None]:
    """What the library logs, from INFO up, goes to `take`, a line at a time."""
    log = logging.getLogger("mlxvid")
    handler = _Handler(take)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, take: Callable[[str], None]):
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        # Who goes away is noticed by the next event: not here, in the middle of anything.
        with contextlib.suppress(OSError):
            self._take(record.getMessage())


class _Quiet:
    """Notes on standard error, the path of each clip on standard output, nothing else."""

    def event(self, name: str, **facts: Any) -> None:
        if name == "saved":
            print(facts["path"], flush=True)

    def progress(self, progress: Progress) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Other(_Quiet):
    """What another machine than the first has to say: notes on clips of its own."""

    def event(self, name: str, **facts: Any) -> None:
        pass

    def note(self, text: str) -> None:
        if machines.sharing("takes"):
            super().note(f"{machines.here().name}: {text}")


class _Bars(_Quiet):
    """Bars on standard error."""

    def __init__(self) -> None:
        self._bars = ProgressBars()

    def event(self, name: str, **facts: Any) -> None:
        self.close()
        if name == "saved":
            print(f"seed {facts['seed']}, {facts['seconds']:.1f} s", file=sys.stderr)
        super().event(name, **facts)

    def progress(self, progress: Progress) -> None:
        self._bars(progress)

    def note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        self._bars.close()


class _Json(_Quiet):
    """One JSON object a line on standard output."""

    def event(self, name: str, **facts: Any) -> None:
        print(json.dumps({"event": name, **facts}), flush=True)

    def progress(self, progress: Progress) -> None:
        self.event("progress", **progress_facts(progress))

    def note(self, text: str) -> None:
        self.event("note", text=text)


def progress_facts(progress: Progress) -> dict[str, Any]:
    """A progress as JSON-able facts, times in seconds."""
    remaining = None if progress.remaining is None else round(progress.remaining, 3)
    skipped = {"skipped": progress.skipped} if progress.skipped else {}
    return {
        "stage": progress.stage,
        "step": progress.step,
        "total": progress.total,
        "fraction": round(progress.fraction, 3),
        "elapsed": round(progress.elapsed, 3),
        "remaining": remaining,
        **skipped,
    }
