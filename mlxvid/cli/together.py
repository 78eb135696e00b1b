"""A command on several machines: what keeps one of them from its part ends it on all, in one
sentence, and what they are to do they have from the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlxvid import machines
from mlxvid.errors import DoesNotFitError, MachinesError, MlxvidError, SettingError
from mlxvid.model.card import Card
from mlxvid.model.sharing import check_shared

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
    return _exchanged(find() if machines.is_first() else None)[0]


def _exchanged(value: Any, error: Exception | None = None) -> list[Any]:
    """The values of all machines; raises the first error of any."""
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
    return [one["value"] for one in told]


@dataclass(frozen=True)
class Sharing:
    """What a command asks of the machines: the way that it names, if any, the clips of a model that
    it makes, and whether they are begun if they should not fit.
    """

    parallel: str | None
    takes: int
    loading: Mapping[str, Any]
    making: Mapping[str, Any]
    force: bool

    def fitting(self, card: Card) -> str | None:
        """The way to share the clips, as far as this machine knows: the asked-for one, or else the
        one that saves most of those by which they fit here; None on one machine alone.

        Raises :class:`SettingError` for a way that there is none of, and
        :class:`DoesNotFitError` where they fit by none.
        """
        if not machines.started():
            if self.parallel is not None:
                raise SettingError(
                    "`parallel` is for several machines: start the command with mlx.launch "
                    "(docs/two-macs.md), or leave it out."
                )
            self._require_fit(card, 1)
            return None
        way = self.parallel or self._usual(card)
        if way != "layers":
            self._check(card, way)
            try:
                self._require_fit(card, 1)
            except DoesNotFitError:
                if self.parallel is not None:
                    raise
                way = "layers"
        if way == "layers":
            self._share_layers(card)
        return way

    def agreed(self, card: Card) -> str | None:
        """:meth:`fitting`, on all machines; within :func:`together`. They share layers where one of
        them can't hold the whole model.
        """
        way = self.fitting(card)
        if way is None:
            return None
        others = _exchanged(way)
        if way != "layers" and "layers" in others:
            self._share_layers(card)
            return "layers"
        return way

    def _share_layers(self, card: Card) -> None:
        """Raise where the machines can't share the model's layers."""
        size = machines.here().size
        check_shared(card, size, self.loading.get("quantize"))
        self._require_fit(card, size)

    def _usual(self, card: Card) -> str:
        size = machines.here().size
        if self.takes >= size:
            return "takes"
        return "guidance" if self._passes(card) >= size else "layers"

    def _passes(self, card: Card) -> int:
        making = self.making
        guidance = making.get("guidance") or card.defaults.guidance
        passes = card.passes(guidance, making.get("true_guidance") or 1.0)
        return passes + ("skip_layers" in making)

    def _check(self, card: Card, way: str) -> None:
        size = machines.here().size
        if way == "takes" and self.takes < size:
            raise SettingError(
                f"{size} machines can't share {self.takes} clips: give a `count` of {size} or "
                "more, or another `parallel`."
            )
        if way == "guidance" and self._passes(card) == 1:
            raise SettingError(
                "There is one pass a step, which `parallel` guidance can't share: give more "
                "`guidance`, or take layers."
            )

    def _require_fit(self, card: Card, sharing: int) -> None:
        """sharing: machines that share the layers."""
        from mlxvid.run.jobs import require_fit

        if not self.force:
            require_fit(card, self.loading, self.making, sharing)


def share(way: str | None) -> None:
    """Share what follows with the other machines, said in a line."""
    if way is not None:
        size = machines.here().size
        log.info("%d machines share the run (`parallel` %s): %s.", size, way, _HOW[way])
        machines.share(way)
