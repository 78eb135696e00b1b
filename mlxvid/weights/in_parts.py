"""A network's weights, read and evaluated part by part."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.progress import Watch

from .tensors import Tensor

# Weights are read in parts of this many bytes, so that a large model's loading can be watched and
# stopped.
LOAD_BYTES = 256 * 10**6
# The same of networks that machines share, whose tensors are whole in memory until they are cut.
SHARED_BYTES = 32 * 10**6


def _parts(
    items: Iterable[tuple[Any, int]], part_bytes: int | None = None
) -> Iterator[tuple[list[Any], int]]:
    """Items and their bytes, in order, as parts of about so many, by default :data:`LOAD_BYTES`,
    with sizes in MB.
    """
    part_bytes = LOAD_BYTES if part_bytes is None else part_bytes
    part: list[Any] = []
    size = 0
    for item, nbytes in items:
        part.append(item)
        size += nbytes
        if size >= part_bytes:
            yield part, math.ceil(size / 1e6)
            part = []
            size = 0
    if part:
        yield part, math.ceil(size / 1e6)


def evaluate(network: nn.Module, watch: Watch | None, part_bytes: int | None = None) -> None:
    """Evaluate all that a network holds, part by part: what one thread leaves lazy, another can't
    evaluate. part_bytes: of a part, by default :data:`LOAD_BYTES`.

    Weights that MLX reads from the disk only now are the stage "load", in MB. Those of a small
    network take no time worth reporting.
    """
    parameters = dict(tree_flatten(network.parameters()))
    items = ((array, array.nbytes) for array in parameters.values())
    parts = list(_parts(items, part_bytes))
    watch = watch if len(parts) > 1 else None
    if watch is not None:
        watch.begin("load", sum(megabytes for _, megabytes in parts))
    for part, megabytes in parts:
        mx.eval(part)
        if watch is not None:
            watch.done(count=megabytes)


def read_in(
    network: nn.Module,
    tensors: dict[str, Tensor],
    settle: Callable[[Collection[str]], None],
    watch: Watch | None,
    part_bytes: int | None = None,
) -> None:
    """Read a network's weights from mapped files, part by part: the stage "load", in MB.

    MLX can't leave these to be read when they are used. So that never more of them is in memory as
    the files have it than one part, of `part_bytes` (default: :data:`LOAD_BYTES`), each is given
    its place and its type in use, by settle(names), before the next is read. A class's `sanitize`
    sees one part at a time.
    """
    sanitize = getattr(network, "sanitize", dict)
    kept = []
    # In this order the last of two names for one parameter is the same as in `sanitize` of all.
    for name in sorted(tensors):
        if sanitize({name: mx.zeros(tensors[name].shape)}):
            kept.append((name, tensors[name].values.nbytes))
    parts = list(_parts(kept, part_bytes))
    watch = watch if len(parts) > 1 else None
    if watch is not None:
        watch.begin("load", sum(megabytes for _, megabytes in parts))
    for part, megabytes in parts:
        arrays = sanitize({name: tensors[name].read() for name in part})
        network.load_weights(list(arrays.items()), strict=False)
        names = set(arrays)
        del arrays
        settle(names)
        stems = [name.removesuffix("weight") for name in names if name.endswith(".weight")]
        names.update(stem + more for stem in stems for more in ("scales", "biases"))
        parameters = dict(tree_flatten(network.parameters()))
        mx.eval([parameters[name] for name in names if name in parameters])
        if watch is not None:
            watch.done(count=megabytes)


def is_finite(network: nn.Module) -> bool:
    """Whether all of a network's weights are numbers: none was too large for its type."""
    weights = dict(tree_flatten(network.parameters())).values()
    floats = [weight for weight in weights if mx.issubdtype(weight.dtype, mx.floating)]
    return all(mx.isfinite(weight).all().item() for weight in floats)
