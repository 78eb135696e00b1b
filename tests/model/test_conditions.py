"""Conditions: rows of a batch, and what of them has an axis of latent frames."""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.model.conditions import Conditions


def numbered(*shape: int, first: int = 0) -> mx.array:
    size = 1
    for side in shape:
        size *= side
    return (mx.arange(size) + first).reshape(shape)


@pytest.fixture
def conditions() -> Conditions:
    """Text [2, 3, 4], latents with frames on axis 1 and positions with frames on axis 2."""
    arrays = {
        "text": numbered(2, 3, 4),
        "latents": numbered(2, 5, 1, 1, 3),
        "positions": numbered(2, 2, 5),
    }
    return Conditions(arrays, {"latents": 1, "positions": 2})


def assert_same(a: Conditions, b: Conditions) -> None:
    assert a.keys() == b.keys()
    assert a.frame_axes == b.frame_axes
    for name, array in a.items():
        assert mx.array_equal(array, b[name]), name


def test_it_is_a_mapping(conditions):
    assert list(conditions) == ["text", "latents", "positions"]
    assert len(conditions) == 3
    assert "text" in conditions and "image" not in conditions
    assert conditions.get("image") is None
    with pytest.raises(KeyError):
        conditions["image"]


def test_frame_axes_are_those_of_arrays_that_are_there(conditions):
    assert conditions.frame_axes == {"latents": 1, "positions": 2}
    assert Conditions({"text": mx.zeros((1, 2))}, {"latents": 1}).frame_axes == {}
    assert Conditions({}).frame_axes == {}


def test_a_window_cuts_what_has_frames_and_leaves_the_rest(conditions):
    window = conditions.window(1, 4)
    assert mx.array_equal(window["text"], conditions["text"])
    assert mx.array_equal(window["latents"], conditions["latents"][:, 1:4])
    assert mx.array_equal(window["positions"], conditions["positions"][:, :, 1:4])
    assert window.frame_axes == conditions.frame_axes
    # The frames of a window are counted anew.
    assert_same(window.window(1, 3), conditions.window(2, 4))
    assert_same(conditions.window(0, 5), conditions)


def test_rows_stacked_again_are_the_batch(conditions):
    rows = [conditions.row(i) for i in range(2)]
    assert all(len(array) == 1 for row in rows for array in row.values())
    assert mx.array_equal(rows[1]["text"], conditions["text"][1:])
    assert_same(Conditions.stacked(rows), conditions)
    assert_same(Conditions.stacked(rows[:1]), rows[0])


def test_what_is_joined_wins(conditions):
    others = Conditions({"text": mx.ones((2, 1)), "edit": mx.ones((2, 5))}, {"edit": 1})
    joined = conditions.joined(others)
    assert list(joined) == ["text", "latents", "positions", "edit"]
    assert mx.array_equal(joined["text"], others["text"])
    assert joined.frame_axes == {"latents": 1, "positions": 2, "edit": 1}
    assert list(conditions) == ["text", "latents", "positions"]  # unchanged


def test_arrays_added_or_replaced(conditions):
    more = conditions.with_arrays(latents=mx.zeros((2, 5, 2)), image=mx.zeros((2, 7)))
    assert more["latents"].shape == (2, 5, 2)
    assert more["image"].shape == (2, 7)
    assert more.frame_axes == conditions.frame_axes
    assert more.window(0, 2)["latents"].shape == (2, 2, 2)
    assert "image" not in conditions


def test_only_some(conditions):
    only = conditions.only("positions", "text")
    assert list(only) == ["positions", "text"]
    assert only.frame_axes == {"positions": 2}
    with pytest.raises(KeyError):
        conditions.only("image")
