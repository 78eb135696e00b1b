"""A command on several machines: what keeps one of them from its part ends it on all, in one
sentence, and what they are to do they have from the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlxvid import machines
from mlxvid.errors import MachinesError, MlxvidError, SettingError
from mlxvid.model.card import Card

log = logging.getLogger("mlxvid")

_HOW = {
    "takes": "each makes clips of its own",
    "guidance": "each evaluates a pass of every step",
    "layers": "each has a part of the network's layers",
}


@contextmanager
def together() -> Iterator[None]:
    """What the command does before its machines begin. They then have the same reason to begin or
    to end: an error of one is raised on all.
    """
    if not machines.started():
        yield
        return
    try:
        yield
    except MachinesError:
        raise  # it is known to all
    except MlxvidError as error:
        _exchanged(None, error)
        raise
    _exchanged(None)


def from_first(find: Callable[[], Any]) -> Any:
    """The first machine's find(), JSON-able; within :func:`together`."""
    if not machines.started():
        return find()
    return _exchanged(find() if machines.is_first() else None)


def _exchanged(value: Any, error: Exception | None = None) -> Any:
    """The first machine's value; raises the first error of any machine."""
    here = machines.here()
    reason = str(error) if error is not None else None
    told = here.told({"value": value, "error": reason}, patience=None)
    for rank, one in enumerate(told):
        if one["error"] is None:
            continue
        if error is not None and rank == here.rank == 0:
            raise error
        sentence = one["error"] if rank == 0 else f"{here.name_of(rank)}: {one['error']}"
        shared = MachinesError(sentence)
        shared.shared = True
        raise shared
    return told[0]["value"]


def share(parallel: str | None, takes: int, card: Card, making: Mapping[str, Any]) -> None:
    """Share what follows with the other machines, in the asked-for way or else in the one that
    saves most; said in a line.

    takes: how many clips are made. Raises :class:`SettingError` for a way that there is none of.
    """
    if not machines.started():
        if parallel is not None:
            raise SettingError(
                "`parallel` is for several machines: start the command with mlx.launch "
                "(docs/two-macs.md), or leave it out."
            )
        return
    size = machines.here().size
    guidance = making.get("guidance") or card.defaults.guidance
    passes = card.passes(guidance, making.get("true_guidance") or 1.0)
    passes += "skip_layers" in making
    way = parallel or _way(takes, passes, size)
    if way == "takes" and takes < size:
        raise SettingError(
            f"{size} machines can't share {takes} clips: give a `count` of {size} or more, or "
            "another `parallel`."
        )
    if way == "guidance" and passes == 1:
        raise SettingError(
            "There is one pass a step, which `parallel` guidance can't share: give more "
            "`guidance`, or take layers."
        )
    log.info("%d machines share the run (`parallel` %s): %s.", size, way, _HOW[way])
    machines.share(way)


def _way(takes: int, passes: int, size: int) -> str:
    if takes >= size:
        return "takes"
    return "guidance" if passes >= size else "layers"
