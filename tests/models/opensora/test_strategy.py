"""Open-Sora's mask strategies, loops, prompts and names for sizes: what they mean, and what is said
of wrong ones.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.models.opensora.sizes import named_length, named_size
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
WRITE = "write up to six numbers: loop, reference, its start, start, length, edit ratio."


def reference(frames: int, number: float = 1.0) -> mx.array:
    """Latents in which each frame can be told: number + its index / 100."""
    return mx.broadcast_to(
        (number + mx.arange(frames) / 100)[None, :, None, None, None], (1, frames, *SHAPE[2:])
    )


def placed(
    strategy: str, *references: mx.array, loop: int = 0, align: int | None = 5
) -> tuple[list[float], list[float]]:
    """The first value of each frame that was put in, and the edit ratios."""
    given, edit = put_in(SHAPE, references, parse_strategy(strategy), loop, align)
    assert given.shape == SHAPE and edit.shape == (1, 15) and edit.dtype == np.float32
    return [round(value, 2) for value in given[0, :, 0, 0, 0].tolist()], np.round(
        edit[0], 2
    ).tolist()


def test_golden():
    results = list(text.check(Path(__file__).parents[2] / "golden" / "opensora12"))
    assert len(results) == 5
    for name, error, tolerance in results:
        assert error <= tolerance, name


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ("a", "'a' is no part of a mask strategy; " + WRITE),
        ("0;", "'' is no part of a mask strategy; " + WRITE),
        ("0,0,0.5", "'0,0,0.5' is no part of a mask strategy; " + WRITE),
        ("0,,0", "'0,,0' is no part of a mask strategy; " + WRITE),
        ("0,0,0,0,1,0,0", "'0,0,0,0,1,0,0' is no part of a mask strategy; " + WRITE),
        ("-1", "Loops and references in a mask strategy are counted from 0."),
        ("0,-1", "Loops and references in a mask strategy are counted from 0."),
        ("0,0,0,0,0", "A mask strategy gives at least 1 frame at a time, not 0."),
        ("0,0,0,0,1,1.5", "An edit ratio in a mask strategy is from 0 to 1, not 1.5."),
        ("0,0,0,0,1,-0.1", "An edit ratio in a mask strategy is from 0 to 1, not -0.1."),
        ("0,0,0,0,1,nan", "An edit ratio in a mask strategy is from 0 to 1, not nan."),
    ],
)
def test_strategies_that_mean_nothing(strategy, sentence):
    with pytest.raises(SettingError) as error:
        parse_strategy(strategy)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("strategy", "references", "sentence"),
    [
        ("0", [], "The mask strategy asks for reference 0, but there is none."),
        (
            "0,2",
            [1, 1],
            "The mask strategy asks for reference 2, but those given are numbered 0 to 1.",
        ),
        ("0,0,1", [1], "The mask strategy asks for latent frame 1 of reference 0, which has 1."),
        ("0,0,-6", [5], "The mask strategy asks for latent frame -6 of reference 0, which has 5."),
        ("0,0,0,15", [1], "The mask strategy asks for latent frame 15 of the clip, which has 15."),
        (
            "0,0,0,-16",
            [1],
            "The mask strategy asks for latent frame -16 of the clip, which has 15.",
        ),
    ],
)
def test_strategies_for_frames_that_there_are_not(strategy, references, sentence):
    with pytest.raises(SettingError) as error:
        placed(strategy, *map(reference, references))
    assert str(error.value) == sentence


def test_a_reference_of_another_size_is_refused():
    with pytest.raises(SettingError) as error:
        put_in(SHAPE, [mx.zeros((1, 1, 2, 2, 4))], parse_strategy("0"))
    assert (
        str(error.value)
        == "Reference 0 has another size than the clip; encode it at the clip's size."
    )


def test_a_picture_stands_first():
    values, edit = placed("0", reference(1))
    assert values == [1.0] + [0.0] * 14 and edit == [0.0] + [1.0] * 14


def test_first_and_last_picture():
    """Aligned, the last frame's place is the last chunk's beginning, as in the reference."""
    assert (
        placed("0;0,1,0,-1,1", reference(1), reference(1, 2.0))[0]
        == [1.0] + [0.0] * 9 + [2.0] + [0.0] * 4
    )
    assert placed("0;0,1,0,-1,1", reference(1), reference(1, 2.0), align=None)[0] == [1.0] + [
        0.0
    ] * 13 + [2.0]


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
    one, strategy = reference(3), parse_strategy("0,0,0,0,3,0.5")
    put_in(SHAPE, [one], strategy)
    assert (one == reference(3)).all() and strategy == [Given(0, 0, 0, 0, 3, 0.5)]


def test_starts_are_rounded_to_whole_chunks():
    assert [aligned(value, 4, 30) for value in (1, 2, 3, 23, 26, 27, 29)] == [
        0,
        0,
        4,
        24,
        24,
        24,
        28,
    ]


@pytest.mark.parametrize(
    "prompt",
    ["|0|a|2", "|0|a|x|b", "|0|a|0|b", "|0|a|3|b|2|c", "|0|a|-1|b", "|0|a|b|", "|0|a|1.5|b"],
)
def test_markers_that_are_wrong(prompt):
    with pytest.raises(SettingError) as error:
        split_prompt(prompt)
    assert (
        str(error.value)
        == "The prompt's loop markers must be ascending whole numbers, each before a text: |0|a text|2|another text."
    )


def test_a_prompt_without_markers_holds_in_every_loop():
    parts = split_prompt("a cat | a dog")
    assert parts == [(0, "a cat | a dog")]
    assert prompt_of(parts, 0) == prompt_of(parts, 7) == "a cat | a dog"
    assert split_prompt("|0| a cat |12| a dog") == [(0, "a cat"), (12, "a dog")]


def test_scores_that_the_prompt_has_already():
    scored = with_scores("a cat", aesthetic=6.5, motion=5, camera="zoom in")
    assert scored == "a cat aesthetic score: 6.5. motion score: 5.0. camera motion: zoom in."
    assert with_scores(scored, aesthetic=4.0, motion=1, camera="pan left") == scored


def test_names_that_there_are_not():
    for call, sentence in (
        (
            lambda: named_size("500p", "9:16"),
            "There is no resolution '500p'; use one of: 144p, 240p, 360p, 480p, 720p, 1080p, 2k, 4k.",
        ),
        (
            lambda: named_size("240p", "16:10"),
            "There is no aspect '16:10' (height to width); use one of: 3:8, 9:21, 12:25, 1:2, 9:17, 27:50, 9:16, 5:8, 2:3, 3:4, 1:1, 4:3, "
            "3:2, 16:9, 17:9, 2:1, 50:27.",
        ),
        (
            lambda: named_length("3s"),
            "There is no length '3s'; use one of: 1x, 2x, 4x, 8x, 16x, 2s, 4s, 8s, 16s, 32s.",
        ),
    ):
        with pytest.raises(SettingError) as error:
            call()
        assert str(error.value) == sentence
