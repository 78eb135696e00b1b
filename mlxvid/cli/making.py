"""The clips of a command, one after the other or each machine some of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlxvid import machines
from mlxvid.errors import DegenerateClipError, MachinesError, MlxvidError
from mlxvid.progress import Progress

from .console import Emit
from .outputs import Take, still_free

if TYPE_CHECKING:
    from mlxvid.run.pipeline import Pipeline
    from mlxvid.run.spread import Made

log = logging.getLogger("mlxvid")

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Making:
    """Clips to make with a loaded model. settings: of the first one; metadata, overwrite: see
    :meth:`mlxvid.Clip.save`.
    """

    pipe: Pipeline
    settings: dict[str, Any]
    takes: Sequence[Take]
    metadata: bool
    overwrite: bool


def make_all(making: Making, emit: Emit, on_progress: OnProgress) -> None:
    """Make the clips and save them; one that comes out broken doesn't cost the others.

    Machines that share takes make as many at a time as they are, and the first one saves them.
    Raises :class:`DegenerateClipError` at the end where any is broken.
    """
    from mlxvid.run.sharing import require_agreement

    takes = making.takes
    here = machines.sharing("takes")
    if here is not None:
        require_agreement(here, making.pipe.model, {**making.pipe.loaded, **making.settings})
    size = here.size if here else 1
    failed: list[int] = []
    for begun in range(0, len(takes), size):
        number = begun + (here.rank if here else 0)
        made = _made(making, number, on_progress) if number < len(takes) else None
        if here is None:
            failed += _saved(making, begun, [made], emit, on_progress)
        else:
            failed += _gathered(making, begun, made, emit, on_progress)
    if failed:
        names = ", ".join(str(number + 1) for number in failed)
        error = DegenerateClipError(
            f"Of {len(takes)} clips, these failed: {names}; the notes above say why, "
            "and the others are saved."
        )
        error.shared = True
        raise error


def _made(making: Making, number: int, on_progress: OnProgress) -> Made | None:
    """One take; None on a machine that has assisted another one with it."""
    from mlxvid.run.spread import Made

    take = making.takes[number]
    count = len(making.takes)
    if count > 1:
        log.info("Clip %d of %d: %s", number + 1, count, take.prompt)
    start = time.monotonic()
    settings = {**making.settings, "prompt": take.prompt}
    if "seed" in settings:
        settings["seed"] += take.seed_step
    try:
        if machines.sharing("guidance", "layers") and not machines.is_first():
            settings.pop("resume", None)
            making.pipe.assist(**settings)
            return None
        clip = making.pipe.generate(**settings, on_progress=on_progress)
    except DegenerateClipError as error:
        if count == 1:
            raise
        log.error("Clip %d of %d failed. %s", number + 1, count, error)
        return Made(None, str(error))
    return Made(clip, seconds=time.monotonic() - start)


def _gathered(
    making: Making, begun: int, made: Made | None, emit: Emit, on_progress: OnProgress
) -> list[int]:
    """Save what all machines have made of the takes from number `begun` on, on the first; returns
    the numbers of those that failed.
    """
    from mlxvid.run.spread import gathered

    here = machines.here()
    clip = made.clip if made is not None else None
    with clip.latents_named() if clip is not None else nullcontext():
        results = gathered(here, made)
        if not here.is_first:
            reason = here.told(None)[0]
            if reason is not None:
                raise MachinesError(f"The clip was not saved: {reason}")
    if not here.is_first:
        if clip is not None and clip.kept is not None:
            clip.kept.discard()
        return []
    try:
        failed = _saved(making, begun, results, emit, on_progress)
    except MlxvidError as error:
        here.told(str(error))
        raise
    here.told(None)
    return failed


def _saved(
    making: Making,
    begun: int,
    results: Sequence[Made | None],
    emit: Emit,
    on_progress: OnProgress,
) -> list[int]:
    """Save clips; returns the numbers of those that failed."""
    from mlxvid.run.jobs import save

    failed = []
    for number, made in enumerate(results, begun):
        if made is None:
            continue
        if made.clip is None:
            failed.append(number)
            continue
        start = time.monotonic()
        target = still_free(making.takes[number])
        save(
            made.clip,
            target,
            on_progress,
            metadata=making.metadata,
            overwrite=making.overwrite,
        )
        settings = made.clip.settings
        took = round(made.seconds + time.monotonic() - start, 2)
        emit("saved", path=target, seed=settings["seed"], seconds=took, settings=settings)
    return failed
