"""Clips that follow another one, as IC-LoRAs were trained: by the formulas of LTX-Video-Trainer
(ltxv_pipeline.py), whose tokens of the other clip stand in front of all, at the positions of the
clip's own, held fully.
"""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import re

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.models.ltx.keys import key_of
from mlxvid.models.ltx.recipes import RECIPES
from mlxvid.run.planning import plan
from tests.facts import facts

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule  # noqa: E402

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import FPS, NEGATIVE, PROMPT, SEED, compare, drawn, noise, pictures  # noqa: E402
from .reference import CHANNELS  # noqa: E402
from .release import Given, Strengths, decoded, encoded, resized, sampled  # noqa: E402

DEPTHS = np.stack(pictures(17, 96, 64, seed=5))
SMALL = dict(width=96, height=64, frames=17, fps=FPS, seed=SEED, negative_prompt=NEGATIVE)


@pytest.fixture(scope="module")
def models():
    """The networks of `folder_of`'s models, as Diffusers' pipeline."""
    return tiny_ltx.pipeline("C", "LTXConditionPipeline"), tiny_ltx.upsampler()


def test_a_clip_and_a_picture_beside_it(models, folder_of):
    pipe, _ = models
    latents = noise(17, 96, 64)
    (picture,) = pictures(1, 96, 64)
    key = mx.random.split(key_of(SEED, "given", 0), 1)[0]
    extra = np.array(mx.random.normal((1, 1, 2, 3, CHANNELS), key=key)).transpose(0, 4, 1, 2, 3)
    later = torch.lerp(torch.from_numpy(extra), encoded(pipe, picture[None], 0), 0.5)
    result = sampled(
        pipe,
        [PROMPT, NEGATIVE],
        torch.from_numpy(latents),
        linear_quadratic_schedule(3).tolist(),
        lambda time: Strengths(2.0),
        ahead=[Given(encoded(pipe, DEPTHS, 1), 0, 1.0), Given(later, 10, 0.5)],
        renoise=lambda i, shape: 0.15 * drawn(shape, "renoise", i),
    )
    clip = mlxvid.load(str(folder_of("0.9.5"))).generate(
        PROMPT,
        control=DEPTHS,
        keyframes={10: (picture, 0.5)},
        steps=3,
        guidance=2.0,
        latents=latents,
        options={"stg": 0, "prepare": False},
        **SMALL,
    )
    compare(clip, decoded(pipe, result))


def test_both_passes_follow_it(models, folder_of):
    pipe, network = models
    recipe = RECIPES["0.9.8-2b-distilled"]
    latents = noise(9, 96, 96)
    depths = np.stack(pictures(9, 160, 160, seed=6))

    def ahead(side: int) -> list[Given]:
        return [Given(encoded(pipe, resized(depths, side), 0), 0, 1.0)]

    first = torch.from_numpy(latents)
    small = sampled(pipe, [PROMPT], first, recipe.first.given, ahead=ahead(96))
    larger = tiny_ltx.upsampling(pipe, network)(
        latents=small, adain_factor=1.0, width=192, height=192, output_type="latent"
    ).frames
    times = recipe.second.given
    again = times[0] * drawn(larger.shape, "second pass") + (1 - times[0]) * larger
    result = sampled(pipe, [PROMPT], again, times, ahead=ahead(192))
    clip = mlxvid.load(str(folder_of("0.9.8-2b-distilled"))).generate(
        PROMPT,
        control=depths,
        latents=latents,
        options={"image_noise": 0},
        **{**SMALL, "width": 160, "height": 160, "frames": 9},
    )
    compare(clip, decoded(pipe, result, (160, 160)))


def test_what_is_said(folder_of, caplog):
    pipe = mlxvid.load(str(folder_of("0.9.5")))
    shared = dict(steps=1, guidance=1.0, seed=1, frames=17)
    clip = pipe.generate("a red ball", control=DEPTHS[:12], **shared, width=96, height=64)
    assert len(clip.frames) == 17
    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert re.search(facts("17 frames", "first 9 follow", "has 12"), lines)
    assert re.search(facts("Without a LoRA", "`control`"), lines)
    caplog.clear()
    wide = np.zeros((17, 32, 64, 3), np.uint8)
    clip = pipe.generate("a red ball", control=wide, width=64, **shared)
    assert clip.frames.shape == (17, 32, 64, 3)
    with pytest.raises(SettingError, match=facts("`control`", "257", "`frames`")):
        pipe.generate("a red ball", control=DEPTHS, width=64, height=32, frames=281)
    with pytest.raises(SettingError, match=facts("`control`")):
        mlxvid.load(str(folder_of("0.9.0"))).generate("a red ball", control=DEPTHS)


def test_a_plan_counts_its_tokens():
    name = "ltxv-13b-0.9.8-dev"
    alone = plan(name).stage_bytes
    both = plan(name, follows=True).stage_bytes
    weights = sum(plan(name).weights["transformer"].values())
    assert both["denoise"] - weights > 1.8 * (alone["denoise"] - weights)
