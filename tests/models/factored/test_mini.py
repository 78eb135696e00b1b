"""The embedded model: what is in the package is what the catalog says, and it draws what it is
asked for.
"""

from __future__ import annotations

import socket

import numpy as np
import pytest

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.generate import main
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.model.memory import read_weights

ENTRY = CATALOG["mini"]
PROMPT = "a red ball moving left on a white background"


@pytest.fixture(scope="module")
def mini():
    return mlxvid.load("mini")


def test_the_package_stays_small(mini):
    files = [path for path in ENTRY.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 24 * 2**20
    assert {dtype for types in read_weights(ENTRY.folder).values() for dtype in types} <= {
        "float16",
        "bfloat16",
    }


def test_the_catalog_tells_the_truth(mini):
    assert (mini.family.geometry, mini.family.defaults) == (ENTRY.geometry, ENTRY.defaults)
    assert (
        mini.family.capabilities == ENTRY.capabilities
        and mini.family.attention_modes == ENTRY.attention_modes
    )
    bits = {"float16": 2, "bfloat16": 2}
    counts = {
        part: sum(size // bits[dtype] for dtype, size in types.items())
        for part, types in read_weights(ENTRY.folder).items()
    }
    assert counts == ENTRY.footprint.parameters


def test_it_knows_its_words(mini):
    tokenizer, unknown = mini.family.tokenizer, mini.family.tokenizer.model.unk_id()
    words = mini.family.knows.words
    assert {"red", "ball", "left"} <= set(words) and unknown not in tokenizer.model.encode(
        " ".join(words)
    )
    assert mini.family.advice(PROMPT) is None
    assert mini.family.advice("a dragon over Paris").startswith(
        "Not known to this model: dragon, over, paris. "
    )


def test_a_clip_without_the_network(mini, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was asked"))
    clip = mini.generate(PROMPT, seed=1, steps=8)
    d = ENTRY.defaults
    assert clip.frames.shape == (d.frames, d.height, d.width, 3) and clip.fps == d.fps
    assert (clip.settings["model"], clip.settings["revision"]) == ("mini", None)
    # White ground; something red on it, which goes left.
    corner = clip.frames[:, :6, :6].reshape(-1, 3).mean(0)
    assert corner.min() > 180
    red = clip.frames[..., 0].astype(float) - clip.frames[..., 1:].max(-1)
    columns = [
        float(
            (np.maximum(red[i] - 60, 0).sum(0) * np.arange(d.width)).sum()
            / np.maximum(red[i] - 60, 0).sum()
        )
        for i in (2, -3)
    ]
    assert columns[1] < columns[0] - 5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_draws_the_same(mini, dtype):
    """On Metal the weights stay in the type that they are stored in."""
    asked = dict(prompt=PROMPT, seed=1, steps=3, frames=5, width=48, height=48)
    half, full = (
        model.generate(**asked).frames.astype(int)
        for model in (mlxvid.load("mini", dtype=dtype), mini)
    )
    assert np.abs(half - full).mean() < 4


@pytest.mark.parametrize("attention", ATTENTION_MODES)
def test_all_sizes_and_modes_run(mini, attention):
    clip = mini.generate(
        PROMPT, seed=1, steps=2, frames=5, width=64, height=48, attention=attention
    )
    assert clip.frames.shape == (5, 48, 64, 3)


def test_a_clip_begins_with_the_picture_that_is_given(mini):
    prompt = "a large blue square rising on a navy background"
    still = mini.generate(prompt, seed=1, steps=8, frames=1).frames[0].astype(int)
    given, free = (
        mini.generate(prompt, seed=2, steps=8, frames=9, image=image).frames[0]
        for image in (still.astype(np.uint8), None)
    )
    assert np.abs(given - still).mean() < 0.5 * np.abs(free - still).mean()


def test_any_prompt_gives_a_clip(mini, caplog):
    assert mini.generate(
        "Ein Drache über Paris 🐉", seed=1, steps=2, frames=5, width=48, height=48
    ).frames.shape == (5, 48, 48, 3)
    assert any("Not known to this model: " in record.getMessage() for record in caplog.records)


def test_from_the_command(mini, tmp_path, capsys):
    flags = [
        "--prompt",
        PROMPT,
        "--frames",
        "5",
        "--width",
        "48",
        "--height",
        "48",
        "--steps",
        "2",
        "--seed",
        "1",
        "--progress",
        "none",
    ]
    assert main([*flags, "-o", str(tmp_path / "one")]) == 0
    assert (
        main(["--from", str(tmp_path / "one"), "-o", str(tmp_path / "two"), "--progress", "none"])
        == 0
    )
    one, two = (mlxvid.Clip.load(tmp_path / name) for name in ("one", "two"))
    assert (
        np.array_equal(one.frames, two.frames)
        and one.settings == two.settings
        and one.settings["model"] == "mini"
    )
