"""The passes of a step on several machines: each evaluates its own, and all have the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TypeVar

import mlx.core as mx

from mlxvid import machines
from mlxvid.machines import Machines

from .guidance import Outputs

Name = TypeVar("Name")


def own_passes(here: Machines, names: Sequence[Name]) -> Sequence[Name]:
    """The passes that this machine evaluates. Where there are fewer than machines, the others
    evaluate one as well: what a step cache finds in the network is then found by all of them.
    """
    return names[here.rank :: here.size] or [names[here.rank % len(names)]]


def passes_here(names: Sequence[object]) -> int:
    """How many of the passes this machine evaluates: all, unless several share them."""
    here = machines.sharing("guidance")
    return len(names) if here is None else len(own_passes(here, names))


def shared_outputs(
    here: Machines, names: Sequence[str], evaluate: Callable[[Sequence[str]], Outputs]
) -> Outputs:
    """The outputs of all passes. evaluate(names): those of some of them, of equal shapes."""
    own = [*evaluate(own_passes(here, names)).values()]
    places = ceil(len(names) / here.size)
    own += own[:1] * (places - len(own))
    rows = here.gathered(mx.stack(own))
    return {name: rows[i % here.size, i // here.size] for i, name in enumerate(names)}
