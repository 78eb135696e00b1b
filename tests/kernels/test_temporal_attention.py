"""The temporal attention kernel's real source and launch, in the emulator, against float64."""

from __future__ import annotations

import itertools
from functools import partial

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.kernels import Rotary, device_report, temporal_attention, temporal_attention_split
from mlxvid.kernels.temporal_launch import THREADGROUP_MEMORY, launch, layout
from tests.metal_emulator import emulated

from .temporal_cases import Case, as_numpy, fused, tables, weights

DTYPES = [mx.float32, mx.float16, mx.bfloat16]
HEADS = [64, 72, 96, 128]

# One compiled variant a line, all of them watched:
# (D, dtype, norm, pairing, frames that share the variant).
VARIANTS = [
    (64, mx.float32, "", None, [1, 2, 7, 8]),
    (64, mx.float16, "qk", "interleaved", [9, 13, 16]),
    (64, mx.bfloat16, "q", "half", [17, 32]),
    (64, mx.float32, "qk", "half", [49, 64]),
    (64, mx.float16, "", "interleaved", [33, 48]),
    (72, mx.float32, "qk", "interleaved", [9, 16]),
    (72, mx.float16, "k", "half", [1, 5, 8]),
    (72, mx.bfloat16, "qk", "interleaved", [33, 47]),
    (72, mx.bfloat16, "", None, [15]),
    (72, mx.float32, "", "half", [64]),
    (96, mx.float32, "q", "half", [1, 6]),
    (96, mx.float16, "qk", "interleaved", [20, 24]),
    (96, mx.bfloat16, "qk", "half", [57, 64]),
    (96, mx.float32, "", None, [41]),
    (128, mx.float32, "qk", "interleaved", [63, 64]),
    (128, mx.float16, "", "half", [10, 16]),
    (128, mx.bfloat16, "k", "interleaved", [3, 8]),
    (128, mx.bfloat16, "", None, [39]),
]
SHAPES = [(1, 3, 3), (2, 1, 1), (1, 1, 5), (3, 2, 1)]  # B, S, H, in turn


def variant_name(D, dtype, norm, pairing, frames) -> str:
    kind = str(dtype).rsplit(".", 1)[-1]
    return f"{D}-{kind}-{norm or 'plain'}-{pairing}-T{frames[-1]}"


NAMES = [variant_name(*variant) for variant in VARIANTS]


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("D, dtype, norm, pairing, frames", VARIANTS, ids=NAMES)
def test_kernel_equals_float64_and_touches_each_byte_once(D, dtype, norm, pairing, frames):
    for T, (B, S, H) in zip(frames, itertools.cycle(SHAPES), strict=False):
        case = fused(B, T, S, H, D, dtype, norm, pairing, seed=T)
        with emulated() as log:
            out = launch(*case.arguments())
        case.check(out)
        report = log.log[0][3]
        plan = layout(T, D, dtype.size)
        size = case.q.nbytes
        # Each SIMD-group streams v where it isn't staged.
        again = 1 if plan.simds == 1 or plan.stage_v else plan.simds
        assert report.threadgroup_bytes <= THREADGROUP_MEMORY
        assert [report.traffic[name].asked for name in "qkv"] == [size, size, size * again]
        assert [report.traffic[name].per_group for name in "qkv"] == [size, size, size]
        assert report.traffic["out"].written == size


@pytest.mark.usefixtures("compiler")
def test_orders_and_poisons_do_not_matter():
    for case in (
        fused(1, 20, 2, 1, 64, mx.bfloat16, "q", "half"),
        fused(2, 13, 1, 3, 64, mx.float16, "qk", "interleaved"),
    ):
        outs = []
        for order, poison in [(0, 0xFF), (1, 0x00), (2, 0x7B), (3, 0xFF)]:
            with emulated(order=order, poison=poison):
                outs.append(as_numpy(launch(*case.arguments())))
        with emulated(watched=False, order=2):
            outs.append(as_numpy(launch(*case.arguments())))
        assert all(np.array_equal(outs[0], out) for out in outs[1:])


def strided(kind: str) -> Case:
    """q, k, v [1, 7, 3, 2, 64] in other memory layouts than those of a fused projection."""
    make = mx.random.normal
    keys = [mx.random.key(i) for i in range(3)]
    if kind == "three projections":
        parts = [make((1, 7, 3, 2, 64), key=key) for key in keys]
    elif kind == "positions first":
        parts = [make((1, 3, 7, 2, 64), key=key).transpose(0, 2, 1, 3, 4) for key in keys]
    elif kind == "heads first":
        parts = [make((1, 2, 7, 3, 64), key=key).transpose(0, 2, 3, 1, 4) for key in keys]
    elif kind == "odd slice":
        parts = [make((1 + 7 * 3 * 2 * 64,), key=key)[1:].reshape(1, 7, 3, 2, 64) for key in keys]
    elif kind == "wider rows":
        parts = [make((1, 7, 3, 2, 67), key=key)[..., 3:] for key in keys]
    elif kind == "every second channel":
        parts = [make((1, 7, 3, 2, 128), key=key)[..., ::2] for key in keys]
    elif kind == "channels last but one":
        parts = [make((1, 7, 3, 64, 2), key=key).transpose(0, 1, 2, 4, 3) for key in keys]
    elif kind == "backwards in time":
        parts = [make((1, 7, 3, 2, 64), key=key)[:, ::-1] for key in keys]
    elif kind == "one key for all positions":
        parts = [mx.broadcast_to(make((1, 7, 1, 2, 64), key=key), (1, 7, 3, 2, 64)) for key in keys]
    elif kind == "three layouts":
        parts = [strided(k).q for k in ("heads first", "wider rows", "every second channel")]
    return Case(*parts)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "kind",
    [
        "three projections",
        "positions first",
        "heads first",
        "odd slice",
        "wider rows",
        "every second channel",
        "channels last but one",
        "backwards in time",
        "one key for all positions",
        "three layouts",
    ],
)
def test_any_strides_and_any_base_address(kind):
    case = strided(kind)
    with emulated():
        out = launch(*case.arguments())
    case.check(out)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("offset", [1, 3, 5])
def test_sixteen_bit_odd_slices(offset):
    parts = []
    for seed in range(3):
        flat = mx.random.normal((offset + 5 * 2 * 72,), key=mx.random.key(seed))
        parts.append(flat.astype(mx.float16)[offset:].reshape(1, 5, 1, 2, 72))
    case = Case(*parts, None, weights(72, 2), Rotary(*tables(5, 72), "half"))
    with emulated():
        out = launch(*case.arguments())
    case.check(out)


@pytest.mark.usefixtures("compiler")
def test_strided_weights_and_tables():
    case = fused(1, 9, 1, 2, 72, mx.float32, "qk", "interleaved")
    cos, sin = tables(18, 72)
    cos = cos[::2].astype(mx.float16)
    sin = mx.broadcast_to(sin[3:4], (9, 36))
    case.rope = Rotary(cos, sin, "interleaved")
    case.q_norm = weights(144, 3)[::2]
    with emulated():
        out = launch(*case.arguments())
    case.check(out)


@pytest.mark.usefixtures("compiler")
def test_large_scores_stay_finite():
    case = fused(1, 8, 1, 1, 64)
    case.q = case.q * 40
    case.k = case.k * 40
    with emulated():
        out = as_numpy(launch(*case.arguments()))
    assert np.isfinite(out).all() and np.abs(out - case.expected()).max() <= 1e-3


@pytest.mark.usefixtures("compiler")
def test_scale_and_eps_reach_the_kernel_without_another_compilation():
    case = fused(1, 9, 2, 1, 72, mx.float32, "qk", "interleaved")
    case.scale = 0.31
    case.eps = 0.7
    with emulated():
        out = launch(*case.arguments())
    case.check(out)


@pytest.mark.usefixtures("compiler")
def test_fast_runs_at_a_real_size():
    """The shape of a small clip: 16 frames of 24 x 24 positions in two heads, unwatched."""
    case = fused(1, 16, 576, 2, 72, mx.float32, "qk", "interleaved")
    with emulated(watched=False):
        out = launch(*case.arguments())
    case.check(out)


def test_mlx_accepts_the_launch(tmp_path, monkeypatch, capfd):
    """MLX's own metal_kernel takes the call, within mx.compile too.

    An export traces it without Metal and prints what it would compile.
    """
    make = mx.fast.metal_kernel
    monkeypatch.setattr(
        mx.fast, "metal_kernel", lambda **given: partial(make(**given), verbose=True)
    )
    monkeypatch.setattr(mx, "contiguous", lambda x: x)  # which an export can't write down
    rope = Rotary(*tables(5, 64), "half")
    found = []

    @mx.compile
    def call(qkv):
        q = qkv[:, :, :, 0]
        k = qkv[:, :, :, 1]
        v = qkv[:, :, :, 2]
        out = launch(q, k, v, weights(64, 1), None, rope, 0.125, 1e-6) * 2
        found.append((out.shape, out.dtype))
        return out

    qkv = mx.zeros((2, 5, 3, 3, 2, 64), mx.bfloat16)
    mx.export_function(str(tmp_path / "call.mlxfn"), call, qkv)
    assert set(found) == {((2, 5, 3, 128), mx.bfloat16)}
    instance = "mlxvid_temporal_attention__bfloat16_t_64_1_1_4_0_1_0_2_"
    assert f"[[kernel]] void custom_kernel_{instance}" in capfd.readouterr().out


@pytest.mark.skipif(
    not mx.metal.is_available(), reason="there is no Metal device; the emulator stands in for it"
)
def test_every_variant_on_a_real_device():
    for (D, dtype, norm, pairing, frames), name in zip(VARIANTS, NAMES, strict=True):
        for T in frames:
            case = fused(2, T, 3, 2, D, dtype, norm, pairing, seed=T)
            case.check(launch(*case.arguments()), f"{name} at T = {T}")


@pytest.mark.usefixtures("compiler")
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("D", HEADS)
@pytest.mark.parametrize(
    "norm, pairing", list(itertools.product(["", "qk"], [None, "interleaved", "half"]))
)
def test_every_length(D, dtype, norm, pairing):
    for T in range(1, 65):
        case = fused(1 + T % 2, T, 1 + T % 3, 1 + T % 4 // 2, D, dtype, norm, pairing, seed=T)
        with emulated(watched=False, order=T % 4):
            out = launch(*case.arguments())
        case.check(out)


# ---- dispatch


def reached(call) -> int:
    """The number of kernels that a call launches."""
    with emulated(watched=False) as log:
        mx.eval(call())
    return len(log.log)


@pytest.mark.usefixtures("compiler")
def test_public_function_reaches_the_kernel_and_agrees_with_the_plain_path(monkeypatch):
    qkv = mx.random.normal((2, 5, 3, 3, 2, 64), key=mx.random.key(0))
    rope = Rotary(*tables(5, 64), "half")

    def call():
        return temporal_attention(qkv, weights(64, 1), None, rope)

    plain = call()
    with emulated(watched=False) as log:
        kernel = call()
        assert len(log.log) == 1
        monkeypatch.setenv("MLXVID_KERNELS", "0")
        assert mx.array_equal(call(), plain)
        assert len(log.log) == 1
    assert 0 < mx.abs(kernel - plain).max() < 2e-6


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "shape, dtype, launches",
    [
        ((1, 8, 1, 3, 1, 64), mx.float32, 1),
        ((1, 8, 1, 3, 1, 80), mx.float32, 0),
        ((1, 8, 1, 3, 1, 32), mx.float32, 0),
        ((1, 65, 1, 3, 1, 64), mx.float32, 0),
        ((1, 49, 1, 3, 1, 64), mx.float32, 0),
        ((1, 0, 1, 3, 1, 64), mx.float32, 0),
        ((0, 8, 1, 3, 1, 64), mx.float32, 0),
    ],
)
def test_shapes_without_a_kernel_take_the_plain_path(shape, dtype, launches):
    qkv = mx.random.normal(shape, key=mx.random.key(0)).astype(dtype)
    assert reached(lambda: temporal_attention(qkv)) == launches


@pytest.mark.usefixtures("compiler")
def test_mixed_types_take_the_plain_path():
    q, k, v = mx.random.normal((3, 1, 4, 1, 1, 64), key=mx.random.key(0))
    assert reached(lambda: temporal_attention_split(q, k, v.astype(mx.float16))) == 0


@pytest.mark.usefixtures("compiler")
def test_gradients_are_the_plain_path_s():
    qkv = mx.random.normal((1, 5, 3, 3, 2, 64), key=mx.random.key(0))
    weight = weights(64, 1)
    rope = Rotary(*tables(5, 64), "half")
    pull = mx.random.normal((1, 5, 3, 128), key=mx.random.key(1))

    def loss(x, w):
        return (temporal_attention(x, w, None, rope) * pull).sum()

    plain = mx.grad(loss, argnums=(0, 1))(qkv, weight)
    with emulated(watched=False) as log:
        kernel = mx.grad(loss, argnums=(0, 1))(qkv, weight)
        assert len(log.log) == 1
    assert all(mx.array_equal(a, b) for a, b in zip(plain, kernel, strict=True))


@pytest.mark.usefixtures("compiler")
def test_report_says_on_or_why_not(monkeypatch):
    monkeypatch.delenv("MLXVID_KERNELS", raising=False)
    if not mx.metal.is_available():
        assert device_report()[0][:2] == ("temporal_attention", False)
        assert "no Metal device" in device_report()[0].why
    with emulated():
        assert device_report()[0].on
        monkeypatch.setenv("MLXVID_KERNELS", "0")
        status = device_report()[0]
        assert not status.on and "MLXVID_KERNELS=0" in status.why


@pytest.mark.parametrize("D", HEADS)
def test_layouts_fit(D):
    for T, itemsize in itertools.product(range(1, 65), [2, 4]):
        plan = layout(T, D, itemsize)
        rows = 8 * plan.rows_a_quad * plan.simds
        assert rows - 8 * plan.rows_a_quad < T <= rows
        assert (plan.tubes + plan.stage_v) * rows * D * itemsize <= THREADGROUP_MEMORY
        assert plan.simds == 1 or plan.tubes == 1
        assert 32 * plan.simds * plan.tubes <= 256
        assert plan.simds == 1 or T > 16 or D > 72
