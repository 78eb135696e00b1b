"""What LTX-Video can't do is refused in a sentence, before anything is loaded for it."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import json
import re
import shutil

import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
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
    assert pipe.model.card.options["upscale"] is False
    message = refused(pipe, options={"upscale": True})
    place = folder / "latent_upsampler"
    assert re.search(facts(place, "Lightricks/ltxv-spatial-upscaler", "`upscale`"), message)


@pytest.mark.parametrize("changed", [{"in_channels": 8}, {"temporal_upsample": True}])
def test_an_upsampler_of_other_latents(folder_of, tmp_path, changed):
    folder = shutil.copytree(folder_of("0.9.8-2b-distilled"), tmp_path / "model")
    config = folder / "latent_upsampler" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changed}))
    with pytest.raises(WeightsError, match=facts(folder, "different models")):
        mlxvid.load(str(folder))


def test_a_vae_of_another_generation(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("0.9.5"), tmp_path / "model")
    shutil.rmtree(folder / "vae")
    shutil.copytree(folder_of("0.9.0") / "vae", folder / "vae")
    with pytest.raises(WeightsError, match=facts(folder, "different models")):
        mlxvid.load(str(folder))


def test_sizes_and_lengths_are_rounded_and_said(folder_of, caplog):
    pipe = mlxvid.load(str(folder_of("0.9.5")))
    clip = pipe.generate("a red ball", width=70, height=90, frames=19, steps=1, guidance=1.0)
    assert clip.frames.shape == (17, 96, 64, 3)
    lines = [record.getMessage() for record in caplog.records]
    assert any(re.search(facts("19 frames", 17, "1 + 8k"), line) for line in lines)
    assert any(re.search(facts("70x90", "64x96", "multiples of 32"), line) for line in lines)
