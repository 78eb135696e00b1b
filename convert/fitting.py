"""Whether tensors fit the network that is to hold them, and what that network says of their types:
asked before anything is written.

MLX is lazy: a network of any size is made here, and compared, without memory for its weights.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.base import Part
from mlxvid.model.facts import FAMILIES
from mlxvid.model.folder import from_json
from mlxvid.weights.loading import DTYPES, QUANTIZE_GROUP, fill, sanitized
from mlxvid.weights.tensors import Tensor

from .layouts import Component


@dataclass(frozen=True)
class Plan:
    """How a component's tensors are to be written: `bits` a weight for those in `quantized`,
    float32 for those in `float32`, and `dtype` for every other floating one. The rest stay as they
    are."""

    component: Component
    dtype: str
    bits: int | None
    quantized: frozenset[str]
    float32: frozenset[str]


def parts_of(kind: str) -> Mapping[str, Part]:
    """The components of the pipeline class `kind`, one of :data:`mlxvid.model.facts.FAMILIES`."""
    return importlib.import_module(f"mlxvid.models.{FAMILIES[kind]}.pipeline").Family.parts


def plan(component: Component, part: Part, dtype: str, bits: int | None) -> Plan:
    """The types that `component` is to be written in.

    Raises :class:`WeightsError` unless its config makes a network whose parameters its tensors are,
    one to one, and :class:`SettingError` for `bits` where it is quantized already.
    """
    if bits is not None and "quantization" in component.config:
        raise SettingError(
            f"{component.source} is quantized already; convert the model that it was made from."
        )
    network = _fitted(component, part)
    quantized = _quantized(network, component.tensors) if bits is not None else frozenset()
    network.set_dtype(DTYPES[dtype])  # some classes keep a few tensors out of it
    exact = {
        name
        for name, parameter in tree_flatten(network.parameters())
        if parameter.dtype == mx.float32
    }
    kept = {
        name
        for name, tensor in component.tensors.items()
        if tensor.floating and (part.dtype == "float32" or name in exact)
    }
    return Plan(component, dtype, bits, quantized, frozenset(kept) - quantized)


def _fitted(component: Component, part: Part) -> nn.Module:
    """The network of the component's config, once its tensors are found to fit."""
    path, cls = component.source / "config.json", part.network
    try:
        network = cls(from_json(part.config, component.config, path))
    except (TypeError, ValueError, ZeroDivisionError):
        raise WeightsError(
            f"{path} has sizes that no network can have; download the model again."
        ) from None
    stand_ins = {name: mx.zeros(tensor.shape) for name, tensor in component.tensors.items()}
    weights = sanitized(cls, stand_ins, component.source)
    if "quantization" in component.config:
        _expect_quantized(network, component, weights)
    fill(network, weights, component.source)
    return network


def _expect_quantized(
    network: nn.Module, component: Component, weights: Mapping[str, mx.array]
) -> None:
    """Make room in `network` for weights that an earlier conversion quantized."""
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
            f"{path} quantizes in a way that these weights can't be; convert the model again."
        ) from None


def _quantized(network: nn.Module, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """The tensors that `mlx.nn.quantize` would quantize as the network's class would have it, as
    :mod:`mlxvid.weights.loading` does.
    """
    names = set()
    quantizable = getattr(network, "quantizable", lambda name, module: False)
    for name, module in tree_flatten(network.leaf_modules(), is_leaf=nn.Module.is_module):
        if hasattr(module, "to_quantized") and quantizable(name, module):
            weight = f"{name}.weight"
            if (
                weight in tensors
                and tensors[weight].shape == module.weight.shape
                and module.weight.shape[-1] % QUANTIZE_GROUP == 0
            ):
                names.add(weight)
    return frozenset(names)
