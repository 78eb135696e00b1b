"""What the three ways of attention cost: pairs as the plan counts them, measured on every family
that has them, and printed.
"""

from __future__ import annotations

import dataclasses
import json

import mlx.core as mx
import pytest

from mlxvid import plan as plan_command
from mlxvid.catalog import CATALOG
from mlxvid.errors import SettingError
from mlxvid.model.attention_call import Blocks
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.run import attention_costs
from mlxvid.run.planning import plan
from tests.facts import facts

FACTORED = [card for card in CATALOG.values() if "attention" in card.takes]
SIDES = (40, 48)


def small_frames(card) -> int:
    """The most frames of up to 17 that the model makes as they are."""
    counts = [n for n in range(2, 18) if card.geometry.round_frames(n)[1] is None]
    return max(counts)


def test_some_models_attend_in_three_ways():
    assert len({card.family.name for card in FACTORED}) >= 3
    assert all(set(card.attention_modes) == set(ATTENTION_MODES) for card in FACTORED)


@pytest.mark.parametrize("card", FACTORED, ids=lambda card: card.name)
def test_pairs_are_the_plan_s(card):
    width, height, _ = card.geometry.round_size(*SIDES)
    counts = plan(card.name, frames=small_frames(card), width=width, height=height)
    blocks = attention_costs.blocks_of(card, width, height)
    assert (blocks.heads, blocks.head_dim) == (card.heads, card.head_dim)
    (row,) = attention_costs.rows(card, blocks, [counts.latent_shape[0]], repeats=1)
    assert row.tokens == counts.tokens
    assert row.pairs == {
        "factored": counts.pairs_factored,
        "full": counts.pairs_full,
        "spatial": counts.pairs_spatial,
    }
    assert tuple(row.milliseconds) == ATTENTION_MODES
    assert min(row.milliseconds.values()) > 0


@pytest.mark.parametrize("card", FACTORED, ids=lambda card: card.name)
def test_the_ways_are_not_the_same_work(card):
    """The network that is measured gives another answer in each."""
    blocks = Blocks(2, 72, 1, channels=4, latent=(4, 4), patch=(1, 2, 2))
    call = card.family.load(card.family.model).attention_call(blocks, 4)
    x = mx.random.normal((1, 4, 4, 4, 4), key=mx.random.key(1))
    factored, full, spatial = (call(x, mode) for mode in ATTENTION_MODES)
    assert mx.abs(factored - full).max() > 0
    assert mx.abs(full - spatial).max() > 0
    assert mx.abs(spatial - factored).max() > 0


@pytest.mark.parametrize(
    ("latent_frames", "lengths"),
    [
        (1, [1]),
        (2, [1, 2]),
        (3, [1, 2, 3]),
        (15, [4, 8, 15]),
        (16, [4, 8, 16]),
        (120, [30, 60, 120]),
    ],
)
def test_lengths(latent_frames, lengths):
    assert attention_costs.lengths_to(latent_frames) == lengths


def test_a_model_with_one_way_is_refused():
    full_only = dataclasses.replace(CATALOG["mini"], name="full-only", takes=frozenset())
    others = [card.name for card in FACTORED]
    with pytest.raises(SettingError, match=facts("full-only", "one way only", *others)):
        attention_costs.blocks_of(full_only, 64, 64)


def test_the_command(capsys):
    flags = "--model mini --frames 9 --width 32 --height 32 --growth".split()
    assert plan_command.main(flags) == 0
    lines = capsys.readouterr().out.splitlines()
    header, _, *body = [line for line in lines if line.startswith("|")]
    assert header.startswith("| latent frames | tokens | pairs, factored |")
    assert header.endswith(" | full / factored |")
    assert [line.split(" | ")[0] for line in body] == ["| 1", "| 2", "| 3"]
    assert plan_command.main([*flags, "--json"]) == 0
    growth = json.loads(capsys.readouterr().out)["growth"]
    assert [row["latent_frames"] for row in growth] == [1, 2, 3]


def test_a_geometry_by_hand_has_no_model_to_measure(capsys):
    size = "--frames 8 --width 64 --height 64"
    by_hand = "--t-factor 4 --s-factor 8 --channels 16 --growth"
    assert plan_command.main(f"{size} {by_hand}".split()) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--growth" in message and "geometry" in message
