"""A run that several machines share: that they agree on it, and where they begin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import mlx.core as mx

from mlxvid import machines
from mlxvid.errors import MachinesError, shown
from mlxvid.json_files import read_json
from mlxvid.machines import Machines
from mlxvid.model.base import Model
from mlxvid.version import __version__
from mlxvid.weights.sizes import read_sizes

from .checkpoint import Checkpoint, RunState

# Settings that name places, which may differ: what is there is compared.
_PLACES = ("mlxvid", "model", "loras", "keyframes", "extend", "join", "video", "control", "digests")

GO_ON = "`resume` goes on with the run, with all machines or on this one alone"


def shared() -> Machines | None:
    """The machines that make each step together, if any do."""
    return machines.sharing("guidance", "layers")


def require_agreement(here: Machines, model: Model, settings: Mapping[str, Any]) -> None:
    """Raise :class:`MachinesError`, on every machine, where one of them has another version, model
    or setting than the first one.
    """
    facts = {
        "version of mlxvid": __version__,
        "version of MLX": version("mlx"),
        **{f"`{name}`": value for name, value in settings.items() if name not in _PLACES},
    }
    files = {
        "model, by its weights or configs": _digest(model),
        "picture, clip or LoRA": sorted(settings.get("digests", {}).values()),
    }
    first, *others = here.told([facts, files])
    for rank, other in enumerate(others, 1):
        for theirs, ours in zip(other, first, strict=True):
            for name in {**ours, **theirs}:
                if theirs.get(name) != ours.get(name):
                    raise _another(here.name_of(rank), name, theirs.get(name), ours.get(name))


def _another(machine: str, name: str, theirs: Any, first: Any) -> MachinesError:
    """What every machine raises where one has something else than the first."""
    values = ""
    if isinstance(first, (str, int, float)) and name[0] in "`v":
        values = f" ({shown(theirs)} where that has {shown(first)})"
    error = MachinesError(
        f"{machine} has another {name} than the first{values}: give all the same."
    )
    error.shared = True
    return error


def _digest(model: Model) -> str:
    """A digest of the weights' sizes and of the configs."""
    sizes = read_sizes(model.path)
    files = [model.path / name / "config.json" for name in sizes]
    configs = [read_json(path) for path in files if path.exists()]
    known = json.dumps([sizes, configs], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()


def state_of_first(here: Machines, state: RunState | None) -> RunState | None:
    """The state from which the first machine goes on; None where it has nothing to denoise.

    state: this machine's; it counts only on the first.
    """
    arrays = state.arrays() if state is not None and here.is_first else {}
    facts = {
        "place": [state.stage, state.step] if state is not None else None,
        "arrays": {name: [array.shape, str(array.dtype)] for name, array in arrays.items()},
    }
    first = here.told(facts)[0]
    if first["place"] is None:
        return None
    received = {}
    for name, (shape, dtype) in first["arrays"].items():
        own = arrays.get(name, mx.zeros(shape, getattr(mx, dtype.removeprefix("mlx.core."))))
        received[name] = here.from_first(own)
    return RunState.of(received, *first["place"])


class NoCheckpoint(Checkpoint):
    """That of a machine that isn't the first, which keeps nothing."""

    def save(self, state: RunState, last: bool = False) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing: what is there is another run's."""


def in_words(error: Exception, resumable: bool) -> Exception:
    """`error`, or where a machine was lost a sentence that says how to go on."""
    lost = machines.lost_by(error)
    if lost is None:
        return error
    return MachinesError(f"{lost.reason}: {GO_ON}.") if resumable else lost
