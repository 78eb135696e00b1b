"""The emulated Metal library against NumPy: collectives, rounding, matrices and atomics."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from . import emulated

HEADER = "using namespace metal;\n"


def run(
    source,
    inputs=None,
    shape=(32,),
    dtype=mx.float32,
    grid=(32, 1, 1),
    threadgroup=(32, 1, 1),
    template=None,
    init=None,
    order=0,
    **options,
):
    inputs = inputs or {}
    with emulated(order=order):
        kernel = mx.fast.metal_kernel(
            name="shim",
            input_names=list(inputs),
            output_names=["out"],
            source=source,
            header=HEADER,
            **options,
        )
        out = kernel(
            inputs=list(inputs.values()),
            template=template,
            grid=grid,
            threadgroup=threadgroup,
            output_shapes=[shape],
            output_dtypes=[dtype],
            init_value=init,
        )[0]
    return np.array(out)


LANES = np.arange(32)
VALUES = (LANES * 7 + 3) % 23
QUADS = VALUES.reshape(8, 4)
COLLECTIVES = {
    "simd_sum(x)": np.full(32, VALUES.sum()),
    "simd_max(x)": np.full(32, VALUES.max()),
    "simd_min(x)": np.full(32, VALUES.min()),
    "simd_xor(x)": np.full(32, np.bitwise_xor.reduce(VALUES)),
    "simd_product(1 + x % 2)": np.full(32, np.prod(1 + VALUES % 2)),
    "simd_prefix_inclusive_sum(x)": VALUES.cumsum(),
    "simd_prefix_exclusive_sum(x)": VALUES.cumsum() - VALUES,
    "simd_shuffle(x, (i * 5) % 32)": VALUES[LANES * 5 % 32],
    "simd_shuffle_xor(x, 9)": VALUES[LANES ^ 9],
    "simd_shuffle_down(x, 3)": np.where(LANES < 29, VALUES[(LANES + 3) % 32], VALUES),
    "simd_shuffle_up(x, 3)": np.where(LANES >= 3, VALUES[LANES - 3], VALUES),
    "simd_shuffle_and_fill_down(x, -1, 3)": np.where(LANES < 29, VALUES[(LANES + 3) % 32], -1),
    "simd_shuffle_and_fill_up(x, -1, 3)": np.where(LANES >= 3, VALUES[LANES - 3], -1),
    "simd_broadcast(x, 11)": np.full(32, VALUES[11]),
    "simd_broadcast_first(x)": np.full(32, VALUES[0]),
    "int(simd_any(x == 3))": np.full(32, 1),
    "int(simd_all(x == 3))": np.full(32, 0),
    "quad_sum(x)": np.repeat(QUADS.sum(1), 4),
    "quad_max(x)": np.repeat(QUADS.max(1), 4),
    "quad_shuffle_xor(x, 1)": QUADS[:, [1, 0, 3, 2]].reshape(-1),
    "quad_shuffle(x, 2)": np.repeat(QUADS[:, 2], 4),
    "quad_broadcast(x, 3)": np.repeat(QUADS[:, 3], 4),
}


@pytest.mark.parametrize("order", [0, 1, 2])
def test_collectives(order):
    lines = "\n".join(f"out[{n} * 32 + i] = {call};" for n, call in enumerate(COLLECTIVES))
    source = f"int i = thread_position_in_grid.x;\nint x = (i * 7 + 3) % 23;\n{lines}"
    out = run(source, shape=(len(COLLECTIVES), 32), dtype=mx.int32, order=order)
    for row, (call, expected) in zip(out, COLLECTIVES.items(), strict=True):
        assert np.array_equal(row, expected), call


def test_collectives_see_only_active_lanes():
    source = """
        int i = thread_position_in_grid.x;
        int count = 0;
        if (i % 3 == 1) {
          count = simd_sum(1) * 100 + simd_broadcast_first(i);
        } else {
          count = simd_sum(1) * 1000;
        }
        for (int n = 0; n <= i / 8; n++)
          count += simd_sum(1) * 10000;
        out[i] = count + simd_sum(1) * 1000000;
    """
    expected = (
        np.where(LANES % 3 == 1, 11 * 100 + 1, 21 * 1000)
        + 10000 * np.array([32, 56, 72, 80])[LANES // 8]
        + 32000000
    )
    assert np.array_equal(run(source, dtype=mx.int32), expected)


def test_every_half_and_every_rounding():
    """All 65,536 halves are decoded, and floats of every exponent encoded, as NumPy does.

    The floats include ties between halves.
    """
    bits = np.arange(65536, dtype=np.uint16)
    source = "uint i = thread_position_in_grid.x; out[i] = float(as_type<half>(ushort(b[i])));"
    out = run(source, {"b": mx.array(bits)}, (65536,), mx.float32, (65536, 1, 1), (1024, 1, 1))
    assert np.array_equal(out, bits.view(np.float16).astype(np.float32), equal_nan=True)

    rng = np.random.default_rng(0)
    floats = rng.integers(0, 2**32, 4096, dtype=np.uint32).view(np.float32)
    near = np.float32(2.0) ** rng.uniform(-27, 17, 4096).astype(np.float32)
    halves = rng.integers(0, 0x7C00, 4096).astype(np.uint16)
    low = halves.view(np.float16).astype(np.float32)
    high = (halves + np.uint16(1)).view(np.float16).astype(np.float32)
    ties = (low + high) / 2
    x = np.concatenate([floats, near, -near, ties, -ties]).astype(np.float32)
    source = "uint i = thread_position_in_grid.x; out[i] = half(x[i]);"
    out = run(source, {"x": mx.array(x)}, x.shape, mx.float16, (len(x), 1, 1), (1024, 1, 1))
    with np.errstate(over="ignore"):
        assert np.array_equal(out, x.astype(np.float16), equal_nan=True)


def test_half_rounds_at_every_operation():
    a, b = mx.random.normal((2, 256), key=mx.random.key(0)).astype(mx.float16)
    source = """
        uint i = thread_position_in_grid.x;
        float16_t x = a[i] * b[i];
        x += a[i];
        x = x / (b[i] + 3);
        out[i] = x - a[i] * 2;
    """
    out = run(source, {"a": a, "b": b}, (256,), mx.float16, (256, 1, 1))
    x = np.array(a)
    y = np.array(b)
    assert np.array_equal(out, (x * y + x) / (y + np.float16(3)) - x * np.float16(2))


def test_bfloat_rounds_at_every_operation():
    a, b = mx.random.normal((2, 256), key=mx.random.key(0)).astype(mx.bfloat16)
    source = """
        uint i = thread_position_in_grid.x;
        bfloat16_t x = a[i] * b[i];
        x += a[i];
        x = x / (b[i] + 3);
        out[i] = float(x - a[i] * 2);
    """
    out = run(source, {"a": a, "b": b}, (256,), mx.float32, (256, 1, 1))
    expected = (a * b + a) / (b + 3) - a * 2
    assert expected.dtype == mx.bfloat16
    assert np.array_equal(out, np.array(expected.astype(mx.float32)))


def test_types_of_mixed_arithmetic():
    """half with an int stays half, half with a float is a float, and 1.0 is no double."""
    source = """
        half h = 1; bfloat b = 1;
        static_assert(is_same_v<decltype(h * h), half>, "");
        static_assert(is_same_v<decltype(h * 2), half>, "");
        static_assert(is_same_v<decltype(h * 2.0f), float>, "");
        static_assert(is_same_v<decltype(b + b), bfloat>, "");
        static_assert(is_same_v<decltype(b * 2.0f), float>, "");
        static_assert(sizeof(1.0) == 4, "");
        out[0] = 0.1 + 0.2;
    """
    assert run(source, shape=(1,), grid=(1, 1, 1))[0] == np.float32(0.1) + np.float32(0.2)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_matrices(dtype):
    a, b, c = mx.random.normal((3, 8, 8), key=mx.random.key(0)).astype(dtype)
    source = """
        simdgroup_matrix<T, 8, 8> x, y;
        simdgroup_matrix<float, 8, 8> z(0), w;
        simdgroup_load(x, a, 8);
        simdgroup_load(y, b, 8, ulong2(0, 0), true);
        w.thread_elements()[0] = 1.0f;
        w.thread_elements()[1] = 1.0f;
        simdgroup_multiply_accumulate(z, x, y, w);
        simdgroup_store(z, out, 8);
    """
    out = run(source, {"a": a, "b": b, "c": c}, (8, 8), template=[("T", dtype)])
    x = np.array(a.astype(mx.float32)).astype(np.float64)
    y = np.array(b.astype(mx.float32)).astype(np.float64)
    assert np.abs(out - (x @ y.T + 1)).max() < 1e-5


def test_positions_and_shrunken_edges():
    """A grid of 5 x 3 x 2 in threadgroups of 2 x 2 x 1, of which the last are smaller."""
    source = """
        uint3 p = thread_position_in_grid;
        uint3 g = threadgroup_position_in_grid;
        uint3 t = thread_position_in_threadgroup;
        uint n = (p.z * 3 + p.y) * 5 + p.x;
        device uint* o = out + n * 8;
        o[0] = g.x; o[1] = g.y; o[2] = g.z; o[3] = t.x; o[4] = t.y;
        o[5] = threads_per_threadgroup.x * 10 + threads_per_threadgroup.y;
        o[6] = thread_index_in_threadgroup;
        o[7] = threadgroups_per_grid.x * 10000 + threadgroups_per_grid.y * 1000;
        o[7] += threads_per_grid.x * 10;
        o[7] += dispatch_threads_per_threadgroup.x;
    """
    out = run(source, shape=(2, 3, 5, 8), dtype=mx.uint32, grid=(5, 3, 2), threadgroup=(2, 2, 1))
    z, y, x = np.meshgrid(range(2), range(3), range(5), indexing="ij")
    wide = np.where(x == 4, 1, 2)
    high = np.where(y == 2, 1, 2)
    expected = [
        x // 2,
        y // 2,
        z,
        x % 2,
        y % 2,
        wide * 10 + high,
        y % 2 * wide + x % 2,
        np.full_like(x, 32052),
    ]
    assert np.array_equal(out, np.stack(expected, -1))


def test_threadgroup_is_clamped_to_the_grid():
    source = """
        uint i = thread_position_in_grid.x;
        out[i] = threads_per_threadgroup.x * 100 + simdgroups_per_threadgroup * 10;
        out[i] += simdgroup_index_in_threadgroup;
    """
    out = run(source, shape=(40,), dtype=mx.uint32, grid=(40, 1, 1), threadgroup=(256, 1, 1))
    assert np.array_equal(out, 4020 + np.arange(40) // 32)


def test_atomics_and_initial_values():
    source = """
        uint i = thread_position_in_grid.x;
        atomic_fetch_add_explicit(&out[i % 3], int(i), memory_order_relaxed);
    """
    out = run(
        source,
        shape=(4,),
        dtype=mx.int32,
        grid=(64, 1, 1),
        threadgroup=(16, 1, 1),
        init=5,
        atomic_outputs=True,
    )
    assert out.tolist() == [5 + sum(range(n, 64, 3)) for n in range(3)] + [5]


def test_signature_facts_reach_the_kernel():
    x = mx.zeros((4, 6))[:, 1::2]
    source = """
        out[0] = x_shape[0] * 10 + x_shape[1];
        out[1] = x_strides[0] * 10 + x_strides[1];
        out[2] = x_ndim;
        out[3] = s;
        out[4] = c[2];
    """
    inputs = {"x": x, "s": 7, "c": mx.array([1, 2, 3])}
    strided = run(source, inputs, (5,), mx.int32, (1, 1, 1), ensure_row_contiguous=False)
    assert strided.tolist() == [43, 62, 2, 7, 3]
    copied = run(source, inputs, (5,), mx.int32, (1, 1, 1))
    assert copied.tolist() == [43, 31, 2, 7, 3]


def test_verbose_prints_the_text(capsys):
    with emulated():
        kernel = mx.fast.metal_kernel(
            name="k", input_names=["x"], output_names=["out"], source="out[0] = x[0];"
        )
        kernel(
            inputs=[mx.zeros(9)],
            grid=(1, 1, 1),
            threadgroup=(1, 1, 1),
            output_shapes=[(1,)],
            output_dtypes=[mx.float32],
            verbose=True,
        )
    assert capsys.readouterr().out.startswith(
        "[[kernel]] void custom_kernel_k_float_float(\n  const device float* x [[buffer(0)]],"
    )


def test_nothing_stays_replaced():
    metal_kernel = mx.fast.metal_kernel
    is_available = mx.metal.is_available
    with pytest.raises(ZeroDivisionError), emulated():
        assert mx.metal.is_available() and mx.fast.metal_kernel is not metal_kernel
        1 / 0  # noqa: B018
    assert mx.fast.metal_kernel is metal_kernel
    assert mx.metal.is_available == is_available
