"""Seeded mistakes in the kernel and its launch, each of which the tests' cases must notice.

They notice by a fault of the emulator or by a wrong result.
"""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.kernels import Rotary, temporal_launch

from .mutants import is_noticed, launch_with, passes, replace_in_kernel
from .temporal_cases import Case, fused, tables, weights

pytestmark = pytest.mark.usefixtures("compiler")


def odd_slice() -> Case:
    parts = []
    for seed in range(3):
        flat = mx.random.normal((1 + 5 * 2 * 64,), key=mx.random.key(seed))
        parts.append(flat[1:].reshape(1, 5, 1, 2, 64))
    return Case(*parts)


def three_layouts() -> Case:
    q = mx.random.normal((1, 2, 7, 3, 64), key=mx.random.key(0)).transpose(0, 2, 3, 1, 4)
    k = mx.random.normal((1, 7, 3, 2, 67), key=mx.random.key(1))[..., 3:]
    v = mx.random.normal((1, 7, 3, 2, 128), key=mx.random.key(2))[..., ::2]
    return Case(q, k, v)


def strong_eps() -> Case:
    case = fused(1, 5, 1, 2, 72, mx.float32, "qk", "interleaved")
    case.eps = 0.7
    case.scale = 0.31
    return case


def strided_tables() -> Case:
    case = fused(1, 5, 1, 2, 72, mx.float32, "qk")
    cos, sin = tables(10, 72)
    case.rope = Rotary(cos[::2], sin[::2], "interleaved")
    case.q_norm = weights(144, 3)[::2]
    return case


CASES = {
    "short": lambda: fused(2, 5, 3, 2, 72, mx.float32, "qk", "interleaved"),
    "two rows a quad": lambda: fused(1, 13, 2, 1, 72, mx.float32, "", "half"),
    "staged": lambda: fused(1, 20, 2, 1, 64, mx.float32, "q", "half"),
    "staged, full": lambda: fused(1, 32, 1, 2, 64, mx.float32, "q", "half"),
    "streamed": lambda: fused(1, 41, 1, 1, 96),
    "odd slice": odd_slice,
    "three layouts": three_layouts,
    "strong eps": strong_eps,
    "strided tables": strided_tables,
}

# (the mistake, the text, its replacement, the case that must notice)
KERNEL = [
    ("wrong batch stride", "batch * q_strides[0]", "batch * q_strides[1]", "short"),
    ("wrong position stride", "position * k_strides[2]", "position * k_strides[3]", "short"),
    ("another array's stride", "head * v_strides[3]", "head * k_strides[3]", "three layouts"),
    (
        "channel stride forgotten",
        "deal::channel(j, lane) * step",
        "deal::channel(j, lane)",
        "three layouts",
    ),
    ("alignment assumed", "struct Chunk {", "struct alignas(W * sizeof(T)) Chunk {", "odd slice"),
    ("no barrier", "wait_for_rows<SIMDS>();", "", "staged"),
    ("no barrier within a SIMD-group", "wait_for_rows<SIMDS>();", "", "short"),
    ("barrier of a SIMD-group alone", "if (SIMDS > 1) {", "if (SIMDS > 9) {", "staged"),
    (
        "barrier without its flag",
        "threadgroup_barrier(mem_flags::mem_threadgroup)",
        "threadgroup_barrier(mem_flags::mem_none)",
        "staged",
    ),
    (
        "SIMD barrier without its flag",
        "simdgroup_barrier(mem_flags::mem_threadgroup)",
        "simdgroup_barrier(mem_flags::mem_none)",
        "short",
    ),
    (
        "one key too many",
        "if (first + n < frames) {",
        "if (first + n <= frames) {",
        "two rows a quad",
    ),
    (
        "the last block of keys left out",
        "first < frames;",
        "first < frames - 1;",
        "two rows a quad",
    ),
    (
        "one row too many read",
        "const bool real = row < frames;",
        "const bool real = row <= frames;",
        "short",
    ),
    ("one row too many written", "if (row < frames) {", "if (row <= frames) {", "short"),
    ("the last row not written", "if (row < frames) {", "if (row < frames - 1) {", "short"),
    ("sum not rescaled", "result[i][j] *= fade;", "", "two rows a quad"),
    ("total not rescaled", "total[i] *= fade;", "", "two rows a quad"),
    (
        "maximum of one key only",
        "top = max(top, weight[i][n]);",
        "top = weight[i][n];",
        "two rows a quad",
    ),
    ("natural exponent taken for base 2", "scale * M_LOG2E_F", "scale", "short"),
    ("eps left out", "/ float(D) + eps", "/ float(D)", "strong eps"),
    ("mean over one channel less", "/ float(D) + eps", "/ float(D - 1) + eps", "short"),
    ("norm over a lane's channels only", "quad_sum(squares)", "4.0f * squares", "short"),
    ("score of a lane's channels only", "quad_sum(score)", "score", "short"),
    ("q's weights for k", "(key, k_weight, eps, lane)", "(key, q_weight, eps, lane)", "short"),
    ("rotation backwards", "x[a] = xa * c - x[b] * s;", "x[a] = xa * c + x[b] * s;", "short"),
    (
        "key rotated into a mirror image",
        "y[b] = ya * s + y[b] * c;",
        "y[b] = ya * s - y[b] * c;",
        "short",
    ),
    ("another pair's angle", "deal::channel(a, lane) / 2", "deal::channel(a, lane) / 4", "short"),
    ("angles of the first frame", "cos_table + row * (D / 2)", "cos_table", "short"),
    ("the left-over dealt as whole chunks", "lane * (r < ROUNDS ? W : REST)", "lane * W", "short"),
    ("weights of the wrong channels", "+ i - r * W;", "+ i;", "short"),
    ("eight lanes a quad", "% 32 / 4;", "% 32 / 8;", "short"),
    (
        "positions and heads confused",
        "tube / heads % positions",
        "tube / positions % positions",
        "short",
    ),
    (
        "tubes over each other",
        "thread_position_in_threadgroup.y * (ROWS * D)",
        "thread_position_in_threadgroup.y * D",
        "short",
    ),
    (
        "SIMD-groups' rows over each other",
        "(group * R + i) * 8 + quad;\n    const",
        "(group + i) * 8 + quad;\n    const",
        "staged",
    ),
    (
        "values over the last key",
        "staged + TUBES * ROWS * D;",
        "staged + (TUBES * ROWS - 1) * D;",
        "staged, full",
    ),
    ("no room for values", "(TUBES + (STAGE_V ? 1 : 0)) * ROWS", "TUBES * ROWS", "staged"),
    (
        "output's frames and positions confused",
        "* frames + row) * positions + position",
        "* positions + position) * frames + row",
        "short",
    ),
    ("output not divided", "1.0f / total[i]", "1.0f", "short"),
]

LAUNCH = [
    ("one tube short", "B * S * H, 1)", "B * S * H - 1, 1)", "short"),
    ("one tube too many", "B * S * H, 1)", "B * S * H + 1, 1)", "short"),
    ("one SIMD-group a tube in the grid", "grid=(32 * plan.simds", "grid=(32", "staged"),
    ("one SIMD-group a threadgroup", "threadgroup=(32 * plan.simds", "threadgroup=(32", "staged"),
    ("more tubes than there is room for", "plan.tubes, 1)", "plan.tubes + 1, 1)", "short"),
    (
        "rows rounded down",
        "simds = -(-T // (8 * rows_a_quad))",
        "simds = T // (8 * rows_a_quad)",
        "staged",
    ),
    (
        "values staged where they don't fit",
        "2 * key_bytes <= THREADGROUP_MEMORY",
        "True",
        "streamed",
    ),
    (
        "the other pairing",
        '1 if rope.pairing == "interleaved" else 2',
        '2 if rope.pairing == "interleaved" else 1',
        "short",
    ),
    (
        "k's norm where q has one",
        '("NORM_K", k_norm is not None)',
        '("NORM_K", q_norm is not None)',
        "staged",
    ),
    ("scale ignored", "mx.array(scale, mx.float32)", "mx.array(D**-0.5, mx.float32)", "strong eps"),
    (
        "tables not made contiguous",
        "mx.contiguous(rope.cos.astype(mx.float32))",
        "rope.cos.astype(mx.float32)",
        "strided tables",
    ),
    ("weights not made contiguous", "mx.contiguous(q_norm)", "q_norm", "strided tables"),
]


@pytest.mark.parametrize("case", CASES)
def test_the_real_kernel_passes_every_case(case):
    passes(CASES[case](), temporal_launch.launch)


@pytest.mark.parametrize("name, old, new, case", KERNEL, ids=[m[0] for m in KERNEL])
def test_kernel_mutant_is_killed(name, old, new, case, monkeypatch):
    replace_in_kernel(monkeypatch, temporal_launch, old, new)
    is_noticed(CASES[case](), temporal_launch.launch)


@pytest.mark.parametrize("name, old, new, case", LAUNCH, ids=[m[0] for m in LAUNCH])
def test_launch_mutant_is_killed(name, old, new, case):
    is_noticed(CASES[case](), launch_with(temporal_launch, old, new))
