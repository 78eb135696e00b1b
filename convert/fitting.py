"""Checks that tensors fit the network that will hold them, and decides the types to write.

All of it happens before anything is written. MLX is lazy: a network of any size is made here, and
compared, without memory for its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.card import Family, Part
from mlxvid.model.folder import from_json
from mlxvid.weights.loading import MLX_DTYPES, QUANTIZE_GROUP
from mlxvid.weights.reading import fill, sanitized
from mlxvid.weights.tensors import Tensor

from .release import Component


@dataclass(frozen=True)
class WritePlan:
    """The types in which a component's tensors are written.

    bits: per weight, of those named in `quantized`. float32: the names of those kept in it. dtype:
    of all other floating-point ones. The rest stay as they are.
    """

    component: Component
    dtype: str
    bits: int | None
    quantized: frozenset[str]
    float32: frozenset[str]


def write_plan(component: Component, family: Family, dtype: str, bits: int | None) -> WritePlan:
    """The types in which to write `component` of one of the family's models.

    Raises :class:`WeightsError` unless its config makes a network whose parameters its tensors are,
    one to one, and :class:`SettingError` for `bits` where it is quantized already.
    """
    if bits is not None and "quantization" in component.config:
        raise SettingError(
            f"{component.source} is quantized already; convert the model that it was made from."
        )
    part = family.parts[component.name]
    network = _fitted(component, family)
    quantized: frozenset[str] = frozenset()
    if bits is not None:
        quantized = _quantized(network, component.tensors)
    kept = _kept_in_float32(network, component.tensors, part, dtype)
    return WritePlan(component, dtype, bits, quantized, kept - quantized)


def _fitted(component: Component, family: Family) -> nn.Module:
    """The network of the component's config, once its tensors are found to fit."""
    path = component.source / "config.json"
    cls = family.network(component.name)
    config: object = from_json(family.parts[component.name].config, component.config, path)
    try:
        network = cls(config)
    except (TypeError, ValueError, ZeroDivisionError):
        raise WeightsError(
            f"{path} has sizes that no network can have; download the model again."
        ) from None
    stand_ins = {name: mx.zeros(tensor.shape) for name, tensor in component.tensors.items()}
    weights = sanitized(network, stand_ins, component.source)
    if "quantization" in component.config:
        _expect_quantized(network, component, weights)
    fill(network, weights, component.source)
    return network


def _expect_quantized(
    network: nn.Module, component: Component, weights: Mapping[str, mx.array]
) -> None:
    """Replace the layers of `network` that an earlier conversion quantized."""
    stored = component.config["quantization"]
    try:
        nn.quantize(
            network,
            stored["group_size"],
            stored["bits"],
            class_predicate=lambda name, module: f"{name}.scales" in weights,
        )
    except (TypeError, KeyError, ValueError, RuntimeError):
        path = component.source / "config.json"
        raise WeightsError(
            f"{path} names a quantization that its weights can't have; convert the model again."
        ) from None


def _kept_in_float32(
    network: nn.Module, tensors: Mapping[str, Tensor], part: Part, dtype: str
) -> frozenset[str]:
    """The floating-point tensors that the network computes with in float32 whatever `dtype` is."""
    network.set_dtype(MLX_DTYPES[dtype])  # some classes exempt a few parameters
    exact = set()
    for name, parameter in dict(tree_flatten(network.parameters())).items():
        if parameter.dtype == mx.float32:
            exact.add(name)
    kept = set()
    for name, tensor in tensors.items():
        if tensor.floating and (part.stays_float32 or name in exact):
            kept.add(name)
    return frozenset(kept)


def _quantized(network: nn.Module, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """The tensors that :mod:`mlxvid.weights.loading` would quantize in this network."""
    quantizable = getattr(network, "quantizable", lambda name, module: False)
    layers = dict(tree_flatten(network.leaf_modules(), is_leaf=nn.Module.is_module))
    names = set()
    for name, layer in layers.items():
        if not hasattr(layer, "to_quantized") or not quantizable(name, layer):
            continue
        weight = f"{name}.weight"
        fits = weight in tensors and tensors[weight].shape == layer.weight.shape
        if fits and layer.weight.shape[-1] % QUANTIZE_GROUP == 0:
            names.add(weight)
    return frozenset(names)
