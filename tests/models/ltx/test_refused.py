"""What LTX-Video can't do is refused in a sentence, before anything is loaded for it."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import re
import shutil

import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.media.clip import Clip
from tests.facts import facts

SMALL = dict(width=64, height=64, frames=17, seed=1)
PICTURE = np.full((64, 64, 3), 90, np.uint8)
CASES = {
    "two passes": ("0.9.5", {"options": {"upscale": True}}, ("0.9.5", "one pass", "`upscale`")),
    "many steps": ("0.9.8-2b-distilled", {"steps": 9}, ("8 `steps`", 9, "or fewer")),
    "many steps, one pass": ("0.9.6-distilled", {"steps": 12}, ("8 `steps`", 12, "or fewer")),
    "a frame in the middle": ("0.9.0", {"keyframes": {8: PICTURE}}, ("`keyframes`",)),
    "a strength": ("0.9.0", {"keyframes": {0: (PICTURE, 0.5)}}, ("strength", "frame 0")),
    "another clip": ("0.9.0", {"extend": np.stack(33 * [PICTURE])}, ("`extend`",)),
    "the decoder's time": ("0.9.0", {"options": {"decode_timestep": 0.05}}, ("decode_timestep",)),
    "beyond the end": ("0.9.5", {"keyframes": {17: PICTURE}}, ("frame 17", "`frames`", 16)),
}


def refused(pipe, **settings) -> str:
    """The sentence, which is one, of a run that has not begun."""
    seen: list = []
    with pytest.raises(SettingError) as error:
        pipe.generate("a red ball", **{**SMALL, **settings}, on_progress=seen.append)
    message = str(error.value)
    assert len(re.findall(r"[.!?](?=\s|$)", message)) == 1 and "\n" not in message
    assert seen == []
    return message


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused(case, folder_of):
    release, settings, told = CASES[case]
    assert re.search(facts(*told), refused(mlxvid.load(str(folder_of(release))), **settings))


def test_a_clip_for_a_release_that_takes_pictures(folder_of, tmp_path):
    Clip(np.stack(9 * [PICTURE]), 24).save(tmp_path / "clip.mp4")
    message = refused(mlxvid.load(str(folder_of("0.9.0"))), image=str(tmp_path / "clip.mp4"))
    assert re.search(facts("no clips", "one of the frames", "clip.mp4"), message)


def test_two_passes_without_an_upsampler(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("0.9.8-2b-distilled"), tmp_path / "model")
    shutil.rmtree(folder / "latent_upsampler")
    pipe = mlxvid.load(str(folder))
    assert pipe.model.card.options["upscale"] == "off"
    message = refused(pipe, options={"upscale": True})
    place = folder / "latent_upsampler"
    assert re.search(facts(place, "Lightricks/ltxv-spatial-upscaler", "`upscale`"), message)


def test_sizes_and_lengths_are_rounded_and_said(folder_of, caplog):
    pipe = mlxvid.load(str(folder_of("0.9.5")))
    clip = pipe.generate("a red ball", width=70, height=90, frames=19, steps=1, guidance=1.0)
    assert clip.frames.shape == (17, 96, 64, 3)
    lines = [record.getMessage() for record in caplog.records]
    assert any(re.search(facts("19 frames", 17, "1 + 8k"), line) for line in lines)
    assert any(re.search(facts("70x90", "64x96", "multiples of 32"), line) for line in lines)
