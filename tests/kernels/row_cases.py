"""Inputs for the kernels over rows of channels, and what float64 makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary

from .temporal_cases import TOLERANCE, as_numpy, tables


def drawn(*shape: int, seed: int, dtype: mx.Dtype = mx.float32, mean: float = 0.0) -> mx.array:
    return (mx.random.normal(shape, key=mx.random.key(seed)) + mean).astype(dtype)


def check(out: mx.array, expected: np.ndarray, dtype: mx.Dtype) -> None:
    """That an answer has the type, and float64's values within a few roundings."""
    assert out.shape == expected.shape and out.dtype == dtype
    error = np.abs(as_numpy(out) - expected).max() / np.abs(expected).max()
    assert error <= TOLERANCE[dtype], f"error {error:.2e} of the reference's maximum"


@dataclass
class Modulation:
    """The arguments of the modulation's kernel."""

    x: mx.array
    change: mx.array | None
    gate: mx.array | None
    shift: mx.array | None
    scale: mx.array
    eps: float = 1e-5
    centred: bool = True
    offset: int = 1
    front: int = 0

    def arguments(self) -> tuple:
        return (
            self.x,
            self.change,
            self.gate,
            self.shift,
            self.scale,
            self.eps,
            self.centred,
            self.offset,
            self.front,
        )

    def of_rows(self, vectors: mx.array) -> np.ndarray:
        """The vectors as they are, or of two for each item one for each row."""
        if not self.front:
            return as_numpy(vectors)
        is_front = np.arange(self.x.shape[1]) < self.front
        return as_numpy(vectors)[:, is_front.astype(int)]

    def check(self, outs: list[mx.array]) -> None:
        total = as_numpy(self.x).astype(np.float64)
        if self.change is not None:
            gate = 1.0 if self.gate is None else self.of_rows(self.gate)
            total = total + as_numpy(self.change) * gate
            check(outs[0], total, self.x.dtype)
            total = as_numpy(outs[0]).astype(np.float64)  # it is rounded before the norm
        mean = total.mean(-1, keepdims=True) if self.centred else 0.0
        variance = ((total - mean) ** 2).mean(-1, keepdims=True)
        normed = (total - mean) / np.sqrt(variance + self.eps)
        expected = normed * (self.offset + self.of_rows(self.scale))
        if self.shift is not None:
            expected = expected + self.of_rows(self.shift)
        check(outs[-1], expected, self.x.dtype)


def modulation(
    shape: tuple[int, ...],
    vectors: tuple[int, ...],
    dtype: mx.Dtype = mx.float32,
    added: str = "",
    vector_dtype: mx.Dtype = mx.float32,
    shifted: bool = True,
    **options,
) -> Modulation:
    """added: "change" or "gated change"."""
    return Modulation(
        drawn(*shape, seed=0, dtype=dtype, mean=0.7),
        drawn(*shape, seed=1, dtype=dtype) if added else None,
        drawn(*vectors, seed=2, dtype=vector_dtype) if "gated" in added else None,
        drawn(*vectors, seed=3, dtype=vector_dtype) if shifted else None,
        drawn(*vectors, seed=4, dtype=vector_dtype),
        **options,
    )


@dataclass
class Heads:
    """The arguments of the norm's and rotation's kernel."""

    x: mx.array
    weight: mx.array
    bias: mx.array | None
    rope: Rotary
    eps: float = 1e-5
    more: tuple[mx.array, mx.array] | None = None

    def arguments(self) -> tuple:
        return self.x, self.weight, self.bias, self.rope, self.eps, self.more

    def normed(self, tokens: mx.array, weights: mx.array) -> np.ndarray:
        x = as_numpy(tokens).astype(np.float64)
        channels = x.shape[-1]
        weight = as_numpy(weights)
        axes = (3,) if weight.size == channels else (2, 3)
        mean = 0.0 if self.bias is None else x.mean(axes, keepdims=True)
        variance = ((x - mean) ** 2).mean(axes, keepdims=True)
        normed = (x - mean) / np.sqrt(variance + self.eps) * weight.reshape(-1, channels)
        return normed if self.bias is None else normed + as_numpy(self.bias)

    def check(self, out: mx.array) -> None:
        normed = self.normed(self.x, self.weight)
        if self.more is not None:
            normed = np.concatenate([normed, self.normed(*self.more)], axis=1)
        _, n, _, channels = normed.shape
        cos, sin = (as_numpy(t).reshape(n, -1, channels // 2) for t in self.rope[:2])
        if self.rope.pairing == "interleaved":
            first = normed[..., ::2]
            second = normed[..., 1::2]
        else:
            first, second = np.split(normed, 2, axis=-1)
        turned = first * cos - second * sin, first * sin + second * cos
        if self.rope.pairing == "interleaved":
            expected = np.stack(turned, axis=-1).reshape(normed.shape)
        else:
            expected = np.concatenate(turned, axis=-1)
        check(out, expected, self.x.dtype)


def heads(
    shape: tuple[int, int, int, int],
    norm: str,
    dtype: mx.Dtype = mx.float32,
    pairing: str = "interleaved",
    own: bool = False,
    more: int = 0,
) -> Heads:
    """norm: "heads" or "row" for the RMS norm of each or over all, "layer" for a layer norm.

    own: whether each head has angles of its own. more: tokens that come after, as every other one
    of an array.
    """
    b, n, count, channels = shape
    wide = count * channels
    size = wide if norm == "row" else channels
    later = drawn(b, 2 * more, count, channels, seed=5, dtype=dtype, mean=0.3)[:, ::2]
    later_weight = drawn(size, seed=6, dtype=dtype, mean=1.0)
    return Heads(
        drawn(*shape, seed=0, dtype=dtype, mean=0.3),
        drawn(size, seed=1, dtype=dtype, mean=1.0),
        drawn(channels, seed=2, dtype=dtype) if norm == "layer" else None,
        Rotary(*tables(n + more, wide if own else channels), pairing),
        more=(later, later_weight) if more else None,
    )


@dataclass
class Joined:
    """The arguments of the kernel that writes GELU beside other channels."""

    x: mx.array
    inner: mx.array

    def arguments(self) -> tuple:
        return self.x, self.inner

    def check(self, out: mx.array) -> None:
        u = as_numpy(self.inner).astype(np.float64)
        gelu = u / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))
        check(out, np.concatenate([as_numpy(self.x), gelu], axis=-1), self.x.dtype)


def joined(rows: tuple[int, ...], a: int, b: int, dtype: mx.Dtype = mx.float32) -> Joined:
    return Joined(drawn(*rows, a, seed=0, dtype=dtype), drawn(*rows, b, seed=1, dtype=dtype))
