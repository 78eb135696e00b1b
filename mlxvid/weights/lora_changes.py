"""What the tensors of a LoRA add to a layer: LoRA and DoRA, LoHa, LoKr, and differences in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import mlx.core as mx

Given = Mapping[str, mx.array]
"""The tensors of one layer's change by their part (see :mod:`.lora_keys`), in float32."""

# The parts of a product; one of the sets is there, or none.
PRODUCTS = (
    {"down", "up"},
    {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
    {"lokr_w1", "lokr_w2"},
    {"lokr_w1", "lokr_w2_a", "lokr_w2_b"},
    {"lokr_w1_a", "lokr_w1_b", "lokr_w2"},
    {"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"},
)
# What changes a product, and is nothing without one.
OF_A_PRODUCT = frozenset({"alpha", "scaling", "up_b", "magnitude"})
# What there can be besides.
APART = frozenset({"diff", "diff_b"})
# A row of zeros has no direction.
SMALLEST_NORM = 1e-12


class Change(NamedTuple):
    """What a LoRA adds at one place, in float32.

    To its weight the product of `factors` (down, up) and a `full` difference; to its bias.
    """

    factors: tuple[mx.array, mx.array] | None
    full: mx.array | None
    bias: mx.array | None

    def added_to(self, weight: mx.array) -> mx.array:
        """The weight with the change in it, summed in float32, in its own type."""
        total = weight
        if self.factors is not None:
            down, up = self.factors
            total = mx.addmm(total, up, down)
        if self.full is not None:
            total = total + self.full
        return total.astype(weight.dtype)

    def rows(self, start: int, stop: int) -> Change:
        """The change of some of the layer's outputs: of one of several layers in one."""
        factors = self.factors
        full = self.full
        bias = self.bias
        return Change(
            factors=None if factors is None else (factors[0], factors[1][start:stop]),
            full=None if full is None else full[start:stop],
            bias=None if bias is None else bias[start:stop],
        )


def is_whole(parts: set[str]) -> bool:
    """Whether parts are those of a change, with none missing or beside another method's."""
    product = parts - OF_A_PRODUCT - APART
    if product in PRODUCTS:
        return "up_b" not in parts or "up" in parts
    return not product and bool(parts) and parts <= APART


def change(given: Given, weight: mx.array, scale: float) -> Change:
    """What a layer's tensors add to it, times `scale`; `weight` is what it has, [out, in]."""
    strength = scale * _strength(given)
    factors = None
    full = None
    if "down" in given:
        factors = given["down"], given["up"] * strength
    elif "hada_w1_a" in given:
        # Hadamard's product of two low-rank matrices (FedPara, arXiv:2108.06098).
        first = given["hada_w1_a"] @ given["hada_w1_b"]
        full = first * (given["hada_w2_a"] @ given["hada_w2_b"]) * strength
    elif {"lokr_w1", "lokr_w1_a"} & given.keys():
        full = mx.kron(_matrix(given, "lokr_w1"), _matrix(given, "lokr_w2")) * strength
    if "magnitude" in given:
        full = _decomposed(given, weight, scale)
        factors = None
    if "diff" in given:
        in_full = given["diff"] * scale
        full = in_full if full is None else full + in_full
    bias = None
    if "diff_b" in given:
        bias = given["diff_b"] * scale
    if "up_b" in given:
        of_up = given["up_b"] * strength
        bias = of_up if bias is None else bias + of_up
    return Change(factors, full, bias)


def shapes(given: Given, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape that each part has to have for a layer's weight, [out, in]."""
    out = weight[:1]
    rank = _rank(given) or 1
    low = {"down": (rank, weight[-1]), "up": (*out, rank)}
    low |= {f"hada_w{n}_a": (*out, _width(given, f"hada_w{n}_b")) for n in (1, 2)}
    low |= {f"hada_w{n}_b": (_width(given, f"hada_w{n}_b"), weight[-1]) for n in (1, 2)}
    return {
        **low,
        **_kronecker_shapes(given, weight),
        "alpha": (1,),
        "scaling": (1,),
        "diff": weight,
        "diff_b": out,
        "up_b": out,
        "magnitude": _magnitude_shape(given, weight),
    }


def _strength(given: Given) -> float | mx.array:
    """Alpha over rank, or what stands in its place; 1 where nothing is said."""
    rank = _rank(given)
    if "alpha" in given:
        # LyCORIS leaves a product of two whole matrices as it is, whatever its alpha.
        return given["alpha"] / rank if rank else 1.0
    return given.get("scaling", 1.0)


def _rank(given: Given) -> int:
    """The rank of a product, at least 1; 0 for matrices that are no product."""
    for part in ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if part in given:
            return max(1, _width(given, part))
    return 0


def _width(given: Given, part: str) -> int:
    """The length of a part's first axis, 1 for one that has none."""
    array = given.get(part)
    return array.shape[0] if array is not None and array.ndim else 1


def _matrix(given: Given, name: str) -> mx.array:
    """One of the two matrices of Kronecker's product, which may itself be a product."""
    whole = given.get(name)
    return given[f"{name}_a"] @ given[f"{name}_b"] if whole is None else whole


def _kronecker_shapes(given: Given, weight: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of LoKr's parts: the second matrix makes up what the first one lacks."""
    last = given.get("lokr_w1_b", given.get("lokr_w1"))
    rows = _width(given, "lokr_w1_a" if "lokr_w1_a" in given else "lokr_w1")
    columns = last.shape[-1] if last is not None and last.ndim == 2 else 1
    inner = _quotient(weight[0], rows), _quotient(weight[-1], columns)
    expected: dict[str, tuple[int, ...]] = {}
    for name, sides in (("lokr_w1", (rows, columns)), ("lokr_w2", inner)):
        rank = _width(given, f"{name}_b")
        expected |= {name: sides, f"{name}_a": (sides[0], rank), f"{name}_b": (rank, sides[1])}
    return expected


def _quotient(length: int, divisor: int) -> int:
    """What times `divisor` is `length`; -1, which no side has, for none."""
    whole, rest = divmod(length, divisor) if divisor else (0, 1)
    return -1 if rest else whole


def _decomposed(given: Given, weight: mx.array, scale: float) -> mx.array:
    """The difference that DoRA makes (arXiv:2402.09353): the sum's directions at given lengths.

    Between no LoRA and a whole one, `scale` blends the two weights.
    """
    before = weight.astype(mx.float32)
    undecomposed = {part: array for part, array in given.items() if part in _PRODUCT_PARTS}
    merged = change(undecomposed, weight, 1.0).added_to(before)
    magnitude = given["magnitude"]
    axis = 0 if magnitude.ndim == 2 and magnitude.shape[0] == 1 else 1
    norm = mx.maximum(mx.linalg.norm(merged, axis=axis, keepdims=True), SMALLEST_NORM)
    length = magnitude if axis == 0 else magnitude.reshape(-1, 1)
    return (merged * (length / norm) - before) * scale


_PRODUCT_PARTS = frozenset({"alpha", "scaling"}).union(*PRODUCTS)


def _magnitude_shape(given: Given, weight: tuple[int, ...]) -> tuple[int, ...]:
    """That of lengths of the rows, in one axis or more, or of the columns."""
    rows = weight[0]
    shape = given["magnitude"].shape if "magnitude" in given else ()
    fitting = ((rows,), (rows, *[1] * (len(shape) - 1)), (1, weight[-1]))
    return shape if shape in fitting else (rows,)
