"""MLX's own kernels in the emulator agree with float64.

That is the emulator's proof on code that it was not written for. softmax, logsumexp, sdpa_vector
and steel attention are in every MLX wheel; rms_norm, layer_norm and rope are only in MLX's sources,
and run where MLXVID_MLX_KERNELS names an MLX checkout's mlx/backend/metal/kernels.
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
    reason="MLXVID_MLX_KERNELS doesn't name an MLX checkout's kernels; "
    "rms_norm, layer_norm and rope are in no wheel",
)

DTYPES = pytest.mark.parametrize(
    "dtype", [mx.float32, mx.float16, mx.bfloat16], ids=["float32", "float16", "bfloat16"]
)
TOLERANCE = {mx.float32: 2e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3}
GROUP = "emu_position(2).x"
THREAD = "emu_position(1).x"
LANE = "emu_position(7).z"
SIMD = "emu_position(7).y"


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
    """Call an instance of an MLX kernel with these arguments, then these positions.

    A Value is a reference unless named "pointer".
    """
    text = ""
    for index, value in (constants or {}).items():
        struct_name = f"emu_function_constant<{index}>"
        text += f"template <> struct {struct_name} {{ static constexpr int value = {value}; }};\n"
    for name in ("utils.h", *headers):
        text += f'#include "mlx/backend/metal/kernels/{name}"\n'
    actual = []
    for i, argument in enumerate(arguments):
        is_reference = isinstance(argument, Value) and argument.name != "pointer"
        actual.append(f"emu_{'reference' if is_reference else 'pointer'}{{a[{i}]}}")
    call = f"{kernel}({', '.join([*actual, *positions])});"
    library = build_kernel(text, call, watched, [include_folder(source)])
    outputs, report = launch(library, arguments, grid, threadgroup, watched=watched, order=order)
    return [np.array(x.astype(mx.float32)) for x in outputs], report


def random(shape, dtype, seed=0, scale=1.0):
    """Random numbers, and the same in float64."""
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
        headers=["softmax.h"],
        kernel=f"softmax_single_row<{TYPES[dtype]}, float>",
        arguments=[Input("in", x), Output("out", (3, size), dtype), constant(size)],
        positions=[GROUP, THREAD, LANE, SIMD],
        grid=(3 * threads, 1, 1),
        threadgroup=(threads, 1, 1),
    )
    exponentials = np.exp(wide - wide.max(-1, keepdims=True))
    close(out, exponentials / exponentials.sum(-1, keepdims=True), dtype)
    assert report.traffic["in"].asked == report.traffic["out"].written == x.nbytes


@DTYPES
def test_logsumexp(dtype):
    x, wide = random((5, 200), dtype, scale=3)
    (out,), _ = run(
        headers=["logsumexp.h"],
        kernel=f"logsumexp<{TYPES[dtype]}, float>",
        arguments=[Input("in", x), Output("out", (5,), dtype), constant(200)],
        positions=[GROUP, THREAD, LANE, SIMD],
        grid=(5 * 64, 1, 1),
        threadgroup=(64, 1, 1),
    )
    close(out, np.log(np.exp(wide).sum(-1)), dtype)


def attention(q, k, v, scale, causal=False):
    """Float64 attention on [H, L, D]."""
    scores = np.einsum("hqd,hkd->hqk", q, k) * scale
    if causal:
        queries, keys = scores.shape[1:]
        future = np.triu(np.ones((queries, keys), bool), keys - queries + 1)
        scores[:, future] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("hqk,hkd->hqd", weights / weights.sum(-1, keepdims=True), v)


@DTYPES
def test_sdpa_vector(dtype):
    H = 2
    L = 2
    N = 45
    D = 64
    q, qw = random((H, L, D), dtype, 0)
    k, kw = random((H, N, D), dtype, 1)
    v, vw = random((H, N, D), dtype, 2)
    strides = [constant(n, kind=ctypes.c_uint64) for n in (N * D, D, N * D, D)]
    pointer = Value(b"\0" * 8, "pointer")
    unused = [pointer, pointer, constant(0), constant(0), constant(0), pointer, constant(0)]
    arguments = [Input("q", q), Input("k", k), Input("v", v), Output("out", (H, L, D), dtype)]
    arguments += [constant(1), constant(N), *strides]
    arguments += [constant(D**-0.5, kind=ctypes.c_float), *unused]
    (out,), _ = run(
        headers=["sdpa_vector.h"],
        kernel=f"sdpa_vector<{TYPES[dtype]}, {D}>",
        arguments=arguments,
        positions=["emu_attribute3(2)", "emu_attribute3(3)", SIMD, LANE],
        grid=(H * 1024, L, 1),
        threadgroup=(1024, 1, 1),
        constants={22: 1},
    )
    close(out, attention(qw, kw, vw, D**-0.5, causal=True), dtype)


def steel_attention(dtype, L, N, D, watched=True, order=0):
    """MLX's matrix-unit attention on two heads.

    It has 8 x 8 matrices, staging loaders, and four SIMD-groups a threadgroup.
    """
    H = 2
    BQ = 32
    BK = 32 if D < 128 else 16
    q, qw = random((H, L, D), dtype, 0)
    k, kw = random((H, N, D), dtype, 1)
    v, vw = random((H, N, D), dtype, 2)
    numbers = [1, H, D, L, N, 1, D**-0.5]
    numbers += [-(-L // BQ), -(-N // BK), L // BQ, N // BK, L % BQ, N % BK, N - L]
    strides = [n for length in (L, N, N, L) for n in (H * length * D, length * D, D)]
    parameters = Value(struct.pack("6if7i12q", *numbers, *strides), "pointer")
    unused = [Value(b"\0" * 8, "pointer")] * 4
    arguments = [Input("q", q), Input("k", k), Input("v", v), Output("out", (H, L, D), dtype)]
    (out,), report = run(
        headers=["steel/attn/kernels/steel_attention.h"],
        kernel=f"attention<{TYPES[dtype]}, {BQ}, {BK}, {D}, {D}, 4, 1, float, float>",
        arguments=[*arguments, parameters, *unused],
        positions=[LANE, SIMD, "emu_attribute3(2)", "emu_attribute3(1)"],
        grid=(32 * -(-L // BQ), 4 * H, 1),
        threadgroup=(32, 4, 1),
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
            headers=["softmax.h"],
            kernel="softmax_single_row<float, float>",
            arguments=[Input("in", x), Output("out", (3, 128), mx.float32), constant(128)],
            positions=[GROUP, THREAD, LANE, SIMD],
            grid=(2 * 32, 1, 1),
            threadgroup=(32, 1, 1),
        )


@sources
@DTYPES
def test_rms_norm(dtype):
    x, xw = random((3, 200), dtype)
    w, ww = random((200,), dtype, 1)
    arrays = [Input("x", x), Input("w", w), Output("out", (3, 200), dtype)]
    (out,), _ = run(
        headers=["rms_norm.metal"],
        kernel=f"rms_single_row<{TYPES[dtype]}>",
        arguments=[*arrays, constant(1e-5, kind=ctypes.c_float), constant(200), constant(1)],
        positions=[GROUP, THREAD, LANE, SIMD],
        grid=(3 * 64, 1, 1),
        threadgroup=(64, 1, 1),
        source=Path(CHECKOUT),
    )
    close(out, xw / np.sqrt((xw**2).mean(-1, keepdims=True) + 1e-5) * ww, dtype)


@sources
@DTYPES
def test_layer_norm(dtype):
    """250 channels, 8 a lane.

    With a lane wholly past the row's end (200 channels, say), MLX's kernel indexes its private
    array from below zero, which the emulator reports.
    """
    x, xw = random((3, 250), dtype)
    w, ww = random((250,), dtype, 1)
    b, bw = random((250,), dtype, 2)
    arrays = [Input("x", x), Input("w", w), Input("b", b), Output("out", (3, 250), dtype)]
    eps = constant(1e-5, kind=ctypes.c_float)
    (out,), _ = run(
        headers=["layer_norm.metal"],
        kernel=f"layer_norm_single_row<{TYPES[dtype]}>",
        arguments=[*arrays, eps, constant(250), constant(1), constant(1)],
        positions=[GROUP, THREAD, LANE, SIMD],
        grid=(3 * 32, 1, 1),
        threadgroup=(32, 1, 1),
        source=Path(CHECKOUT),
    )
    centred = xw - xw.mean(-1, keepdims=True)
    deviation = np.sqrt(xw.var(-1, keepdims=True) + 1e-5)
    close(out, centred / deviation * ww + bw, dtype)


@sources
@DTYPES
@pytest.mark.parametrize("traditional", [False, True])
def test_rope(dtype, traditional):
    x, wide = random((6, 64), dtype)
    (out,), _ = run(
        headers=["rope.metal"],
        kernel=f"rope_single<{TYPES[dtype]}>",
        arguments=[
            Input("in", x),
            Output("out", (6, 64), dtype),
            constant(7),
            constant(1.0, kind=ctypes.c_float),
            constant(64, kind=ctypes.c_int64),
            constant(np.log2(10000.0), kind=ctypes.c_float),
        ],
        positions=[
            "uint2(emu_position(0).x, emu_position(0).y)",
            "uint2(emu_position(4).x, emu_position(4).y)",
        ],
        grid=(32, 6, 1),
        threadgroup=(32, 6, 1),
        constants={1: 1, 2: int(traditional)},
        source=Path(CHECKOUT),
    )
    angles = 7 * 10000.0 ** (-np.arange(32) / 32)
    if traditional:
        pairs = wide.reshape(6, 32, 2)
        rotated = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angles)
        expected = np.stack([rotated.real, rotated.imag], -1).reshape(6, 64)
    else:
        rotated = (wide[:, :32] + 1j * wide[:, 32:]) * np.exp(1j * angles)
        expected = np.concatenate([rotated.real, rotated.imag], -1)
    close(out, expected, dtype)
