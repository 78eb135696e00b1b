"""The embedded model: what is in the package is what the catalog says, and it draws what it is
asked for.
"""

from __future__ import annotations

import socket

import numpy as np
import pytest

import mlxvid
from mlxvid import models
from mlxvid.catalog import CATALOG
from mlxvid.generate import main
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.weights.sizes import read_sizes

CARD = CATALOG["mini"]
PROMPT = "a red ball moving left on a white background"
SMALL = dict(seed=1, steps=2, frames=5, width=48, height=48)


@pytest.fixture(scope="module")
def mini():
    return mlxvid.load("mini")


def test_the_package_stays_small():
    files = [path for path in CARD.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 24 * 2**20
    stored = {dtype for types in read_sizes(CARD.folder).values() for dtype in types}
    assert stored <= {"float16", "bfloat16"}


def test_the_catalog_tells_the_truth(mini):
    read = models.card_of(CARD.folder)
    for card in (read, mini.model.card):
        assert card.geometry == CARD.geometry
        assert card.defaults == CARD.defaults
        assert card.takes == CARD.takes
        assert card.attention_modes == CARD.attention_modes
        assert card.samplers == CARD.samplers
        assert (card.heads, card.head_dim) == (CARD.heads, CARD.head_dim)
    counts = {
        part: sum(size // 2 for size in types.values())  # of types of two bytes
        for part, types in read_sizes(CARD.folder).items()
    }
    assert counts == CARD.parameters


def test_it_knows_its_words(mini):
    tokenizer = mini.model.tokenizer
    words = mini.model.card.knows.words
    assert {"red", "ball", "left"} <= set(words)
    assert tokenizer.model.unk_id() not in tokenizer.model.encode(" ".join(words))
    assert mini.model.advice(PROMPT) is None
    advice = mini.model.advice("a dragon over Paris")
    assert "dragon, over, paris" in advice.partition(".")[0]


def column_of_red(frame: np.ndarray) -> float:
    """Where what is red in a frame lies, in pixels from the left."""
    red = frame[..., 0].astype(float) - frame[..., 1:].max(-1)
    weight = np.maximum(red - 60, 0).sum(0)
    return float((weight * np.arange(len(weight))).sum() / weight.sum())


def test_a_clip_without_the_network(mini, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the network was asked"))
    clip = mini.generate(PROMPT, seed=1, steps=8)
    usual = CARD.defaults
    assert clip.frames.shape == (usual.frames, usual.height, usual.width, 3)
    assert clip.fps == usual.fps
    assert clip.settings["model"] == "mini"
    assert clip.settings["revision"] is None
    # White ground; something red on it, which goes left.
    corner = clip.frames[:, :6, :6].reshape(-1, 3).mean(0)
    assert corner.min() > 180
    assert column_of_red(clip.frames[-3]) < column_of_red(clip.frames[2]) - 5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_draws_the_same(mini, dtype):
    """On Metal the weights stay in the type that they are stored in."""
    settings = {**SMALL, "steps": 3}
    half = mlxvid.load("mini", dtype=dtype).generate(PROMPT, **settings).frames.astype(int)
    full = mini.generate(PROMPT, **settings).frames.astype(int)
    assert np.abs(half - full).mean() < 4


@pytest.mark.parametrize("attention", ATTENTION_MODES)
def test_all_sizes_and_modes_run(mini, attention):
    clip = mini.generate(PROMPT, attention=attention, **{**SMALL, "width": 64})
    assert clip.frames.shape == (5, 48, 64, 3)


def test_a_clip_begins_with_the_picture_that_is_given(mini):
    prompt = "a large blue square rising on a navy background"
    image = mini.generate(prompt, seed=1, steps=8, frames=1).frames[0]
    still = image.astype(int)
    settings = dict(seed=2, steps=8, frames=9)
    given = mini.generate(prompt, image=image, **settings).frames[0]
    free = mini.generate(prompt, **settings).frames[0]
    assert np.abs(given - still).mean() < 0.5 * np.abs(free - still).mean()


def test_any_prompt_gives_a_clip(mini, caplog):
    clip = mini.generate("Ein Drache über Paris 🐉", **SMALL)
    assert clip.frames.shape == (5, 48, 48, 3)
    assert any("Not known to this model" in record.getMessage() for record in caplog.records)


def test_from_the_command(tmp_path):
    size = "--frames 5 --width 48 --height 48 --steps 2 --seed 1".split()
    quiet = ["--progress", "none"]
    assert main(["--prompt", PROMPT, *size, *quiet, "-o", str(tmp_path / "one")]) == 0
    assert main(["--from", str(tmp_path / "one"), "-o", str(tmp_path / "two"), *quiet]) == 0
    one = mlxvid.Clip.load(tmp_path / "one")
    two = mlxvid.Clip.load(tmp_path / "two")
    assert np.array_equal(one.frames, two.frames)
    assert one.settings == two.settings
    assert one.settings["model"] == "mini"
