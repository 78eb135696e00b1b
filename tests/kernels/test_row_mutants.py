"""Seeded mistakes in the kernels over rows of channels and their launches, which the cases must
notice: by a fault of the emulator, or by a wrong result.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from mlxvid.kernels import gelu, modulation, norm_rotary

from . import row_cases
from .mutants import is_noticed, launch_with, passes, replace_in_kernel

pytestmark = pytest.mark.usefixtures("compiler")

CASES: dict[str, Callable[[], Any]] = {
    "frames": lambda: row_cases.modulation(
        (2, 3, 2, 260), (1, 3, 1, 260), added="gated change", eps=0.5
    ),
    "alone": lambda: row_cases.modulation((2, 3, 132), (2, 1, 132), eps=0.5),
    "root mean square": lambda: row_cases.modulation((2, 3, 132), (132,), centred=False, offset=0),
    "row": lambda: row_cases.heads((2, 3, 9, 72), "row"),
    "own": lambda: row_cases.heads((2, 3, 3, 16), "row", own=True),
    "halves": lambda: row_cases.heads((2, 3, 3, 64), "heads", pairing="half"),
    "layer": lambda: row_cases.heads((2, 3, 2, 72), "layer"),
    "front": lambda: row_cases.modulation((2, 5, 132), (2, 2, 132), added="gated change", front=2),
    "more": lambda: row_cases.heads((2, 3, 2, 64), "heads", more=2),
    "no shift": lambda: row_cases.modulation((2, 3, 132), (132,), shifted=False),
    "joined": lambda: row_cases.joined((2, 3), 12, 24),
}

# (the mistake, the text, its replacement, the case that must notice)
MODULATION = [
    ("another row's vector", "row / rows % (", "row % (", "frames"),
    ("vectors not repeated", "row / rows % (vectors / KINDS)", "row / rows", "frames"),
    ("the front of the array alone", "row % rows < front", "row < front", "front"),
    ("a front of one row more", "row % rows < front", "row % rows <= front", "front"),
    ("the first item's pair for all", "% (vectors / KINDS) * KINDS", "* 0", "front"),
    ("the front's vectors for the others", "front ? 1 : 0", "front ? 0 : 1", "front"),
    ("gate of another channel", "gate[vector + first + w]", "gate[vector + first]", "frames"),
    ("gate left out", "GATED ? float", "!GATED ? float", "frames"),
    ("sum not kept for the norm", "value[r][w] = float(changed);", "", "frames"),
    (
        "channels past the end read",
        "if (first < C) {\n        value",
        "if (true) {\n value",
        "alone",
    ),
    ("channels past the end counted", "* W < C", "* W < C + W", "alone"),
    ("mean of half the SIMD-groups", "s < SIMDS;", "s < SIMDS / 2;", "frames"),
    ("no barrier", "threadgroup_barrier(mem_flags::mem_threadgroup);", "", "frames"),
    ("sums over each other", "sums + SIMDS, group", "sums, group", "frames"),
    ("room for one sum", "sums[2 * SIMDS]", "sums[SIMDS]", "frames"),
    ("not centred", "if (CENTRED)", "if (!CENTRED)", "alone"),
    ("eps left out", "/ float(C) + eps", "/ float(C)", "alone"),
    ("scale without its one", "float(OFFSET) + ", "", "alone"),
    ("shift of another channel", "shift[vector + first + w]", "shift[first + w]", "alone"),
]
NORM_ROTARY = [
    ("batches over each other", "tokens * strides[0] + token", "1 * strides[0] + token", "row"),
    ("angles of another token", "long(token) * ANGLES", "long(row) * ANGLES", "row"),
    ("angles of the first head", "OWN ? head * PAIRS : 0", "0", "own"),
    ("weights of the first head", "NORM == 2 ? head * D : 0", "0", "row"),
    ("mean over one head's channels", "all / float(H)", "all", "row"),
    ("a SIMD-group's sum alone", "all = sum_of_all<SIMDS>(all, sums, group, lane);", "", "row"),
    (
        "heads past the end read",
        "head < H && pair < PAIRS) {\n        const device",
        "true) {\n const device",
        "row",
    ),
    (
        "heads past the end written",
        "head < H && pair < PAIRS) {\n        const int",
        "true) {\n const int",
        "row",
    ),
    ("last heads left out", "(H + SIMDS - 1) / SIMDS", "H / SIMDS", "row"),
    ("last pairs left out", "(PAIRS + 31) / 32", "PAIRS / 32", "layer"),
    ("pairs past the end counted", "if (lane + 32 * r < PAIRS)", "if (true)", "layer"),
    ("mean left out", "mean = simd_sum(sum) / float(D);", "", "layer"),
    ("bias left out", "u += float(bias[first]);", "", "layer"),
    ("rotation backwards", "T(u * c - v * s)", "T(u * c + v * s)", "halves"),
    ("the other pairing", "HALF ? pair + PAIRS : 2 * pair + 1;", "2 * pair + 1;", "halves"),
    ("heads' stride taken for the tokens'", "head * strides[2]", "head * strides[1]", "halves"),
]
MORE = [
    ("later tokens from the first ones", "later ? more : x", "x", "more"),
    ("strides of the first tokens", "later ? more_strides : x_strides", "x_strides", "more"),
    ("weights of the first tokens", "later ? more_weight : weight", "weight", "more"),
    ("later tokens counted on", "later ? token - x_shape[1] : token", "token", "more"),
    ("later tokens one too early", "token >= x_shape[1]", "token > x_shape[1]", "more"),
]
JOINED = [
    ("the first channels of GELU too", "if (first < A)", "if (first < A - W)", "joined"),
    ("inner channels not from their first", "first - A + w", "first + w", "joined"),
    ("rows of the input", "row * B + first", "row * A + first", "joined"),
    ("no cube", "0.044715f * u * u * u", "0.044715f * u * u", "joined"),
]
KERNELS = [*MODULATION, *NORM_ROTARY, *MORE, *JOINED]
LAUNCH = [
    (modulation, "one row short", "x.size // channels, 1)", "x.size // channels - 1, 1)", "alone"),
    (modulation, "one vector for all", "math.prod(scale.shape[:-1])", "1", "frames"),
    (
        modulation,
        "rows of the first axis",
        "repeats(x.shape, scale.shape, front)\n",
        "1\n",
        "alone",
    ),
    (modulation, "a shift where none is", "shift is not None", "True", "no shift"),
    (modulation, "the gate forgotten", "gate is not None", "gate is None", "frames"),
    (norm_rotary, "one token short", "b * n, 1)", "b * n - 1, 1)", "row"),
    (norm_rotary, "a norm of each head", "weight.size == channels else 2", "True else 2", "row"),
    (norm_rotary, "angles shared", "2 * cos.shape[-1] > channels", "False", "own"),
    (norm_rotary, "the other pairing", '== "half"', '!= "half"', "halves"),
    (norm_rotary, "the first tokens alone", "n += tokens.shape[1]", "n += 0", "more"),
    (modulation, "one vector a row", "2 if front else 1", "1", "front"),
    (gelu, "rows of the inner channels", "x.size // a, 1)", "x.size // b, 1)", "joined"),
    (gelu, "the last chunk left out", "grid=(chunks,", "grid=(chunks - 1,", "joined"),
]


MODULES = {
    row_cases.Modulation: modulation,
    row_cases.Heads: norm_rotary,
    row_cases.Joined: gelu,
}
# What is asked for of a module's sources: whether something is added, or more tokens come after.
BUILDS = {modulation: [False], norm_rotary: [True], gelu: []}


def module_of(case: Any) -> types.ModuleType:
    return MODULES[type(case)]


@pytest.mark.parametrize("case", CASES)
def test_the_real_kernels_pass_every_case(case):
    made = CASES[case]()
    passes(made, module_of(made).launch)


@pytest.mark.parametrize("name, old, new, case", KERNELS, ids=[mutant[0] for mutant in KERNELS])
def test_kernel_mutant_is_killed(name, old, new, case, monkeypatch):
    made = CASES[case]()
    module = module_of(made)
    replace_in_kernel(monkeypatch, module, old, new, *BUILDS[module])
    is_noticed(made, module.launch)


@pytest.mark.parametrize("module, name, old, new, case", LAUNCH, ids=[m[1] for m in LAUNCH])
def test_launch_mutant_is_killed(module, name, old, new, case):
    is_noticed(CASES[case](), launch_with(module, old, new))
