"""What the three ways of attention cost: pairs as the plan counts them, measured on every family
that has them, and printed.
"""

from __future__ import annotations

import json

import mlx.core as mx
import pytest

from mlxvid import plan as plan_module
from mlxvid.catalog import CATALOG
from mlxvid.errors import SettingError
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.run import attention_costs as growth
from mlxvid.run.planning import plan

SMALL = {"mini": (17, 32, 48), "latte-1": (16, 32, 48), "opensora-1.2": (34, 40, 56)}


def test_every_model_with_three_ways_is_measured():
    assert set(SMALL) == {
        name for name, entry in CATALOG.items() if "attention" in entry.capabilities
    }
    assert set(growth.FAMILIES) == {CATALOG[name].family for name in SMALL}


@pytest.mark.parametrize("name", SMALL)
def test_pairs_are_the_plan_s(name):
    frames, height, width = SMALL[name]
    entry, counts = CATALOG[name], plan(name, frames=frames, width=width, height=height)
    blocks = growth.blocks_of(entry, width, height)
    assert (blocks.heads, blocks.head_dim) == (entry.footprint.heads, entry.footprint.head_dim)
    (row,) = growth.rows(blocks, [counts.latent_shape[0]], repeats=1)
    assert row.tokens == counts.tokens
    assert row.pairs == {
        "factored": counts.pairs_factored,
        "full": counts.pairs_full,
        "spatial": counts.pairs_spatial,
    }
    assert tuple(row.milliseconds) == ATTENTION_MODES and min(row.milliseconds.values()) > 0


def test_the_ways_are_not_the_same_work():
    """The network that is measured gives another answer in each."""
    blocks = growth.Blocks("latte", 2, 72, 1, channels=4, latent=(4, 4), patch=(1, 2, 2))
    call, x = (
        growth.FAMILIES["latte"](blocks, 4),
        mx.random.normal((1, 4, 4, 4, 4), key=mx.random.key(1)),
    )
    results = [call(x, mode) for mode in ATTENTION_MODES]
    assert all(
        mx.abs(a - b).max() > 0 for a, b in zip(results, [*results[1:], results[0]], strict=True)
    )


def test_lengths():
    assert [growth.lengths_to(n) for n in (1, 2, 3, 15, 16, 120)] == [
        [1],
        [1, 2],
        [1, 2, 3],
        [4, 8, 15],
        [4, 8, 16],
        [30, 60, 120],
    ]


def test_a_model_with_one_way_is_refused():
    with pytest.raises(SettingError) as error:
        growth.blocks_of(CATALOG["wan2.1-t2v-1.3b"], 64, 64)
    assert str(error.value) == (
        "wan2.1-t2v-1.3b attends in one way only; --growth is for models that have three: mini, latte-1, opensora-1.2."
    )


def test_the_command(capsys):
    flags = ["--model", "mini", "--frames", "9", "--width", "32", "--height", "32", "--growth"]
    assert plan_module.main(flags) == 0
    table = capsys.readouterr().out.split("here:\n\n")[1].splitlines()
    assert table[0].startswith("| latent frames | tokens | pairs, factored |") and table[
        0
    ].endswith(" | full / factored |")
    assert [line.split(" | ")[0] for line in table[2:]] == ["| 1", "| 2", "| 3"]
    assert plan_module.main([*flags, "--json"]) == 0
    assert [row["latent_frames"] for row in json.loads(capsys.readouterr().out)["growth"]] == [
        1,
        2,
        3,
    ]
    by_hand = [
        "--frames",
        "8",
        "--width",
        "64",
        "--height",
        "64",
        "--t-factor",
        "4",
        "--s-factor",
        "8",
        "--channels",
        "16",
        "--growth",
    ]
    assert plan_module.main(by_hand) == 2
    assert (
        capsys.readouterr().err
        == "A geometry by hand stands in place of a model: leave out --growth or the geometry.\n"
    )
