"""Clips of CogVideoX 5B that are longer than the training's."""

from __future__ import annotations

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.generate import main
from mlxvid.media.clip import read_settings
from mlxvid.models.cogvideox.positions import rotary
from tests.layers.stretched import frequencies, read_back, tables

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny  # noqa: E402

LATENT_FRAMES = 25  # of 97 frames
HEAD_DIM = 64
PROMPT = "a red ball moving left"
# 21 latent frames: beyond the period of 20.
LONG = dict(width=16, height=16, frames=81, steps=2, seed=1)


def test_the_tables_of_the_longest_clip():
    tables_ = rotary((LATENT_FRAMES, 2, 3), HEAD_DIM, (30, 45), 4, (2, LATENT_FRAMES))
    cos = np.array(tables_.cos)[4::6, :8]
    sin = np.array(tables_.sin)[4::6, :8]
    expected = tables(16, 10000.0, 2, LATENT_FRAMES)
    assert np.abs(cos - expected[0]).max() < 1e-6
    assert np.abs(sin - expected[1]).max() < 1e-6
    wanted = frequencies(16, 10000.0, 2, LATENT_FRAMES)
    assert wanted[1] == pytest.approx(0.2261947, abs=1e-7)  # of 0.3162278
    assert np.abs(read_back(cos, sin) - wanted).max() < 1e-6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("cogvideox"), "5b")


def test_a_long_clip_is_another_with_it(folder):
    pipe = mlxvid.load(str(folder))
    plain = pipe.generate(PROMPT, **LONG)
    longer = pipe.generate(PROMPT, **LONG, length_extrapolation=True)
    assert np.abs(plain.frames.astype(float) - longer.frames).max() > 10
    short = {**LONG, "frames": 9}
    asked = pipe.generate(PROMPT, **short, length_extrapolation=True)
    assert np.array_equal(pipe.generate(PROMPT, **short).frames, asked.frames)


def test_a_clip_from_a_file_keeps_it(folder, tmp_path):
    clip = str(tmp_path / "clip.mp4")
    again = str(tmp_path / "again.mp4")
    flags = []
    for name, value in LONG.items():
        flags += [f"--{name}", str(value)]
    model = ["--model", str(folder), "--prompt", PROMPT]
    assert main([*model, *flags, "--length-extrapolation", "-o", clip]) == 0
    assert main(["--from", clip, "-o", again]) == 0
    assert read_settings(again)["length_extrapolation"] is True
    assert main(["--from", clip, "--no-length-extrapolation", "-o", again]) == 0
    assert read_settings(again)["length_extrapolation"] is False


@pytest.mark.parametrize("kind", ["2b", "5b-i2v", "1.5"])
def test_other_models_do_not_take_it(kind, tmp_path):
    pipe = mlxvid.load(str(tiny.write_model(tmp_path, kind)))
    with pytest.raises(SettingError, match="`length_extrapolation`"):
        pipe.generate(PROMPT, length_extrapolation=True)
