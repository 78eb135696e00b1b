"""Runs that are stopped and gone on with."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from mlxvid import in_use
from mlxvid.errors import CancelledError
from mlxvid.media.clip import Clip
from mlxvid.progress import Progress
from mlxvid.run.cache_files import newest, runs_folder
from mlxvid.run.pipeline import Pipeline


def saved_runs() -> list[Path]:
    """The checkpoints of interrupted runs that nobody is at, the newest first."""
    return list(filter(in_use.is_free, newest(runs_folder())))


def resumed(pipe: Pipeline, prompt: str, after: int, **settings: Any) -> Clip:
    """The clip of a run that was stopped after so many steps; each has to be saved."""
    cancel = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.stage == "denoise" and progress.step == after:
            cancel.set()

    with pytest.raises(CancelledError):
        pipe.generate(prompt, **settings, on_progress=on_progress, cancel=cancel)
    return pipe.generate(prompt, **settings, resume=True)
