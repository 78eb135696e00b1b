"""Seeded faults, each caught with its own message, beside corrected twins that run without."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from . import Fault, emulated
from .build import CompileError

HEADER = "using namespace metal;\n"


def run(
    source,
    x=None,
    grid=(64, 1, 1),
    threadgroup=(64, 1, 1),
    shape=(64,),
    order=0,
    watched=True,
    **options,
):
    x = mx.arange(64, dtype=mx.float32) if x is None else x
    with emulated(watched=watched, order=order):
        kernel = mx.fast.metal_kernel(
            name="seeded",
            input_names=["x"],
            output_names=["out"],
            source=source,
            header=HEADER,
            **options,
        )
        (out,) = kernel(
            inputs=[x],
            grid=grid,
            threadgroup=threadgroup,
            output_shapes=[shape],
            output_dtypes=[mx.float32],
        )
        return np.array(out)


AT = (
    "uint i = thread_position_in_grid.x; uint t = thread_position_in_threadgroup.x; "
    "uint g = threadgroup_position_in_grid.x;\n"
)
BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
SHARED = AT + "threadgroup float s[64]; s[t] = x[i];\n"

# name: (faulty source, corrected source, what the fault's message holds, launch options)
FAULTS = {
    "read past the end": (
        AT + "out[i] = x[i + 1];",
        AT + "out[i] = x[i < 63 ? i + 1 : i];",
        "out of bounds: read of 4 bytes",
        {},
    ),
    "read before the start": (
        AT + "out[i] = x[int(i) - 1];",
        AT + "out[i] = x[max(int(i) - 1, 0)];",
        "out of bounds: read of 4 bytes",
        {},
    ),
    "read far away": (
        AT + "out[i] = x[i * 100000000ul];",
        AT + "out[i] = x[i];",
        "out of bounds: read of 4 bytes",
        {},
    ),
    "write past the end": (
        AT + "out[i + 1] = x[i]; if (i == 0) out[0] = 0;",
        AT + "out[i] = x[i];",
        "out of bounds: write of 4 bytes",
        {},
    ),
    "read between a view's elements": (
        AT + "out[i] = x[i];",
        AT + "out[i] = x[i * x_strides[0]];",
        "between its elements",
        {"view": 2},
    ),
    "write to an input": (
        AT + "((device float*)x)[i] = 1; out[i] = 1;",
        AT + "out[i] = 1;",
        "write to the input x",
        {},
    ),
    "unwritten output": (
        AT + "if (i != 5) out[i] = x[i];",
        AT + "out[i] = x[i];",
        "unwritten output: byte 20 of out",
        {},
    ),
    "grid one short": (
        AT + "out[i] = x[i];",
        AT + "out[i] = x[i]; if (i == 62) out[63] = 0;",
        "unwritten output: byte 252 of out",
        {"grid": (63, 1, 1)},
    ),
    "output read first": (
        AT + "out[i] += x[i];",
        AT + "out[i] = 0; out[i] += x[i];",
        "read of out before it is written",
        {},
    ),
    "missing threadgroup barrier": (
        SHARED + "out[i] = s[63 - t];",
        SHARED + "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[63 - t];",
        "threadgroup memory",
        {},
    ),
    "barrier without its flag": (
        SHARED + "threadgroup_barrier(mem_flags::mem_none); out[i] = s[63 - t];",
        SHARED + "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[63 - t];",
        "race: read of another thread's write",
        {},
    ),
    "SIMD barrier between SIMD-groups": (
        SHARED + "simdgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[63 - t];",
        SHARED + "simdgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t ^ 31];",
        "threadgroup memory",
        {},
    ),
    "lanes trusted to run in step": (
        SHARED + "simd_sum(1.0f); out[i] = s[t ^ 1];",
        SHARED + "simdgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t ^ 1];",
        "race: read of another thread's write",
        {},
    ),
    "overwritten too early": (
        SHARED + BARRIER + "float a = s[63 - t]; s[t] = a; out[i] = a;",
        SHARED + BARRIER + "float a = s[63 - t];" + BARRIER + "s[t] = a; out[i] = a;",
        "race",
        {},
    ),
    "two writers": (
        SHARED + "s[0] = t; out[i] = x[i];",
        SHARED + "if (t == 0) s[0] = t; out[i] = x[i];",
        "race",
        {},
    ),
    "race between threadgroups": (
        AT + "out[i] = x[i]; if (i == 32) out[0] = 1;",
        AT + "out[i] = x[i]; if (i == 0) out[0] = 1;",
        "race between threadgroups",
        {"threadgroup": (32, 1, 1)},
    ),
    "device memory without its flag": (
        AT + "out[i] = x[i]; threadgroup_barrier(mem_flags::mem_threadgroup); out[63 - i] += 1;",
        AT + "out[i] = x[i]; threadgroup_barrier(mem_flags::mem_device); out[63 - i] += 1;",
        "race",
        {},
    ),
    "uninitialised threadgroup memory": (
        AT + "threadgroup float s[65]; s[t] = x[i];" + BARRIER + "out[i] = s[t + 1];",
        AT
        + "threadgroup float s[65]; s[t] = x[i]; if (t == 0) s[64] = 0;"
        + BARRIER
        + "out[i] = s[t + 1];",
        "read of threadgroup memory that was never written",
        {},
    ),
    "divergent threadgroup barrier": (
        SHARED + "if (t < 32) threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t];",
        SHARED + "threadgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t];",
        "divergent threadgroup_barrier: thread 63 has finished",
        {},
    ),
    "two different barriers": (
        SHARED + "if (t < 32)\n" + BARRIER + "\nelse\n" + BARRIER + "\nout[i] = s[t];",
        SHARED + "threadgroup_barrier(mem_flags::mem_threadgroup);\nout[i] = s[t];",
        "divergent threadgroup_barrier: threads of one threadgroup wait at lines",
        {},
    ),
    "divergent SIMD barrier": (
        SHARED + "if (t % 2) simdgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t];",
        SHARED + "simdgroup_barrier(mem_flags::mem_threadgroup); out[i] = s[t];",
        "divergent simdgroup_barrier: lane 0 is at finished",
        {},
    ),
    "shuffle from an idle lane": (
        AT + "float a = x[i]; if (t % 32 != 3) a = simd_shuffle(a, 3); out[i] = a;",
        AT + "float a = x[i]; a = simd_shuffle(a, 3); out[i] = a;",
        "read of lane 3, which is not active",
        {},
    ),
    "threadgroup memory 1 byte over 32 KB": (
        AT + "threadgroup char s[32769]; s[t] = 1; out[i] = s[t];",
        AT + "threadgroup char s[32768]; s[t] = 1; out[i] = s[t];",
        "threadgroup memory: 32769 bytes are over the limit of 32768",
        {},
    ),
    "threadgroup index out of bounds": (
        AT + "threadgroup float s[64]; s[t + 1] = 1; out[i] = 1;",
        AT + "threadgroup float s[65]; s[t + 1] = 1; out[i] = 1;",
        "out of bounds",
        {},
    ),
    "threadgroup pointer out of bounds": (
        AT + "threadgroup float s[64]; threadgroup float* p = s + 1; p[t] = 1; out[i] = 1;",
        AT + "threadgroup float s[65]; threadgroup float* p = s + 1; p[t] = 1; out[i] = 1;",
        "outside every threadgroup array",
        {},
    ),
    "private index out of bounds": (
        AT + "float p[4]; for (int j = 0; j < 4; j++) p[j] = j; out[i] = p[i % 5];",
        AT + "float p[5]; for (int j = 0; j < 5; j++) p[j] = j; out[i] = p[i % 5];",
        "array index out of bounds",
        {},
    ),
    "misaligned vector": (
        AT + "out[i] = ((const device float4*)(x + i / 4))->x;",
        AT + "out[i] = ((const device float4*)(x + i / 4 * 4))->x;",
        "misaligned access",
        {},
    ),
    "aligned code, odd slice": (
        AT + "out[i] = ((const device float4*)(x + i / 4 * 4))->x;",
        AT + "struct four { float v[4]; }; out[i] = ((const device four*)(x + i / 4 * 4))->v[0];",
        "misaligned access",
        {"offset": 1},
    ),
    "division by zero": (
        AT + "out[i] = 7 / int(i);",
        AT + "out[i] = 7 / int(i + 1);",
        "division by zero",
        {},
    ),
    "shift too far": (
        AT + "out[i] = 1 << i;",
        AT + "out[i] = 1 << (i % 8);",
        "shift out of bounds",
        {},
    ),
    "threadgroup too large": (
        AT + "out[i] = 1;",
        None,
        "over the limit of 1024",
        {"grid": (2048, 1, 1), "threadgroup": (1025, 1, 1), "shape": (2048,)},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught_and_its_correction_is_silent(name):
    faulty, corrected, words, options = FAULTS[name]
    options = dict(options)
    if view := options.pop("view", None):
        options.update(
            x=mx.arange(64 * view, dtype=mx.float32)[::view], ensure_row_contiguous=False
        )
    if offset := options.pop("offset", None):
        options.update(x=mx.arange(64 + offset, dtype=mx.float32)[offset:])
    with pytest.raises(Fault) as caught:
        run(faulty, **options)
    assert words in str(caught.value)
    if corrected:
        run(corrected, **options)


def test_a_fault_names_the_thread_and_the_metal_line():
    lines = (
        "uint i = thread_position_in_grid.x;",
        "float a = 0;",
        "if (i == 37) a = x[64];",
        "out[i] = a;",
    )
    with pytest.raises(Fault) as caught:
        run("\n".join(lines))
    message = str(caught.value)
    assert message.startswith("out of bounds: read of 4 bytes, 0 bytes past the end of x")
    assert "thread 37,0,0 of the grid" in message
    # A line of header, four of signature, then the body's third.
    assert message.endswith("kernel.metal:8")


def test_fast_runs_find_a_write_beside_the_buffers():
    with pytest.raises(Fault, match="a write beside the buffers"):
        run(AT + "out[i + 1] = x[i]; if (i == 0) out[0] = 0;", watched=False)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_races_are_found_in_every_order(order):
    with pytest.raises(Fault, match="race|never written"):
        run(SHARED + "out[i] = s[63 - t];", order=order)


def test_refused_source_raises_the_compiler_s_message():
    with pytest.raises(CompileError, match="nonsense"):
        run("nonsense;")
