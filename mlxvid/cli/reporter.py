"""A worker's progress events, and previews among them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from mlxvid.progress import Progress

from .console import progress_facts
from .events import strip

# A run of up to this many seconds shows decoded previews, and waits for them as long as this share
# of its time at most. Longer ones show rough ones: what these take is next to nothing.
SHORT_SECONDS = 120.0
SHARE = 0.2
ROUGH_SHARE = 0.02
# Pixels of a preview's longer side at most: a preview is one line of text.
SIDE = 256


class Reporter:
    """Tells a client of a job, with `emit`. previews: whether it wants to see the clip form."""

    def __init__(self, emit: Callable[..., None], job: Any, previews: bool):
        self._emit = emit
        self._job = job
        self._previews = previews
        self._rough: bool | None = None
        self._ready_at = 0.0

    def __call__(self, progress: Progress) -> None:
        self._emit("progress", id=self._job, **progress_facts(progress))
        is_step = progress.stage == "denoise" and 0 < progress.step < progress.total
        if self._previews and is_step and time.monotonic() >= self._ready_at:
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        start = time.monotonic()
        if self._rough is None:
            self._rough = progress.elapsed + (progress.remaining or 0) > SHORT_SECONDS
            frames = progress.preview(self._rough)
            if self._rough:  # the first may have waited for a fit to the decoder, made once
                start = time.monotonic()
        else:
            frames = progress.preview(self._rough)
        if frames is None:
            return
        step = math.ceil(max(frames.shape[1:3]) / SIDE)
        frames = frames[:, ::step, ::step]
        count, height, width, _ = frames.shape
        facts = {"frames": count, "width": width, "height": height, "png": strip(frames)}
        self._emit("preview", id=self._job, step=progress.step, **facts)
        spent = time.monotonic() - start
        share = ROUGH_SHARE if self._rough else SHARE
        self._ready_at = start + spent / share
