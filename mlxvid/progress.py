"""Progress of a run, and what can stop it. No MLX here: commands and downloads use it too."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .errors import CancelledError

if TYPE_CHECKING:
    import numpy as np

STOPPED = "Stopped; nothing was written."
# Seconds between two reports within a step. Cancel is asked more often.
WITHIN_SECONDS = 0.25
# As much of a step is done at most before its end.
NEARLY = 0.99
# Seconds that a bar's clock may be ahead of the run's.
BEHIND = 5.0
Preview = Callable[[bool], "np.ndarray | None"]
"""Frames of a clip so far, as :meth:`Progress.preview` has them; called with `rough`."""

# What a stage counts, where that is not steps.
UNITS = {
    "download": "MB",
    "verify": "MB",
    "convert": "MB",
    "load": "MB",
    "decode": "frame",
    "save": "frame",
}


class Cancel(Protocol):
    """What stops a run: anything with ``is_set()``, such as ``threading.Event``."""

    def is_set(self) -> bool: ...


@dataclass
class Progress:
    """Where a run is.

    stage: download or load (of one component's weights; both in MB), encode, denoise, decode or
    save (in frames). step: how many of `total` are done in it. fraction: how much of the next one
    is, 0 to 1, for steps that take long. elapsed: seconds in it. remaining: seconds that are left
    at that rate, None before anything is done. skipped: evaluations of the network that the step
    cache has left out so far.
    """

    stage: str
    step: int
    total: int
    elapsed: float
    remaining: float | None
    _preview: Preview | None = field(default=None, repr=False)
    fraction: float = 0.0
    skipped: int = 0

    def preview(self, rough: bool = False) -> np.ndarray | None:
        """The clip as it would be if denoising ended here, uint8 [F, H, W, 3]; None outside
        denoising.

        It is decoded where the decoder has room beside the denoiser, which costs a decode: ask
        seldom. Elsewhere, and everywhere with `rough`, colours are a linear function of latents:
        that costs next to nothing, shows one pixel a latent position, and needs a fit to the
        model's decoder, which ``generate(previews=True)`` makes before the first step; None
        without it.
        """
        return self._preview(rough) if self._preview else None


_pauses = 0


def note_pause() -> None:
    """The process was stopped (Ctrl-Z) and goes on now: the time since the last report is no work.

    To be called by whoever has the process's SIGCONT.
    """
    global _pauses
    _pauses += 1


class Watch:
    """Keeps the time, reports to `on_progress`, and asks `cancel`."""

    def __init__(self, on_progress: Callable[[Progress], None] | None, cancel: Cancel | None):
        self._on_progress = on_progress
        self._cancel = cancel
        self._stage = ""
        self._total = 0
        self._step = 0
        self._first = 0
        self._start = 0.0
        self._told = 0.0
        self._pauses = _pauses
        self.skipped = 0

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps starts now, with `done` of them done before."""
        self.skipped = 0
        self._stage = stage
        self._total = total
        self._step = done
        self._first = done
        self._start = time.monotonic()
        self._told = self._start
        self._report(None)

    def done(self, preview: Preview | None = None, count: int = 1) -> None:
        """`count` more steps are done."""
        self._step += count
        self._report(preview)

    def within(self, calls: int) -> Callable[[float | None], None]:
        """What is to be told of the next step while it is made, in about `calls` calls of a
        network: listener(share), how much of a call is done, 0 to 1, or None for something less.
        """
        done = 0
        last = 0.0

        def listen(share: float | None) -> None:
            nonlocal done, last
            if share is not None:
                if share <= last:
                    done += 1  # of the next call
                last = share
            if time.monotonic() - self._told >= WITHIN_SECONDS:
                self._report(None, min((done + last) / calls, NEARLY))
            else:
                self._ask()

        return listen

    @contextmanager
    def task(self, stage: str) -> Iterator[None]:
        """A stage of one step, done when the block ends well."""
        self.begin(stage, 1)
        yield
        self.done()

    def _report(self, preview: Preview | None, fraction: float = 0.0) -> None:
        now = time.monotonic()
        if self._pauses != _pauses:
            self._start += now - self._told
        self._pauses = _pauses
        self._told = now
        if self._on_progress:
            elapsed = self._told - self._start
            done = self._step + fraction
            here = done - self._first
            remaining = elapsed / here * (self._total - done) if here else None
            self._on_progress(
                Progress(
                    self._stage,
                    self._step,
                    self._total,
                    elapsed,
                    remaining,
                    preview,
                    fraction,
                    self.skipped,
                )
            )
        self._ask()

    def _ask(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise CancelledError(STOPPED)


class ProgressBars:
    """A bar with rate and time to go for each stage, on standard error."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage: str | None = None

    def __call__(self, progress: Progress) -> None:
        from tqdm import tqdm

        if progress.stage != self._stage or progress.step < int(self._bar.n):
            self.close()
            self._bar = tqdm(
                total=progress.total,
                desc=f"{progress.stage:<8}",
                unit=UNITS.get(progress.stage, "step"),
                file=sys.stderr,
                dynamic_ncols=True,
            )
            self._stage = progress.stage
        paused = time.time() - self._bar.start_t - progress.elapsed
        if paused > BEHIND:  # tqdm's own clock went on
            self._bar.start_t += paused
            self._bar.last_print_t += paused
        done = round(progress.step + progress.fraction, 2) if progress.fraction else progress.step
        # Set, not added up, so that the sum stays a whole number at the end of a step.
        if progress.skipped:
            self._bar.set_postfix_str(f"{progress.skipped} skipped", refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.n = done

    def close(self) -> None:
        """End the bar that is shown."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._stage = None
