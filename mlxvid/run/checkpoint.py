"""Resumable checkpoints: the state of a run on the disk while it is denoised.

What dies underway can be taken up again. Every run has a file of its own, which it holds: other
processes and threads leave it alone until the run has ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
import numpy as np

from mlxvid import in_use
from mlxvid.errors import MediaError
from mlxvid.in_use import Hold

from .cache_files import (
    latents_folder,
    load,
    newest,
    remove,
    remove_free,
    runs_folder,
    unique,
    write,
)
from .latents import BROKEN, KeptLatents, Settings, read_latents

# A checkpoint is written after the first step that ends this many seconds after the last one:
# little is lost, and little time spent.
CHECKPOINT_SECONDS = 2.0


@dataclass
class RunState:
    """A run after `step` steps of stage `stage`.

    x: the clip's float32 latents as the stages before have made them; y: the stage's own, None
    before its first step. scheduler, shot: what these two remember.
    """

    x: mx.array
    stage: int = 0
    step: int = 0
    y: mx.array | None = None
    scheduler: Mapping[str, mx.array] = field(default_factory=dict)
    shot: Mapping[str, mx.array] = field(default_factory=dict)

    def arrays(self) -> dict[str, mx.array]:
        """Everything by a name that says whose it is."""
        own = {"x": self.x} if self.y is None else {"x": self.x, "y": self.y}
        scheduler = {f"scheduler.{name}": array for name, array in self.scheduler.items()}
        shot = {f"shot.{name}": array for name, array in self.shot.items()}
        return {**own, **scheduler, **shot}

    @staticmethod
    def of(arrays: Mapping[str, mx.array], stage: int, step: int) -> RunState:
        """The state whose :meth:`arrays` these are."""
        return RunState(
            x=arrays["x"],
            stage=stage,
            step=step,
            y=arrays.get("y"),
            scheduler=_within("scheduler.", arrays),
            shot=_within("shot.", arrays),
        )


class Checkpoint:
    """The one file in which a run keeps its state, named after all that the run depends on and held
    until the run ends. Runs with the same settings have a file each.
    """

    def __init__(self, settings: Settings, arrays: Iterable[np.ndarray]):
        """settings: of the run, JSON-able. arrays: the noise and the pictures, which settings alone
        need not tell.
        """
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        self.name = digest.hexdigest()[:24]
        self.path = unique(runs_folder(), self.name)
        self.failed = False
        """Whether it could not be written, which was said then."""
        self._hold: Hold | None = None
        self._settings = settings
        self._written = time.monotonic()

    @property
    def exists(self) -> bool:
        """Whether this run has been saved."""
        return self._hold is not None and self.path.is_file()

    @property
    def resumable(self) -> bool:
        """Whether `resume` would find a state: this run's, or that of one before it."""
        return self.exists or bool(self.earlier())

    def earlier(self) -> list[Path]:
        """The files of interrupted runs with these settings that nobody is at, the furthest one
        first.
        """
        return sorted(filter(in_use.is_free, self._all()), key=_place, reverse=True)

    @property
    def busy(self) -> bool:
        """Whether somebody else is at a run with these settings."""
        return any(not in_use.is_free(path) for path in self._all())

    def save(self, state: RunState, last: bool = False) -> None:
        """Put `state` in place of the one before, if that is :data:`CHECKPOINT_SECONDS` old or
        `state` is a stage's `last`; at no moment is there none.
        """
        if not last and time.monotonic() - self._written < CHECKPOINT_SECONDS:
            return
        settings = json.dumps(self._settings)
        numbers = {"stage": str(state.stage), "step": str(state.step)}
        metadata = {"settings": settings, **numbers}
        # A last state is followed by latents: if those can't be kept either, that is told of them.
        tell = not (self.failed or last)
        hold = write(self.path, state.arrays(), metadata, tell)
        self._written = time.monotonic()
        if hold is None:
            self.failed |= tell
            return
        self.close()
        self._hold = hold
        for path in self.earlier():
            if _place(path) <= (state.stage, state.step):
                remove_free(path)

    def read(self) -> RunState | None:
        """The furthest state that was saved and that nobody is at, whose file is this run's from
        now on; None where there is none that can be read.
        """
        for path in self.earlier():
            hold = in_use.take(path)
            if hold is None:
                continue
            try:
                state = _state(path)
            except (OSError, RuntimeError, ValueError, KeyError):
                hold.release()
                continue
            self.path = path
            self._hold = hold
            return state
        return None

    def waiting(self) -> list[Path]:
        """The latents that runs with these settings kept for their decoder and that nobody is at,
        the newest first.
        """
        files = [path for path in newest(latents_folder()) if path.name.startswith(self.name)]
        return list(filter(in_use.is_free, files))

    def finished(self) -> tuple[mx.array, Settings, KeptLatents] | None:
        """Latents that wait for their decoder, the clip's settings and their file; None where none
        can be read.
        """
        for path in self.waiting():
            hold = in_use.take(path)
            if hold is not None:
                with suppress(MediaError):
                    latents, settings = read_latents(path)
                    return latents, settings, KeptLatents(path, hold)
        return None

    def kept(self) -> KeptLatents:
        """The state, if it was saved, for a clip whose latents could not be."""
        hold = self._hold
        self._hold = None
        return KeptLatents(self.path if hold else None, hold, "resume")

    def remove(self) -> None:
        """The run has ended: nobody needs its state, nor those of earlier runs like it."""
        if self._hold is not None:
            remove(self.path)
        self.close()
        for path in [*self.earlier(), *self.waiting()]:
            remove_free(path)

    def close(self) -> None:
        """Leave what is saved to others."""
        if self._hold is not None:
            self._hold.release()
        self._hold = None

    def _all(self) -> list[Path]:
        """The files of all runs with these settings."""
        return [path for path in newest(runs_folder()) if path.name.startswith(self.name)]


def _state(path: Path) -> RunState:
    arrays, metadata = load(path)
    mx.eval(arrays)
    return RunState.of(arrays, int(metadata["stage"]), int(metadata["step"]))


def _place(path: Path) -> tuple[int, int]:
    """(stage, step) of a checkpoint; the beginning for a file that can't be read."""
    try:
        _, metadata = load(path)
        return int(metadata["stage"]), int(metadata["step"])
    except (OSError, RuntimeError, ValueError, KeyError):
        return 0, 0


def step_of(path: Path) -> str:
    """Where the run whose checkpoint is at `path` is, for a sentence."""
    stage, step = _place(path)
    return f"step {step} of stage {stage + 1}" if stage else f"step {step}"


def last_left() -> Path | None:
    """The newest of the interrupted runs' checkpoints and of the kept latents that wait for their
    decoder, of those that nobody is at; None for none.
    """
    return next(filter(in_use.is_free, _left()), None)


def is_anything_left() -> bool:
    """Whether there are such files at all, though somebody may be at them."""
    return bool(_left())


def _left() -> list[Path]:
    files = newest(runs_folder(), latents_folder())
    return [path for path in files if not path.name.startswith(BROKEN)]


def run_settings(path: str | os.PathLike) -> Settings:
    """The settings of the run whose checkpoint is at `path`.

    Raises :class:`MediaError` for any other file.
    """
    try:
        _, metadata = load(path)
        settings = json.loads(metadata["settings"])
        if isinstance(settings, dict) and "step" in metadata:
            return settings
    except (OSError, RuntimeError, ValueError, KeyError):
        pass
    raise MediaError(f"{path} is no interrupted run: give `resume` alone for the last one.")


def _within(prefix: str, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The arrays whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
