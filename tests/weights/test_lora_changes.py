"""Products of LyCORIS, whose file has its own rules, and DoRA's lengths, beside NumPy's sums."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.weights.lora_layers import apply_lora

from .lora_tensors import arrays, random

OUT, WIDTH, RANK = 64, 128, 4
A = random(RANK, WIDTH)
B = random(OUT, RANK, seed=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, OUT)


def added(tensors: dict, scale: float = 1.0) -> np.ndarray:
    net = Net()
    before = np.array(net.layer.weight)
    named = {f"lycoris_layer.{part}": value for part, value in tensors.items()}
    apply_lora(net, arrays(named), scale, "a LoRA")
    return np.array(net.layer.weight) - before


def test_loha():
    c = random(RANK, WIDTH, seed=2)
    d = random(OUT, RANK, seed=3)
    tensors = {"hada_w1_a": B, "hada_w1_b": A, "hada_w2_a": d, "hada_w2_b": c}
    product = (B @ A) * (d @ c)
    assert np.allclose(added(tensors), product, atol=1e-4)
    assert np.allclose(added({**tensors, "alpha": np.float32(2)}, 0.5), product / 4, atol=1e-4)


def test_lokr():
    small = random(4, 8)
    left = random(16, RANK, seed=1)
    right = random(RANK, 16, seed=2)
    alpha = np.float32(2)
    half = {"lokr_w1": small, "lokr_w2_a": left, "lokr_w2_b": right, "alpha": alpha}
    expected = np.kron(small, left @ right)
    assert np.allclose(added(half), expected / 2, atol=1e-4)
    whole = {"lokr_w1": small, "lokr_w2": left @ right}
    # LyCORIS writes an alpha beside two whole matrices and leaves them as they are.
    assert np.allclose(added({**whole, "alpha": alpha}), expected, atol=1e-4)
    thin = {"lokr_w1_a": small[:, :2], "lokr_w1_b": small[:2], "lokr_w2": left @ right}
    expected = np.kron(small[:, :2] @ small[:2], left @ right)
    assert np.allclose(added({**thin, "alpha": alpha}), expected, atol=1e-4)


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_dora(axis, bits):
    """Lengths of rows, as all write them, and of columns, as LyCORIS can."""
    net = Net()
    if bits:
        nn.quantize(net, 64, bits)
        args = (net.layer.weight, net.layer.scales, net.layer.biases, 64, bits)
        before = np.array(mx.dequantize(*args))
    else:
        before = np.array(net.layer.weight)
    lengths = np.abs(random(OUT if axis else 1, 1 if axis else WIDTH, seed=5)) + 0.5
    tensors = {"lora_down.weight": A, "lora_up.weight": B, "alpha": np.float32(2)}
    named = {f"layer.{name}": value for name, value in {**tensors, "dora_scale": lengths}.items()}
    x = random(3, WIDTH, seed=6)
    plain = np.array(net.layer(mx.array(x)))
    apply_lora(net, arrays(named), 1.0, "a LoRA")
    merged = before + 0.5 * B @ A
    expected = merged * lengths / np.linalg.norm(merged, axis=axis, keepdims=True)
    assert np.allclose(
        np.array(net.layer(mx.array(x))) - plain, x @ (expected - before).T, atol=1e-3
    )


@pytest.mark.parametrize(
    "tensors",
    [
        {"hada_w1_a": B, "hada_w1_b": A, "hada_w2_a": B, "hada_w2_b": A[:, :5]},
        {"hada_w1_a": B, "hada_w1_b": A, "hada_w2_a": B[:, :2], "hada_w2_b": A},
        {"lokr_w1": random(3, 8), "lokr_w2": random(21, 16)},
        {"lokr_w1": random(4, 8), "lokr_w2": random(16, 17)},
        {"lokr_w1": random(4), "lokr_w2": random(16, 128)},
        {"lokr_w1": random(0, 8), "lokr_w2": random(16, 16)},
        {"lokr_w1": random(4, 8), "lokr_w2_a": random(16, 2), "lokr_w2_b": random(3, 16)},
        {"lora_down.weight": A, "lora_up.weight": B, "dora_scale": random(5, 1)},
        {"lora_down.weight": A, "lora_up.weight": B, "dora_scale": np.float32(1)},
    ],
)
def test_shapes_that_do_not_fit(tensors):
    with pytest.raises(WeightsError, match="does not fit"):
        added(tensors)


@pytest.mark.parametrize("missing", ["hada_w1_b", "hada_w2_a"])
def test_half_of_a_product(missing):
    tensors = {"hada_w1_a": B, "hada_w1_b": A, "hada_w2_a": B, "hada_w2_b": A}
    tensors.pop(missing)
    with pytest.raises(WeightsError, match="some are missing"):
        added(tensors)


@pytest.mark.parametrize("part", ["oft_blocks", "boft_R", "a1.weight", "on_input", "lokr_t2"])
def test_other_methods_are_named(part):
    with pytest.raises(WeightsError, match="a LoRA is made with .*use a LoRA, DoRA, LoHa or LoKr"):
        added({part: random(4, 4)})
