"""FP8 checkpoints keep a scale beside each weight: here the two come together, and what only an FP8
runtime needs is left out.
"""

from __future__ import annotations

import dataclasses

import mlx.core as mx
import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.weights.fp8 import FP8
from mlxvid.weights.tensors import Tensor

# The ends of names in ComfyUI's files, older and newer; the weight itself ends in ".weight".
SCALES = (".scale_weight", ".weight_scale")
# Scales of activations, notes on the format, and the empty tensor that marks a scaled file.
UNUSED = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")


def scaled(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every FP8 weight's scale in it. Raises :class:`WeightsError` for a scale
    that fits no FP8 weight.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(UNUSED)}
    for name in [name for name in kept if name.endswith(SCALES)]:
        scale, target = kept.pop(name), name.rpartition(".")[0] + ".weight"
        weight = kept.get(target)
        if weight is None or weight.dtype not in FP8 or not scale.floating:
            raise WeightsError(
                f"{scale.where} scales no FP8 weight, so it can't be read; get the model in 16 or 32 bits."
            )
        kept[target] = dataclasses.replace(weight, scale=_shaped(scale, weight))
    return kept


def _shaped(scale: Tensor, weight: Tensor) -> np.ndarray:
    """One number, or one for each of the weight's rows; float32."""
    rows = weight.shape[:1]
    if scale.shape not in ((), (1,), rows, (*rows, 1), (1, 1)):
        raise WeightsError(
            f"{scale.where} has the shape {scale.shape}, and scales are one number or one a row; get the model in 16 bits."
        )
    values = np.array(scale.read().astype(mx.float32))
    return (
        values.reshape(())
        if values.size == 1
        else values.reshape(-1, *[1] * (len(weight.shape) - 1))
    )
