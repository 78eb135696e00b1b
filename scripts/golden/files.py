"""How golden files are read, and how what they hold is compared with the port's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.model.folder import from_json
from mlxvid.weights.loading import fill

MODULES = 1e-4  # tolerances for float32: of a network's outputs and stages,
SAMPLED = 1e-3  # and of latents after sampling steps


class Check(NamedTuple):
    """One comparison: what was compared, the greatest difference (inf where they can't be
    compared), and the greatest that is allowed.
    """

    name: str
    error: float
    tolerance: float


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_tensors(path: Path) -> dict[str, mx.array]:
    return mx.load(str(path), format="safetensors")


def read_network(folder: Path, stem: str, cls: type[nn.Module], config_cls: type) -> nn.Module:
    """The network whose sizes are in `stem`.config.json and whose tensors in
    `stem`.weights.safetensors.
    """
    path = folder / f"{stem}.config.json"
    network = cls(from_json(config_cls, read_json(path), path))
    fill(network, cls.sanitize(read_tensors(folder / f"{stem}.weights.safetensors")), folder)
    return network


def difference(ours: mx.array | np.ndarray, theirs: mx.array | np.ndarray) -> float:
    """The greatest absolute difference; inf where the shapes differ, and for what isn't finite: no
    maximum takes notice of NaN.
    """
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    error = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else math.inf
    return error if math.isfinite(error) else math.inf


def mismatches(pairs: list[tuple[Any, Any]]) -> int:
    """How many pairs are not equal: the error of what must be the same."""
    return sum(ours != theirs for ours, theirs in pairs)


def channels_last(x: mx.array) -> mx.array:
    """A video [B, C, F, H, W] (or [C, F, H, W]) as the port has it, [B, F, H, W, C]."""
    return mx.moveaxis(x, -4, -1)


def misplaced(cls: type[nn.Module], config: Any, inventory: dict[str, Any]) -> int:
    """How many tensors of an inventory (name -> shape) the network of that config lacks, has too
    many, or has in another shape.
    """
    tensors = cls.sanitize(
        {name: mx.zeros(shape) for name, shape in inventory["tensors"].items()}
    )  # lazy: takes no memory
    theirs = {name: tensor.shape for name, tensor in tensors.items()}
    ours = {name: tensor.shape for name, tensor in tree_flatten(cls(config).parameters())}
    return len(set(ours.items()) ^ set(theirs.items()))
