"""Layers of which each of several machines has a share: of attention some of the heads, of the
feed-forward some of its channels (Megatron-LM, arXiv:1909.08053).

Each network says in `shares()` which of its layers, by patterns of their names, are shared how.
The tokens between these layers are whole on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx.nn.layers.distributed import (
    QuantizedShardedToAllLinear,
    ShardedToAllLinear,
    shard_linear,
)
from mlx.utils import tree_unflatten

from mlxvid import kernels
from mlxvid.errors import SettingError
from mlxvid.kernels import Rotary
from mlxvid.kernels.plain import rotated

Group = mx.distributed.Group


class Share(NamedTuple):
    """How a layer is shared.

    way: "outputs", of whole inputs; "inputs", of which each machine has its own, and the outputs
    are summed; "whole", as "inputs", of inputs that all machines have; "norm": of channels of which
    each machine has its own. segments: matrices in one, each of which is shared: their number, or
    the shares of the axis at which they part.
    """

    way: str
    segments: int | tuple[float, ...] = 1


OUTPUTS = Share("outputs")
INPUTS = Share("inputs")
WHOLE = Share("whole")
NORM = Share("norm")

Shares = Mapping[str, Share]
"""How layers are shared, by patterns of their names as `fnmatch` has them."""


def fused(matrices: int) -> Share:
    """Of a layer that has the outputs of several in one."""
    return Share("outputs", matrices)


def joined(first: int, second: int) -> Share:
    """Of a layer whose inputs are two rows of channels."""
    # Half a channel more, so that it is rounded down to the right one in packed weights too.
    return Share("inputs", ((first + 0.5) / (first + second),))


def share_of(name: str, shares: Shares) -> Share | None:
    """How the layer `name` is shared; None where it is whole."""
    for pattern, share in shares.items():
        if fnmatchcase(name, pattern):
            return share
    return None


def shard(network: Any, group: Group, names: Collection[str] | None = None) -> None:
    """Leave of a network's layers this machine's share, quantized or not.

    Nothing is evaluated: of weights that are still in their files, only the share stays in memory
    when they are. names: of the tensors whose layers are meant, which have all of their tensors;
    None for all. Raises :class:`SettingError` for layers that have no such share.
    """
    shares = network.shares()
    replaced = []
    for name, layer in network.named_modules():
        share = share_of(name, shares)
        if share is not None and (names is None or f"{name}.weight" in names):
            replaced.append((name, _shared(name, layer, share, group)))
    network.update_modules(tree_unflatten(replaced))


def _shared(name: str, layer: Any, share: Share, group: Group) -> nn.Module:
    if share.way == "norm":
        return SharedRMSNorm(layer, group)
    by_outputs = share.way == "outputs"
    # A group of quantized weights, which have one scale, can't be cut.
    grouped = not by_outputs and isinstance(layer, nn.QuantizedLinear)
    if grouped and layer.scales.shape[-1] % group.size():
        raise _unfit(name, group)
    make = partial(_linear_shared, share=share, group=group)
    try:
        return layer.sharded(make, by_outputs) if hasattr(layer, "sharded") else make(layer)
    except ValueError:
        raise _unfit(name, group) from None


def _linear_shared(layer: nn.Module, share: Share, group: Group) -> nn.Module:
    segments = share.segments if isinstance(share.segments, int) else list(share.segments)
    if share.way == "whole" and isinstance(layer, nn.Linear):
        return OfWhole.from_linear(layer, segments=segments, group=group)
    if share.way == "whole":
        return QuantizedOfWhole.from_quantized_linear(layer, segments=segments, group=group)
    sharding = "all-to-sharded" if share.way == "outputs" else "sharded-to-all"
    return shard_linear(layer, sharding, segments=segments, group=group)


def _unfit(name: str, group: Group) -> SettingError:
    return SettingError(
        f"The layer {name} can't be shared by {group.size()} machines; take another number of "
        "them, or another way of `parallel`."
    )


class _Sliced:
    """Takes its machine's share of inputs that are whole."""

    group: Group

    def __call__(self, x: mx.array) -> mx.array:
        part = mx.split(x, self.group.size(), axis=-1)[self.group.rank()]
        return super().__call__(part)  # type: ignore[misc]


class OfWhole(_Sliced, ShardedToAllLinear):
    """A linear layer whose inputs and outputs are whole and whose matrix is not."""


class QuantizedOfWhole(_Sliced, QuantizedShardedToAllLinear):
    """:class:`OfWhole`, quantized."""


class SharedRMSNorm(nn.Module):
    """An RMS norm over the channels of all machines, of which each has its own, [..., C / n].

    The sum of squares of each row is that of all machines, in float32.
    """

    def __init__(self, norm: nn.RMSNorm, group: Group):
        super().__init__()
        self.eps = norm.eps
        self.group = group
        self.weight = mx.contiguous(mx.split(norm.weight, group.size())[group.rank()])

    def __call__(self, x: mx.array) -> mx.array:
        squares = mx.square(x.astype(mx.float32)).sum(axis=-1, keepdims=True)
        total = mx.distributed.all_sum(squares, group=self.group)
        mean = total / (x.shape[-1] * self.group.size())
        return _normed(x, self.weight, mean, self.eps)

    def rotated(self, x: mx.array, rope: Rotary) -> mx.array:
        """x [B, N, H, D], normed, then rotated.

        rope: tables [N, D/2] for all heads, or a part for each head of all machines.
        """
        normed = self(x.reshape(*x.shape[:2], -1)).reshape(x.shape)
        if 2 * rope.cos.shape[-1] > x.shape[-1]:
            rope = Rotary(self._own(rope.cos), self._own(rope.sin), rope.pairing)
        return rotated(normed, rope)

    def _own(self, table: mx.array) -> mx.array:
        return mx.split(table, self.group.size(), axis=-1)[self.group.rank()]


@mx.compile
def _normed(x: mx.array, weight: mx.array, mean: mx.array, eps: float) -> mx.array:
    return (x.astype(mx.float32) * mx.rsqrt(mean + eps) * weight).astype(x.dtype)


def normed_rotated(norm: Any, x: mx.array, rope: Rotary) -> mx.array:
    """Queries or keys x [B, N, H, D] of a machine's heads, normed over all heads, and rotated."""
    if isinstance(norm, SharedRMSNorm):
        return norm.rotated(x, rope)
    return kernels.normed_rotated(x, norm.weight, rope, norm.eps)
