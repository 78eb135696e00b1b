"""Reading of golden files, and the comparison of what they hold with the port's values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.model.folder import from_json
from mlxvid.weights.reading import fill

# Tolerances for float32: of a network's outputs and stages, and of latents after sampling steps.
MODULES = 1e-4
SAMPLED = 1e-3

Tensors = dict[str, mx.array]
Network = TypeVar("Network", bound=nn.Module)


class Check(NamedTuple):
    """One comparison: its name, the greatest absolute error, and the greatest that is allowed.

    The error is infinite where the two can't be compared.
    """

    name: str
    error: float
    tolerance: float


Checker = Callable[[Path], Iterator[Check]]


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_tensors(path: Path) -> Tensors:
    """The tensors of a safetensors file."""
    loaded = mx.load(str(path), format="safetensors")
    assert isinstance(loaded, dict)
    return loaded


def read_network(folder: Path, stem: str, cls: type[Network], config_cls: type) -> Network:
    """The network of `stem`.config.json, with the tensors of `stem`.weights.safetensors."""
    path = folder / f"{stem}.config.json"
    config: object = from_json(config_cls, read_json(path), path)
    network = cls(config)  # type: ignore[call-arg]  # every network takes its config
    fill(network, sanitized(cls, read_tensors(folder / f"{stem}.weights.safetensors")), folder)
    return network


def sanitized(cls: type[nn.Module], tensors: Tensors) -> Tensors:
    """A checkpoint's tensors as the network has them."""
    return cls.sanitize(tensors)  # type: ignore[attr-defined]  # of every network of a family


def difference(ours: mx.array | np.ndarray, theirs: mx.array | np.ndarray | list[float]) -> float:
    """The greatest absolute difference; infinite where shapes differ or a value is not finite.

    A maximum takes no notice of NaN, hence the last step.
    """
    mine = np.asarray(ours, np.float64)
    golden = np.asarray(theirs, np.float64)
    if mine.shape != golden.shape:
        return math.inf
    error = float(np.abs(mine - golden).max())
    return error if math.isfinite(error) else math.inf


def mismatches(pairs: Iterable[tuple[object, object]]) -> int:
    """The number of pairs that are not equal: the error of what must be the same."""
    return sum(ours != theirs for ours, theirs in pairs)


def number(x: mx.array) -> float:
    """The first value of a tensor."""
    return float(np.array(x).flat[0])


def channels_last(x: mx.array) -> mx.array:
    """A video [B, C, F, H, W] (or [C, F, H, W]) in the port's layout, [B, F, H, W, C]."""
    return mx.moveaxis(x, -4, -1)


def misplaced(cls: type[nn.Module], config: object, inventory: dict[str, Any]) -> int:
    """The number of tensors that an inventory and the network of that config don't share.

    An inventory gives each tensor's shape by its name. Arrays are lazy: nothing is allocated.
    """
    zeros = {name: mx.zeros(shape) for name, shape in inventory["tensors"].items()}
    theirs = {name: tensor.shape for name, tensor in sanitized(cls, zeros).items()}
    network = cls(config)  # type: ignore[call-arg]  # every network takes its config
    parameters = dict(tree_flatten(network.parameters()))
    ours = {name: tensor.shape for name, tensor in parameters.items()}
    return len(set(ours.items()) ^ set(theirs.items()))
