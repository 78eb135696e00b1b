"""Families beside their references: a module each, with mid-size networks that a CPU can run.

A module has `CASES`, by name, and may have `at_real_size()`, which prints a line for each
measurement of a released model's size. It imports mlxvid and the reference inside its functions:
each side runs in a process of its own, whose memory is measured.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TypeVar

from mlxvid import models

Call = Callable[[], object]
Network = TypeVar("Network")


@dataclass(frozen=True)
class Case:
    """One call of a network of mlxvid, evaluated, and the same of the reference's."""

    ours: Callable[[], Call]
    theirs: Callable[[], Call]


def benched_families() -> tuple[str, ...]:
    """The families that have a bench."""
    benches = {module.name for module in pkgutil.iter_modules(__path__)}
    return tuple(family.name for family in models.families() if family.name in benches)


def family_bench(family: str) -> ModuleType:
    """The module of a family that has a bench."""
    return import_module(f"{__name__}.{family}")


def drawn(network: Network) -> Network:
    """An MLX network, all of its parameters drawn at random and evaluated."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map

    assert isinstance(network, nn.Module)
    weights = tree_map(lambda p: mx.random.normal(p.shape) * 0.02, network.parameters())
    network.update(weights)
    mx.eval(network.parameters())
    return network
