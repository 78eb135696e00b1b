"""Open-Sora's mask strategies, loops, prompts and names for sizes, right and wrong ones."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.models.opensora.sizes import ASPECTS, LENGTHS, SIZES, named_length, named_size
from mlxvid.models.opensora.strategy import (
    Given,
    aligned,
    parse_strategy,
    prompt_of,
    put_in,
    split_prompt,
    with_scores,
)

from .golden import text

SHAPE = (1, 15, 2, 3, 4)


def reference(frames: int, number: float = 1.0) -> mx.array:
    """Latents whose frames have different values: number + their index / 100."""
    values = number + mx.arange(frames) / 100
    return mx.broadcast_to(values[None, :, None, None, None], (1, frames, *SHAPE[2:]))


def placed(
    strategy: str, *references: mx.array, loop: int = 0, align: int | None = 5
) -> tuple[list[float], list[float]]:
    """The first value of each frame of the given latents, and the edit ratios."""
    given, edit = put_in(SHAPE, references, parse_strategy(strategy), loop, align)
    assert given.shape == SHAPE and edit.shape == (1, 15) and edit.dtype == np.float32
    values = [round(value, 2) for value in given[0, :, 0, 0, 0].tolist()]
    return values, np.round(edit[0], 2).tolist()


def assert_facts(error: BaseException, *facts: str) -> None:
    for fact in facts:
        assert fact in str(error)


def test_golden():
    results = list(text.check(Path(__file__).parents[2] / "golden" / "opensora12"))
    assert len(results) == 5
    for name, error, tolerance in results:
        assert error <= tolerance, name


@pytest.mark.parametrize(
    ("strategy", "facts"),
    [
        ("a", ["'a'", "up to six numbers"]),
        ("0;", ["''", "up to six numbers"]),
        ("0,0,0.5", ["'0,0,0.5'", "up to six numbers"]),
        ("0,,0", ["'0,,0'", "up to six numbers"]),
        ("0,0,0,0,1,0,0", ["'0,0,0,0,1,0,0'", "up to six numbers"]),
        ("-1", ["Loops", "counted from 0"]),
        ("0,-1", ["references", "counted from 0"]),
        ("0,0,0,0,0", ["at least 1 frame", "not 0."]),
        ("0,0,0,0,1,1.5", ["edit ratio", "0 to 1", "not 1.5."]),
        ("0,0,0,0,1,-0.1", ["edit ratio", "0 to 1", "not -0.1."]),
        ("0,0,0,0,1,nan", ["edit ratio", "0 to 1", "not nan."]),
    ],
)
def test_strategies_that_mean_nothing(strategy, facts):
    with pytest.raises(SettingError) as error:
        parse_strategy(strategy)
    assert_facts(error.value, "mask strategy", *facts)


@pytest.mark.parametrize(
    ("strategy", "references", "facts"),
    [
        ("0", [], ["reference 0,", "none"]),
        ("0,2", [1, 1], ["reference 2,", "0 to 1"]),
        ("0,0,1", [1], ["frame 1 of reference 0", "has 1."]),
        ("0,0,-6", [5], ["frame -6 of reference 0", "has 5."]),
        ("0,0,0,15", [1], ["frame 15 of the clip", "has 15."]),
        ("0,0,0,-16", [1], ["frame -16 of the clip", "has 15."]),
    ],
)
def test_strategies_for_frames_that_do_not_exist(strategy, references, facts):
    with pytest.raises(SettingError) as error:
        placed(strategy, *map(reference, references))
    assert_facts(error.value, "mask strategy", *facts)


def test_a_reference_of_another_size_is_refused():
    with pytest.raises(SettingError) as error:
        put_in(SHAPE, [mx.zeros((1, 1, 2, 2, 4))], parse_strategy("0"))
    assert_facts(error.value, "Reference 0", "another size", "encode it at the clip's size")


def test_a_picture_stands_first():
    values, edit = placed("0", reference(1))
    assert values == [1.0] + [0.0] * 14 and edit == [0.0] + [1.0] * 14


def test_first_and_last_picture():
    """Aligned, the last picture is at the last chunk's beginning, as in the reference."""
    both = (reference(1), reference(1, 2.0))
    values, _ = placed("0;0,1,0,-1,1", *both)
    assert values == [1.0] + [0.0] * 9 + [2.0] + [0.0] * 4
    values, _ = placed("0;0,1,0,-1,1", *both, align=None)
    assert values == [1.0] + [0.0] * 13 + [2.0]


def test_parts_of_other_loops_are_left_out():
    values, edit = placed("0;1,1,-5,0,5,0.25", reference(1), reference(15, 2.0), loop=1)
    assert values == [2.1, 2.11, 2.12, 2.13, 2.14] + [0.0] * 10 and edit == [0.25] * 5 + [1.0] * 10
    assert placed("1", reference(1)) == ([0.0] * 15, [1.0] * 15)


def test_lengths_are_cut_at_either_end():
    values, _ = placed("0,0,3,12,9", reference(6), align=None)
    assert values == [0.0] * 12 + [1.03, 1.04, 1.05]
    values, _ = placed("0,0,0,13,9", reference(6), align=None)
    assert values == [0.0] * 13 + [1.0, 1.01]


def test_the_later_part_holds_where_two_overlap():
    values, edit = placed("0,0,0,0,3,0.5;0,1,0,1,1", reference(3), reference(1, 2.0), align=None)
    assert values[:4] == [1.0, 2.0, 1.02, 0.0] and edit[:4] == [0.5, 0.0, 0.5, 1.0]


def test_nothing_changes_in_the_reference_or_the_strategy():
    one = reference(3)
    strategy = parse_strategy("0,0,0,0,3,0.5")
    put_in(SHAPE, [one], strategy)
    assert (one == reference(3)).all() and strategy == [Given(0, 0, 0, 0, 3, 0.5)]


def test_starts_are_rounded_to_whole_chunks():
    starts = {1: 0, 2: 0, 3: 4, 23: 24, 26: 24, 27: 24, 29: 28}
    assert {value: aligned(value, 4, 30) for value in starts} == starts


@pytest.mark.parametrize(
    "prompt",
    ["|0|a|2", "|0|a|x|b", "|0|a|0|b", "|0|a|3|b|2|c", "|0|a|-1|b", "|0|a|b|", "|0|a|1.5|b"],
)
def test_markers_that_are_wrong(prompt):
    with pytest.raises(SettingError) as error:
        split_prompt(prompt)
    assert_facts(error.value, "loop markers", "ascending whole numbers", "|0|a text|2|")


def test_a_prompt_without_markers_holds_in_every_loop():
    parts = split_prompt("a cat | a dog")
    assert parts == [(0, "a cat | a dog")]
    assert prompt_of(parts, 0) == prompt_of(parts, 7) == "a cat | a dog"
    assert split_prompt("|0| a cat |12| a dog") == [(0, "a cat"), (12, "a dog")]


def test_scores_that_the_prompt_has_already():
    scored = with_scores("a cat", aesthetic=6.5, motion=5, camera="zoom in")
    assert scored == "a cat aesthetic score: 6.5. motion score: 5.0. camera motion: zoom in."
    assert with_scores(scored, aesthetic=4.0, motion=1, camera="pan left") == scored


@pytest.mark.parametrize(
    ("call", "arguments", "facts"),
    [
        (named_size, ("500p", "9:16"), ["resolution '500p'", *SIZES]),
        (named_size, ("240p", "16:10"), ["aspect '16:10'", "height to width", *ASPECTS]),
        (named_length, ("3s",), ["length '3s'", *LENGTHS]),
    ],
)
def test_names_that_do_not_exist(call, arguments, facts):
    with pytest.raises(SettingError) as error:
        call(*arguments)
    assert_facts(error.value, "use one of: ", *facts)
