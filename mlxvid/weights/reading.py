"""A component's tensors from its files, and their places in its network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.errors import WeightsError

from . import safetensors_file, torch_file
from .files import check_content, component_files, is_index
from .tensors import Tensor, joined
from .wrappers import average_note, is_average, peeled

log = logging.getLogger("mlxvid")


def read_weights(folder: Path, mapped: bool = False) -> dict[str, mx.array | Tensor]:
    """All tensors of a component, of which none is read from the disk yet.

    They are MLX's lazy arrays where it has safetensors, sharded or not, and a :class:`Tensor` each
    where these are to be `mapped`, or it has only PyTorch's files. Raises :class:`WeightsError`
    where there are none, or they are broken, incomplete or hold anything but tensors.
    """
    files = [path for path in component_files(folder) if not is_index(path)]
    if not files:
        raise WeightsError(
            f"{folder} has no weights (.safetensors, .bin, .pth or .pt); download or convert the "
            "model again."
        )
    if is_average(files[0].name):
        log.warning(f"Taken: {files[0]}, the average over the training.")
    return read_files(files, mapped)


def read_files(files: Sequence[Path], mapped: bool = False) -> dict[str, mx.array | Tensor]:
    """All tensors of these files, as :func:`read_weights` has them."""
    if files[0].suffix != ".safetensors":
        return dict(joined(files, torch_file.read))
    weights: dict[str, mx.array | Tensor] = {}
    if mapped:
        weights.update(joined(files, safetensors_file.read))
        return _peeled(weights, files[0])
    for file in files:
        try:
            weights.update(cast(dict[str, mx.array], mx.load(str(file), format="safetensors")))
        except (OSError, RuntimeError, ValueError):
            check_content(file)
            raise WeightsError(
                f"{file} is missing, damaged or cut short; download or convert the model again."
            ) from None
    return _peeled(weights, files[0])


def _peeled(weights: dict[str, mx.array | Tensor], file: Path) -> dict[str, mx.array | Tensor]:
    note = average_note(weights, file)
    if note:
        log.warning(note)
    return peeled(weights)


def sanitized(network: Any, weights: dict[str, mx.array], source: Path) -> dict[str, mx.array]:
    """A checkpoint's tensors as `network` has them.

    Raises :class:`WeightsError` for shapes that no such network has.
    """
    try:
        return network.sanitize(weights) if hasattr(network, "sanitize") else weights
    except (IndexError, KeyError, ValueError):
        raise WeightsError(
            f"The tensors in {source} have shapes that no {type(network).__name__} has; download "
            "the model again."
        ) from None


def fill(network: nn.Module, weights: dict[str, mx.array], source: Path) -> None:
    """Put `weights` into `network`.

    Raises :class:`WeightsError` unless names and shapes match one to one.
    """
    wanted = dict(tree_flatten(network.parameters()))
    for what, names in (
        ("lacks", wanted.keys() - weights.keys()),
        ("has no place for", weights.keys() - wanted.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            subject = "The checkpoint in" if what == "lacks" else "mlxvid's model of"
            raise WeightsError(
                f"{subject} {source} {what} {min(names)}{more}; it was made for another "
                "architecture or version."
            )
    for name, weight in weights.items():
        if weight.shape != wanted[name].shape:
            shapes = f"{tuple(weight.shape)} where {tuple(wanted[name].shape)} is needed"
            raise WeightsError(
                f"{name} in {source} is {shapes}; its config.json belongs to other weights."
            )
    network.load_weights(list(weights.items()))
