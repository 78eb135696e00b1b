"""Saved latents and resumable checkpoints.

Finished latents are kept on the disk while a clip is decoded and saved, and the state of a run
while it is denoised: what dies underway can be taken up again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import numpy as np

from mlxvid.errors import MediaError
from mlxvid.paths import cache_folder, require_regular

log = logging.getLogger("mlxvid")

# A checkpoint is written after the first step that ends this many seconds after the last one:
# little is lost, and little time spent.
CHECKPOINT_SECONDS = 2.0
# Interrupted runs, and latents of clips that were not saved, stay until they are wanted; of more
# than this the oldest are removed.
MOST_KEPT = 5

Settings = dict[str, Any]


def latents_folder() -> Path:
    """Where latents are kept: `MLXVID_CACHE`/latents, or the user's cache folder."""
    return cache_folder("latents")


def runs_folder() -> Path:
    """Where checkpoints of interrupted runs are: `MLXVID_CACHE`/runs, or the user's cache."""
    return cache_folder("runs")


# --- finished latents ----------------------------------------------------------------------------


class KeptLatents:
    """A file of latents, which stays whatever happens until it is told otherwise."""

    def __init__(self, path: Path | None):
        self.path = path
        self._removal: weakref.finalize | None = None

    def until_saved(self) -> KeptLatents:
        """The clip is decoded: from now on the file goes when the clip is saved, dropped, or the
        process ends in good order.

        A file that somebody moved out of the cache is theirs, and stays.
        """
        if self.path and self.path.resolve().parent == latents_folder().resolve():
            self._removal = weakref.finalize(self, _remove, self.path)
        return self

    def discard(self) -> None:
        """The clip is saved: remove the file."""
        if self._removal is not None:
            self._removal()

    def leave(self) -> str | None:
        """The file is needed after all: let it stay, and say where it is (None for nowhere)."""
        if self._removal is not None:
            self._removal.detach()
        return str(self.path) if self.path else None


def keep_latents(latents: mx.array, settings: Settings) -> KeptLatents:
    """Write latents [1, F, H, W, C] and the settings that they came from to the cache.

    Where that can't be done, a line is logged and the file's path is None: the clip itself may
    still come out well.
    """
    path = latents_folder() / f"{os.getpid()}-{settings['seed']}.safetensors"
    written = _write(path, {"latents": latents}, {"settings": json.dumps(settings)})
    return KeptLatents(path if written else None)


def read_latents(path: str | os.PathLike) -> tuple[mx.array, Settings]:
    """The latents [1, F, H, W, C] that :func:`keep_latents` wrote, and their settings.

    Raises :class:`MediaError` for any other file.
    """
    try:
        arrays, metadata = _load(path)
        latents = arrays["latents"]
        settings = json.loads(metadata["settings"])
        mx.eval(latents)
        valid = isinstance(settings, dict) and latents.ndim == 5 and len(latents) == 1
    except (OSError, RuntimeError, ValueError, KeyError):
        valid = False
    if not valid:
        raise MediaError(f"{path} holds no kept latents: give the file that the failed run named.")
    return latents.astype(mx.float32), settings


# --- runs that are under way ---------------------------------------------------------------------


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


class Checkpoint:
    """The one file in which a run's state is kept, named after all that the run depends on."""

    def __init__(self, settings: Settings, arrays: Iterable[np.ndarray]):
        """settings: of the run, JSON-able. arrays: the noise and the pictures, which settings alone
        need not tell.
        """
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        self.path = runs_folder() / f"{digest.hexdigest()[:24]}.safetensors"
        self._settings = settings
        self._written = time.monotonic()

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    def save(self, state: RunState) -> None:
        """Put `state` in place of the one before, if that is :data:`CHECKPOINT_SECONDS` old; at no
        moment is there none.
        """
        if time.monotonic() - self._written < CHECKPOINT_SECONDS:
            return
        settings = json.dumps(self._settings)
        numbers = {"stage": str(state.stage), "step": str(state.step)}
        _write(self.path, state.arrays(), {"settings": settings, **numbers})
        self._written = time.monotonic()

    def read(self) -> RunState | None:
        """The state that was saved last; None where there is none that can be read."""
        try:
            arrays, metadata = _load(self.path)
            mx.eval(arrays)
            return RunState(
                x=arrays["x"],
                stage=int(metadata["stage"]),
                step=int(metadata["step"]),
                y=arrays.get("y"),
                scheduler=_within("scheduler.", arrays),
                shot=_within("shot.", arrays),
            )
        except (OSError, RuntimeError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """The run has ended."""
        _remove(self.path)


def saved_runs() -> list[Path]:
    """The checkpoints of interrupted runs, the newest first."""
    return _newest(runs_folder())


def last_left() -> Path | None:
    """The newest of the interrupted runs' checkpoints and of the kept latents; None for neither."""
    return next(iter(_newest(runs_folder(), latents_folder())), None)


def run_settings(path: str | os.PathLike) -> Settings:
    """The settings of the run whose checkpoint is at `path`.

    Raises :class:`MediaError` for any other file.
    """
    try:
        _, metadata = _load(path)
        settings = json.loads(metadata["settings"])
        if isinstance(settings, dict) and "step" in metadata:
            return settings
    except (OSError, RuntimeError, ValueError, KeyError):
        pass
    raise MediaError(f"{path} is no interrupted run: give `resume` alone for the last one.")


# --- files ---------------------------------------------------------------------------------------


def _load(path: str | os.PathLike) -> tuple[dict[str, mx.array], dict[str, str]]:
    require_regular(path)
    loaded = mx.load(os.fspath(path), format="safetensors", return_metadata=True)
    return cast(tuple[dict[str, mx.array], dict[str, str]], loaded)


def _within(prefix: str, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The arrays whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _newest(*folders: Path) -> list[Path]:
    """The safetensors files in some folders, the newest first."""
    dated = []
    for folder in folders:
        for path in folder.glob("[!.]*.safetensors"):
            try:
                dated.append((path.stat().st_mtime, path))
            except OSError:  # removed meanwhile by another process
                continue
    return [path for _, path in sorted(dated, reverse=True)]


def _write(path: Path, arrays: dict[str, mx.array], metadata: dict[str, str]) -> bool:
    """Write a safetensors file under a temporary name and move it into place; False, and a logged
    line, where that can't be done.
    """
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mx.save_safetensors(str(temporary), arrays, metadata)
        os.replace(temporary, path)
        for old in _newest(path.parent)[MOST_KEPT:]:
            _remove(old)
    except (OSError, RuntimeError) as error:
        _remove(temporary)
        log.warning(
            "The latents could not be kept in %s (%s); free some room there, or set MLXVID_CACHE.",
            path.parent,
            error,
        )
        return False
    return True


def _remove(path: Path | None) -> None:
    if path is not None and path.is_file():
        path.unlink(missing_ok=True)
