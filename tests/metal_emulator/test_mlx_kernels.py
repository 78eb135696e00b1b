"""MLX's own kernels run through the emulator and agree with float64: the emulator's proof on code
that it was not written for.

softmax, logsumexp, sdpa_vector and steel attention lie in every MLX wheel; rms_norm, layer_norm and
rope only in MLX's sources, and run where MLXVID_MLX_KERNELS names an MLX checkout's
mlx/backend/metal/kernels.
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from . import Fault, Input, Output, Value, build_kernel, constant, launch
from .mlx_kernels import CHECKOUT, INSTALLED, include_folder
from .signature import TYPES

pytestmark = pytest.mark.skipif(
    not (INSTALLED / "softmax.h").exists(), reason="this MLX wheel carries no kernel headers"
)
sources = pytest.mark.skipif(
    CHECKOUT is None,
    reason="MLXVID_MLX_KERNELS doesn't name an MLX checkout's kernels; rms_norm, layer_norm and rope are in no wheel",
)

DTYPES = pytest.mark.parametrize(
    "dtype", [mx.float32, mx.float16, mx.bfloat16], ids=["float32", "float16", "bfloat16"]
)
TOLERANCE = {mx.float32: 2e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3}
GROUP, LANE, SIMD = "emu_position(2).x", "emu_position(7).z", "emu_position(7).y"


def run(
    headers,
    kernel,
    arguments,
    positions,
    grid,
    threadgroup,
    constants=None,
    watched=True,
    source: Path = INSTALLED,
    order=0,
):
    """Calls an instance of an MLX kernel with these arguments, then these positions; a Value is a
    reference unless named "pointer".
    """
    special = (
        "template <> struct emu_function_constant<{}> {{ static constexpr int value = {}; }};\n"
    )
    text = "".join(special.format(*item) for item in (constants or {}).items())
    text += "".join(
        f'#include "mlx/backend/metal/kernels/{name}"\n' for name in ["utils.h", *headers]
    )
    actual = [
        f"emu_reference{{a[{i}]}}"
        if isinstance(a, Value) and a.name != "pointer"
        else f"emu_pointer{{a[{i}]}}"
        for i, a in enumerate(arguments)
    ]
    library = build_kernel(
        text, f"{kernel}({', '.join([*actual, *positions])});", watched, [include_folder(source)]
    )
    outputs, report = launch(library, arguments, grid, threadgroup, watched=watched, order=order)
    return [np.array(x.astype(mx.float32)) for x in outputs], report


def random(shape, dtype, seed=0, scale=1.0):
    x = (mx.random.normal(shape, key=mx.random.key(seed)) * scale).astype(dtype)
    return x, np.array(x.astype(mx.float32)).astype(np.float64)


def close(out, expected, dtype):
    assert np.abs(out - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


@DTYPES
@pytest.mark.parametrize("size", [37, 512])
def test_softmax(dtype, size):
    x, wide = random((3, size), dtype, scale=3)
    threads = -(-size // 128) * 32
    (out,), report = run(
        *(["softmax.h"], f"softmax_single_row<{TYPES[dtype]}, float>"),
        *(
            [Input("in", x), Output("out", (3, size), dtype), constant(size)],
            [GROUP, "emu_position(1).x", LANE, SIMD],
        ),
        *((3 * threads, 1, 1), (threads, 1, 1)),
    )
    exponentials = np.exp(wide - wide.max(-1, keepdims=True))
    close(out, exponentials / exponentials.sum(-1, keepdims=True), dtype)
    assert report.traffic["in"].asked == report.traffic["out"].written == x.nbytes


@DTYPES
def test_logsumexp(dtype):
    x, wide = random((5, 200), dtype, scale=3)
    (out,), _ = run(
        *(["logsumexp.h"], f"logsumexp<{TYPES[dtype]}, float>"),
        *(
            [Input("in", x), Output("out", (5,), dtype), constant(200)],
            [GROUP, "emu_position(1).x", LANE, SIMD],
        ),
        *((5 * 64, 1, 1), (64, 1, 1)),
    )
    close(out, np.log(np.exp(wide).sum(-1)), dtype)


def attention(q, k, v, scale, causal=False):
    """Float64 attention on [H, L, D]."""
    scores = np.einsum("hqd,hkd->hqk", q, k) * scale
    if causal:
        scores[
            :, np.triu(np.ones(scores.shape[1:], bool), scores.shape[2] - scores.shape[1] + 1)
        ] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hqk,hkd->hqd", weights / weights.sum(-1, keepdims=True), v)


@DTYPES
def test_sdpa_vector(dtype):
    H, L, N, D = 2, 2, 45, 64
    (q, qw), (k, kw), (v, vw) = (random((H, n, D), dtype, seed) for seed, n in enumerate([L, N, N]))
    size = [constant(n, kind=ctypes.c_uint64) for n in (N * D, D, N * D, D)]
    unused = (
        [Value(b"\0" * 8, "pointer")] * 2
        + [constant(0)] * 3
        + [Value(b"\0" * 8, "pointer"), constant(0)]
    )
    arguments = [Input("q", q), Input("k", k), Input("v", v), Output("out", (H, L, D), dtype)]
    arguments += [constant(1), constant(N), *size, constant(D**-0.5, kind=ctypes.c_float), *unused]
    (out,), _ = run(
        *(["sdpa_vector.h"], f"sdpa_vector<{TYPES[dtype]}, {D}>", arguments),
        *(["emu_attribute3(2)", "emu_attribute3(3)", SIMD, LANE], (H * 1024, L, 1), (1024, 1, 1)),
        constants={22: 1},
    )
    close(out, attention(qw, kw, vw, D**-0.5, causal=True), dtype)


def steel_attention(dtype, L, N, D, watched=True, order=0):
    """MLX's matrix-unit attention on two heads: 8 x 8 matrices, staging loaders, four SIMD-groups a
    threadgroup.
    """
    H, BQ, BK = 2, 32, 32 if D < 128 else 16
    (q, qw), (k, kw), (v, vw) = (random((H, n, D), dtype, seed) for seed, n in enumerate([L, N, N]))
    numbers = [
        1,
        H,
        D,
        L,
        N,
        1,
        D**-0.5,
        -(-L // BQ),
        -(-N // BK),
        L // BQ,
        N // BK,
        L % BQ,
        N % BK,
        N - L,
    ]
    strides = [n for length in (L, N, N, L) for n in (H * length * D, length * D, D)]
    parameters = Value(struct.pack("6if7i12q", *numbers, *strides), "pointer")
    unused = [Value(b"\0" * 8, "pointer")] * 4
    (out,), report = run(
        *(
            ["steel/attn/kernels/steel_attention.h"],
            f"attention<{TYPES[dtype]}, {BQ}, {BK}, {D}, {D}, 4, 1, float, float>",
        ),
        [
            Input("q", q),
            Input("k", k),
            Input("v", v),
            Output("out", (H, L, D), dtype),
            parameters,
            *unused,
        ],
        [LANE, SIMD, "emu_attribute3(2)", "emu_attribute3(1)"],
        *((32 * -(-L // BQ), 4 * H, 1), (32, 4, 1)),
        constants={200: int(L % BQ == 0), 201: int(N % BK == 0)},
        watched=watched,
        order=order,
    )
    close(out, attention(qw, kw, vw, D**-0.5), dtype)
    return out, report


@DTYPES
def test_steel_attention(dtype):
    steel_attention(dtype, 33, 40, 64)


def test_orders_agree_on_steel_attention():
    outs = [steel_attention(mx.float16, 33, 40, 64, order=order)[0] for order in (0, 1, 5)]
    assert np.array_equal(outs[0], outs[1]) and np.array_equal(outs[0], outs[2])


def test_a_launch_that_is_too_small_is_caught_in_mlx_kernels_too():
    x, _ = random((3, 128), mx.float32)
    with pytest.raises(Fault, match="unwritten output"):
        run(
            *(["softmax.h"], "softmax_single_row<float, float>"),
            *(
                [Input("in", x), Output("out", (3, 128), mx.float32), constant(128)],
                [GROUP, "emu_position(1).x", LANE, SIMD],
            ),
            *((2 * 32, 1, 1), (32, 1, 1)),
        )


@sources
@DTYPES
def test_rms_norm(dtype):
    (x, xw), (w, ww) = random((3, 200), dtype), random((200,), dtype, 1)
    (out,), _ = run(
        *(["rms_norm.metal"], f"rms_single_row<{TYPES[dtype]}>"),
        [
            Input("x", x),
            Input("w", w),
            Output("out", (3, 200), dtype),
            constant(1e-5, kind=ctypes.c_float),
            constant(200),
            constant(1),
        ],
        [GROUP, "emu_position(1).x", LANE, SIMD],
        *((3 * 64, 1, 1), (64, 1, 1)),
        source=Path(CHECKOUT),
    )
    close(out, xw / np.sqrt((xw**2).mean(-1, keepdims=True) + 1e-5) * ww, dtype)


@sources
@DTYPES
def test_layer_norm(dtype):
    """250 channels, 8 a lane: with a lane wholly past the row's end (200 channels, say), MLX's
    kernel indexes its private array from below zero, which the emulator reports."""
    (x, xw), (w, ww), (b, bw) = (
        random((3, 250), dtype),
        random((250,), dtype, 1),
        random((250,), dtype, 2),
    )
    (out,), _ = run(
        *(["layer_norm.metal"], f"layer_norm_single_row<{TYPES[dtype]}>"),
        [
            *(Input("x", x), Input("w", w), Input("b", b), Output("out", (3, 250), dtype)),
            *(constant(1e-5, kind=ctypes.c_float), constant(250), constant(1), constant(1)),
        ],
        [GROUP, "emu_position(1).x", LANE, SIMD],
        *((3 * 32, 1, 1), (32, 1, 1)),
        source=Path(CHECKOUT),
    )
    close(
        out,
        (xw - xw.mean(-1, keepdims=True)) / np.sqrt(xw.var(-1, keepdims=True) + 1e-5) * ww + bw,
        dtype,
    )


@sources
@DTYPES
@pytest.mark.parametrize("traditional", [False, True])
def test_rope(dtype, traditional):
    x, wide = random((6, 64), dtype)
    (out,), _ = run(
        *(["rope.metal"], f"rope_single<{TYPES[dtype]}>"),
        [
            *(
                Input("in", x),
                Output("out", (6, 64), dtype),
                constant(7),
                constant(1.0, kind=ctypes.c_float),
            ),
            *(constant(64, kind=ctypes.c_int64), constant(np.log2(10000.0), kind=ctypes.c_float)),
        ],
        [
            "uint2(emu_position(0).x, emu_position(0).y)",
            "uint2(emu_position(4).x, emu_position(4).y)",
        ],
        *((32, 6, 1), (32, 6, 1)),
        constants={1: 1, 2: int(traditional)},
        source=Path(CHECKOUT),
    )
    angles = 7 * 10000.0 ** (-np.arange(32) / 32)
    pairs = wide.reshape(6, 32, 2) if traditional else np.stack([wide[:, :32], wide[:, 32:]], -1)
    turned = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angles)
    parts = np.stack([turned.real, turned.imag], -1)
    close(
        out,
        parts.reshape(6, 64) if traditional else np.concatenate([parts[..., 0], parts[..., 1]], -1),
        dtype,
    )
