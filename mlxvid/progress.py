"""Progress of a run, and what can stop it. No MLX here: commands and downloads use it too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .errors import CancelledError

if TYPE_CHECKING:
    import numpy as np

STOPPED = "Stopped; nothing was written."


class Cancel(Protocol):
    """What stops a run: anything with ``is_set()``, such as ``threading.Event``."""

    def is_set(self) -> bool: ...


@dataclass
class Progress:
    """Where a run is. `stage`: download or load (of one component's weights; both in MB), encode,
    denoise, decode or save (in frames); `step` of `total` are done in it; `elapsed`: seconds in it;
    `remaining`: seconds that are left at that rate, None before the first step is done."""

    stage: str
    step: int
    total: int
    elapsed: float
    remaining: float | None
    _preview: Callable[[], np.ndarray] | None = field(default=None, repr=False)

    def preview(self) -> np.ndarray | None:
        """The clip as it would be if denoising ended here, uint8 [F, H, W, 3]; None outside
        denoising, and for a model that is too large to keep its decoder beside the denoiser. Costs
        a decode, so ask seldom."""
        return self._preview() if self._preview else None


class Watch:
    """Keeps the time, tells `on_progress`, and asks `cancel`."""

    def __init__(self, on_progress: Callable[[Progress], None] | None, cancel: Cancel | None):
        self._tell, self._cancel = on_progress, cancel

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage of `total` steps starts now, with `done` of them done before."""
        self._stage, self._total, self._step, self._first, self._start = (
            stage,
            total,
            done,
            done,
            time.monotonic(),
        )
        self._report(None)

    def done(self, preview: Callable[[], np.ndarray] | None = None, count: int = 1) -> None:
        """`count` more steps are done."""
        self._step += count
        self._report(preview)

    @contextmanager
    def task(self, stage: str) -> Iterator[None]:
        """A stage of one step, done when the block ends well."""
        self.begin(stage, 1)
        yield
        self.done()

    def _report(self, preview: Callable[[], np.ndarray] | None) -> None:
        if self._tell:
            elapsed = time.monotonic() - self._start
            here = self._step - self._first
            remaining = elapsed / here * (self._total - self._step) if here else None
            self._tell(Progress(self._stage, self._step, self._total, elapsed, remaining, preview))
        if self._cancel is not None and self._cancel.is_set():
            raise CancelledError(STOPPED)
