"""Weights that stay in their files, from which each piece of a network reads its own when it is
used, and lets them go again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map, tree_unflatten

from .tensors import Tensor

Tensors = dict[str, Tensor]
Read = Callable[[Tensors], None]


class EmbeddingInFile(nn.Module):
    """An embedding whose rows are read as they are used.

    table: [N, D]. dtype: of the rows in use, None for the table's own.
    """

    def __init__(self, table: Tensor, dtype: mx.Dtype | None):
        super().__init__()
        self.table = table
        self.dtype = dtype

    def __call__(self, ids: mx.array) -> mx.array:
        numbers, places = np.unique(np.array(ids), return_inverse=True)
        rows = mx.concatenate([self.table.read(int(n), int(n) + 1) for n in numbers])
        rows = rows if self.dtype is None else rows.astype(self.dtype)
        return rows[mx.array(places.reshape(ids.shape))]


def stream(network: Any, tensors: Tensors, read: Read, dtype: mx.Dtype | None) -> None:
    """Leave the weights of a network's pieces and tables in their files
    (:mod:`mlxvid.layers.streaming`), and read the others.

    tensors: by the names that they have in the files. read: puts some of them into the network, in
    the type and bits in use. dtype: as in :class:`EmbeddingInFile`.
    """
    pieces = network.pieces()
    modules = dict(network.named_modules())
    tables = [name for name in network.tables if type(modules[name]) is nn.Embedding]
    found = _by_owner(network, tensors, [*pieces, *tables])
    for name in tables:
        # Of two names for one table the last is taken, as in `sanitize` of all.
        table = list(found[name].values())[-1]
        network.update_modules(tree_unflatten([(name, EmbeddingInFile(table, dtype))]))
    for name, piece in pieces.items():
        piece.lend = partial(_lent, piece, found[name], read)
    read(found[""])


def _by_owner(network: Any, tensors: Tensors, owners: list[str]) -> Mapping[str, Tensors]:
    """The tensors in the order of their names by the module that they are of, "" for no owner."""
    found: dict[str, Tensors] = {name: {} for name in ["", *owners]}
    prefixes = {f"{name}.": name for name in owners}
    for name in sorted(tensors):
        for ours in network.sanitize({name: mx.zeros(tensors[name].shape)}):
            owner = next((prefixes[start] for start in prefixes if ours.startswith(start)), "")
            found[owner][name] = tensors[name]
    return found


@contextmanager
def _lent(piece: nn.Module, tensors: Tensors, read: Read) -> Iterator[None]:
    """A piece with its weights, which is afterwards as it was."""
    empty = piece.leaf_modules()
    parameters = piece.parameters()
    # Copies are filled: where quantizing puts others in their place, nothing holds their weights.
    piece.update_modules(tree_map(copy, empty, is_leaf=nn.Module.is_module))
    try:
        read(tensors)
        yield
    finally:
        piece.update_modules(empty)
        piece.update(parameters)
