"""The kernels over rows of channels in the emulator, and plain MLX's way, against float64."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import pytest

from mlxvid.kernels import (
    added_and_modulated,
    gelu,
    joined_gelu,
    modulated,
    modulation,
    norm_rotary,
    normed_rotated,
)
from mlxvid.kernels.plain import plain_normed_rotated
from tests.metal_emulator import emulated

from . import row_cases

MODULATIONS = {
    "one vector a clip": lambda: row_cases.modulation((2, 7, 192), (2, 1, 192)),
    "one vector a frame": lambda: row_cases.modulation(
        (2, 3, 5, 1152), (1, 3, 1, 1152), mx.float16, "gated change", mx.float16
    ),
    "one for each row": lambda: row_cases.modulation(
        (2, 5, 132), (1, 5, 132), mx.bfloat16, "change", centred=False
    ),
    "one for all": lambda: row_cases.modulation((3, 4, 1028), (1028,), added="change", offset=0),
    "a weight": lambda: row_cases.modulation(
        (1, 6, 1536), (1, 1, 1536), mx.bfloat16, "gated change", offset=0
    ),
    "no shift": lambda: row_cases.modulation(
        (2, 3, 192), (1, 1, 192), added="gated change", centred=False, offset=0, shifted=False
    ),
    "wide, strong eps": lambda: row_cases.modulation(
        (1, 2, 5120), (1, 1, 5120), mx.float16, eps=0.7
    ),
    "a front of each item": lambda: row_cases.modulation(
        (2, 7, 192), (2, 2, 192), mx.bfloat16, "gated change", front=3
    ),
    "a front, one pair for all": lambda: row_cases.modulation(
        (2, 5, 132), (1, 2, 132), centred=False, front=2
    ),
}
HEADS = {
    "each head": lambda: row_cases.heads((2, 5, 3, 64), "heads", pairing="half"),
    "more heads than SIMD-groups": lambda: row_cases.heads((1, 4, 11, 66), "heads", mx.bfloat16),
    "all heads": lambda: row_cases.heads((2, 3, 12, 128), "row", mx.bfloat16),
    "angles of their own": lambda: row_cases.heads((2, 5, 9, 16), "row", mx.float16, own=True),
    "layer norm": lambda: row_cases.heads((2, 5, 2, 72), "layer"),
    "more tokens": lambda: row_cases.heads((2, 5, 3, 128), "heads", mx.bfloat16, more=2),
    "more tokens, all heads": lambda: row_cases.heads((2, 3, 9, 16), "row", own=True, more=4),
}
JOINED = {
    "float32": lambda: row_cases.joined((2, 5), 12, 48),
    "more channels than threads": lambda: row_cases.joined((3,), 1024, 4096, mx.bfloat16),
    "few channels": lambda: row_cases.joined((2, 3), 4, 4, mx.float16),
}


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", MODULATIONS)
def test_modulation_equals_float64_and_touches_each_byte_once(name):
    case = MODULATIONS[name]()
    with emulated() as log:
        outs = modulation.launch(*case.arguments())
    case.check(outs)
    traffic = log.log[0][3].traffic
    assert traffic["x"].asked == traffic["out"].written == case.x.nbytes
    if case.change is not None:
        assert traffic["change"].asked == traffic["sum"].written == case.x.nbytes


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", HEADS)
def test_norm_and_rotation_equal_float64_and_touch_each_byte_once(name):
    case = HEADS[name]()
    with emulated() as log:
        out = norm_rotary.launch(*case.arguments())
    case.check(out)
    traffic = log.log[0][3].traffic
    assert traffic["x"].asked == case.x.nbytes
    assert traffic["out"].written == out.nbytes
    if case.more is not None:
        assert traffic["more"].asked == case.more[0].nbytes


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", JOINED)
def test_joined_gelu_equals_float64_and_touches_each_byte_once(name):
    case = JOINED[name]()
    with emulated() as log:
        out = gelu.launch(*case.arguments())
    case.check(out)
    traffic = log.log[0][3].traffic
    assert traffic["x"].asked == case.x.nbytes
    assert traffic["inner"].asked == case.inner.nbytes
    assert traffic["out"].written == out.nbytes


@pytest.mark.usefixtures("compiler")
def test_orders_and_poisons_do_not_matter():
    case = MODULATIONS["one vector a frame"]()
    with emulated(order=0, poison=0xFF):
        first = modulation.launch(*case.arguments())[1]
        mx.eval(first)
    with emulated(order=2, poison=0x7B):
        assert mx.array_equal(modulation.launch(*case.arguments())[1], first)


@pytest.mark.usefixtures("compiler")
def test_heads_are_read_where_a_fused_projection_left_them():
    case = row_cases.heads((2, 5, 3, 64), "heads", pairing="half")
    parts = mx.stack([case.x * 0, case.x], axis=2)
    case.x = parts[:, :, 1]
    with emulated():
        case.check(norm_rotary.launch(*case.arguments()))


@pytest.mark.parametrize("name", MODULATIONS)
def test_plain_modulation_equals_float64(name):
    case = MODULATIONS[name]()
    vectors = case.shift, case.scale, case.eps
    options = {"centred": case.centred, "offset": case.offset, "front": case.front}
    if case.change is None:
        case.check([modulated(case.x, *vectors, **options)])
    else:
        outs = added_and_modulated(case.x, case.change, case.gate, *vectors, **options)
        case.check(list(outs))


@pytest.mark.parametrize("name", HEADS)
def test_plain_norm_and_rotation_equal_float64(name):
    case = HEADS[name]()
    case.check(plain_normed_rotated(*case.arguments()))


@pytest.mark.parametrize("name", JOINED)
def test_plain_joined_gelu_equals_float64(name):
    case = JOINED[name]()
    case.check(joined_gelu(case.x, case.inner, nn.gelu_approx))


def test_what_the_kernels_do_not_take():
    x = mx.zeros((2, 5, 8))
    assert modulation.refusal(x, mx.zeros((2, 1, 8)), mx.zeros((2, 1, 8))) is None
    assert "6 channels" in str(modulation.refusal(x[..., :6], mx.zeros((6,))))
    assert "element types" in str(modulation.refusal(x.astype(mx.int32), mx.zeros((8,))))
    assert "other axes" in str(modulation.refusal(x, mx.zeros((2, 1, 8)), mx.zeros((1, 1, 8))))
    assert "nothing" in str(modulation.refusal(x[:0], mx.zeros((8,))))
    assert norm_rotary.refusal(mx.zeros((1, 2, 3, 8))) is None
    assert "7 channels" in str(norm_rotary.refusal(mx.zeros((1, 2, 3, 7))))
    assert "nothing" in str(norm_rotary.refusal(mx.zeros((1, 0, 3, 8))))
    assert "element types" in str(norm_rotary.refusal(mx.zeros((1, 2, 3, 8), mx.int32)))
    assert modulation.refusal(x, mx.zeros((2, 2, 8)), front=1) is None
    assert "other axes" in str(modulation.refusal(x, mx.zeros((2, 1, 8)), front=1))
    assert gelu.refusal(x, x) is None
    assert "6 and 8 channels" in str(gelu.refusal(x[..., :6], x))
    assert "element types" in str(gelu.refusal(x, x.astype(mx.float16)))
    assert "nothing" in str(gelu.refusal(x[:0], x[:0]))


def test_tokens_of_another_type_are_joined_by_plain_mlx():
    tokens = (mx.zeros((2, 5, 3, 8)), mx.zeros((8,)))
    assert not norm_rotary.unlike(tokens, tokens)
    assert norm_rotary.unlike((tokens[0].astype(mx.float16), tokens[1]), tokens)
    assert norm_rotary.unlike((tokens[0], mx.zeros((24,))), tokens)


@pytest.mark.parametrize(
    "shape, vectors, expected",
    [
        ((2, 7, 8), (2, 1, 8), 7),
        ((2, 7, 8), (1, 1, 8), 14),
        ((2, 7, 8), (8,), 14),
        ((2, 7, 8), (1, 7, 8), 1),
        ((2, 3, 5, 8), (1, 3, 1, 8), 5),
        ((2, 3, 5, 8), (2, 1, 5, 8), 0),
        ((2, 7, 8), (7, 8), 0),
        ((2, 7, 8), (2, 1, 4), 0),
    ],
)
def test_rows_that_share_a_vector(shape, vectors, expected):
    assert modulation.repeats(shape, vectors) == expected


@pytest.mark.usefixtures("compiler")
def test_calls_reach_the_kernels_unless_they_are_off(monkeypatch):
    case = MODULATIONS["one vector a clip"]()
    rotary = HEADS["each head"]()
    more = row_cases.heads((2, 5, 3, 64), "heads", more=2)

    def call() -> None:
        mx.eval(modulated(case.x, case.shift, case.scale, case.eps))
        mx.eval(added_and_modulated(case.x, case.x, None, case.shift, case.scale, case.eps))
        mx.eval(normed_rotated(rotary.x, rotary.weight, rotary.rope))
        mx.eval(normed_rotated(rotary.x, rotary.weight, more.rope, more=more.more))
        mx.eval(joined_gelu(case.x, case.x, nn.gelu_approx))

    with emulated() as log:
        call()
    names = [entry[0] for entry in log.log]
    assert names == [
        "mlxvid_modulation",
        "mlxvid_added_modulation",
        "mlxvid_norm_rotary",
        "mlxvid_two_norms_rotary",
        "mlxvid_joined_gelu",
    ]
    monkeypatch.setenv("MLXVID_KERNELS", "0")
    with emulated() as log:
        call()
    assert not log.log
