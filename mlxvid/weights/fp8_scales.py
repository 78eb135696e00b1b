"""Scales of FP8 checkpoints, which keep one beside each weight: joined with the weights here.

What only an FP8 runtime needs is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import mlx.core as mx
import numpy as np

from mlxvid.errors import WeightsError

from .fp8 import FP8
from .tensors import Tensor

# The ends of names in ComfyUI's files, older and newer; the weight itself ends in ".weight".
SCALES = (".scale_weight", ".weight_scale")
# Scales of activations, notes on the format, and the empty tensor that marks a scaled file.
MARK = "scaled_fp8"
UNUSED = (".scale_input", ".input_scale", ".comfy_quant", MARK)


def with_scales(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, each FP8 weight with its scale.

    Raises :class:`WeightsError` for a scale that fits no FP8 weight, and for a file that is marked
    as scaled and has lost its scales.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(UNUSED)}
    scales = [name for name in kept if name.endswith(SCALES)]
    if not scales and any(name.endswith(MARK) for name in tensors):
        _require_16_bits(kept.values())
    for name in scales:
        scale = kept.pop(name)
        target = name.rpartition(".")[0] + ".weight"
        weight = kept.get(target)
        if weight is None or weight.dtype not in FP8 or not scale.floating:
            raise WeightsError(
                f"{scale.where} is the scale of a weight that another program quantized, and not "
                "to FP8, so it can't be read; get the model in 16 or 32 bits."
            )
        kept[target] = dataclasses.replace(weight, scale=_broadcastable(scale, weight))
    return kept


def _require_16_bits(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if tensor.dtype in FP8:
            raise WeightsError(
                f"{tensor.where} is in FP8 and has no scale, though the file is marked as one with "
                "scales; download it again, or get the model in 16 bits."
            )


def _broadcastable(scale: Tensor, weight: Tensor) -> np.ndarray:
    """The scale as float32: one number, or one per row, in the weight's number of axes."""
    rows = weight.shape[:1]
    if scale.shape not in ((), (1,), rows, (*rows, 1), (1, 1)):
        raise WeightsError(
            f"{scale.where} has the shape {scale.shape}, but a scale is one number or one per row; "
            "get the model in 16 bits."
        )
    values = np.array(scale.read().astype(mx.float32))
    if values.size == 1:
        return values.reshape(())
    return values.reshape(-1, *[1] * (len(weight.shape) - 1))
