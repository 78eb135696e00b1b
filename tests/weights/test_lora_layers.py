"""A LoRA in a network of no family."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlxvid.weights.lora_layers import apply_lora

from .lora_tensors import random


def test_a_family_without_an_original_release():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 3)]

    plain = Plain()
    before = np.array(plain.layers[0].weight)
    down = random(2, 4)
    up = random(3, 2)
    apply_lora(
        plain,
        {
            "transformer.layers.0.lora_A.weight": mx.array(down),
            "transformer.layers.0.lora_B.weight": mx.array(up),
        },
        1.0,
        "a LoRA",
    )
    assert np.allclose(np.array(plain.layers[0].weight), before + up @ down, atol=1e-6)
