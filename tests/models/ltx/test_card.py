"""LTX-Video's recipes and cards: what a release is told by, and what is then made with it."""

from __future__ import annotations

import json
import shutil

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.errors import WeightsError
from mlxvid.models import card_of
from mlxvid.models.ltx import card as ltx
from mlxvid.models.ltx.recipes import DISTILLED, RECIPES, Guidance, Strengths, work_size
from mlxvid.models.ltx.releases import KEY, told
from mlxvid.models.ltx.schedules import linear_quadratic
from tests.models.ltx import tiny

CARDS = [card for card in CATALOG.values() if card.family is ltx.FAMILY]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tiny model of each generation, in the Diffusers layout."""
    place = tmp_path_factory.mktemp("ltx")
    made = {kind: tiny.write_model(place / kind, kind) for kind in ("A", "B")}
    made["C"] = tiny.write_model(place / "C", "C", "LTXConditionPipeline", upscales=True)
    return made


def edited(folder, path, **changes):
    file = folder / path
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_every_release_has_a_card_with_its_recipe():
    assert [card.recipe for card in CARDS] == list(RECIPES.values())
    assert len(CARDS) == 10
    for card in CARDS:
        recipe = card.recipe
        assert card.licence and "Apache" not in card.licence
        assert ("latent_upsampler" in card.sources) == (recipe.second is not None)
        assert card.options["upscale"] is (recipe.second is not None)
        assert ("keyframes" in card.takes) == (recipe.generation == "C") == recipe.causal
        assert ("decode_timestep" in card.options) == (recipe.generation != "A")
        assert card.index[KEY] == recipe.release
        assert card.options.keys() <= card.takes


def test_the_steps_and_guidance_of_a_card_are_its_recipes():
    usual = {card.recipe.release: card.defaults for card in CARDS}
    plain = (40, 3.0, "euler")
    expected = {
        "0.9.0": plain,
        "0.9.5": plain,
        "0.9.6-dev": plain,
        "0.9.6-distilled": (8, 1.0, "euler-stochastic"),
        "0.9.7-dev": (30, 8.0, "euler"),
        "0.9.8-13b-distilled": (8, 1.0, "euler"),
    }
    for release, values in expected.items():
        own = usual[release]
        assert (own.steps, own.guidance, own.sampler) == values


def test_guidance_follows_the_time():
    """As the release looks it up: the first entry whose time is no later, else the last."""
    course = RECIPES["0.9.8-13b-dev"].first.guidance
    assert course.star
    assert course.at(1.0) == Strengths(1, 0, 0, ())
    assert course.at(0.9965) == Strengths(1, 0, 0, (11, 25, 35, 39))
    assert course.at(0.9934) == Strengths(6, 4, 0.5, (22, 35, 39))
    assert course.at(0.9933) == Strengths(6, 4, 0.5, (22, 35, 39))
    assert course.at(0.99) == Strengths(8, 4, 0.5, (28,))
    assert course.at(0.98) == Strengths(6, 4, 0, (28,))
    assert course.at(0.97) == Strengths(1, 2, 0, (28,))
    assert course.at(0.618) == Strengths(1, 1, 0, (28,))
    assert course.at(0.1) == Strengths(1, 1, 0, (28,))
    older = RECIPES["0.9.7-dev"].first.guidance
    assert older.at(0.9965) == older.at(0.9934) == Strengths(6, 4, 0.5, (22, 35, 39))


def test_other_peaks_keep_the_course_of_guidance():
    course = RECIPES["0.9.8-13b-dev"].first.guidance
    assert course.with_peaks(course.scale, course.stg, course.rescale) == course
    lower = course.with_peaks(4.5, 2.0, 0.25)
    assert lower.at(0.99) == Strengths(4.5, 2.0, 0.25, (28,))
    assert lower.at(0.98) == Strengths(3.5, 2.0, 0.0, (28,))
    assert lower.at(1.0).scale == 1
    off = course.with_peaks(1.0, 0.0, 0.0)
    assert all((own.scale, own.stg, own.rescale) == (1, 0, 0) for own in off.strengths)
    free = RECIPES["0.9.8-2b-distilled"].alone.guidance
    assert free.with_peaks(3.0, 1.0, 0.7).at(0.5) == Strengths(3.0, 1.0, 0.7, (19,))
    with pytest.raises(ValueError, match="2 strengths for 1 times"):
        Guidance((1.0,), (Strengths(), Strengths()))


def test_the_passes_of_the_distilled_releases():
    recipe = RECIPES["0.9.8-13b-distilled"]
    assert recipe.first.given == (1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725)
    assert recipe.second.given == (0.9094, 0.725, 0.4219)
    assert (recipe.first.evaluations, recipe.second.evaluations) == (7, 3)
    assert recipe.alone.given == DISTILLED
    assert recipe.tone_mapping == 0.6 and RECIPES["0.9.8-2b-distilled"].tone_mapping == 0
    assert abs(linear_quadratic(8)[:-1] - DISTILLED).max() < 1e-4
    dev = RECIPES["0.9.8-13b-dev"]
    assert (dev.first.evaluations, dev.second.evaluations) == (27, 13)
    assert linear_quadratic(30)[dev.second.skip_first] == pytest.approx(0.9548, abs=1e-4)


def test_the_first_pass_is_at_two_thirds_of_the_sides():
    assert work_size(1216, 704, 32) == (800, 448)
    assert work_size(32, 64, 32) == (32, 32)
    assert ltx.FAMILY.presets["draft"]["width"] == 800
    assert ltx.FAMILY.presets["draft"]["height"] == 448


@pytest.mark.parametrize(
    ("generation", "blocks", "names", "release", "certain"),
    [
        ("A", 28, [], "0.9.0", True),
        ("B", 28, ["ltxv-13b-0.9.8-dev"], "0.9.1", True),
        ("C", 28, ["snapshots", "models--Lightricks--LTX-Video-0.9.5"], "0.9.5", True),
        ("C", 28, ["ltxv-2b-0.9.6-distilled-04-25.safetensors"], "0.9.6-distilled", True),
        ("C", 28, ["ltxv-2b-0.9.6-dev-04-25.safetensors", "distilled"], "0.9.6-dev", True),
        ("C", 28, ["0.9.8"], "0.9.8-2b-distilled", True),
        ("C", 28, ["mine"], "0.9.6-dev", False),
        ("C", 48, ["Lightricks/LTX-Video-0.9.7-distilled"], "0.9.7-distilled", True),
        ("C", 48, ["LTX-Video-0.9.8-13B-distilled"], "0.9.8-13b-distilled", True),
        ("C", 48, ["ltxv-13b-0.9.7-distilled-fp8"], "0.9.7-distilled", True),
        ("C", 48, ["v10.9.7", "0.9.71"], "0.9.8-13b-dev", False),
        ("C", 48, ["0.9.5"], "0.9.8-13b-dev", False),
    ],
)
def test_what_tells_a_release(generation, blocks, names, release, certain):
    found = told(generation, blocks, names)
    assert (found.recipe.release, found.certain) == (release, certain)


def test_the_card_of_a_folder(folders):
    first, second, third = (card_of(folders[kind]) for kind in "ABC")
    assert [card.recipe.release for card in (first, second, third)] == [
        "0.9.0",
        "0.9.1",
        "0.9.6-dev",
    ]
    assert not first.note and not second.note
    assert "0.9.6-dev" in third.note and "name" in third.note
    for card in (first, second):
        # As the reference's pipeline of that class reads prompts.
        assert (card.recipe.text_tokens, card.recipe.text_mask) == (128, False)
    assert (third.recipe.text_tokens, third.recipe.text_mask) == (256, True)
    assert third.recipe.causal and not second.recipe.causal
    assert first.geometry.latent_frames(9) == 2
    assert (first.heads, first.head_dim) == (tiny.HEADS, tiny.HEAD_DIM)
    # An upsampler is no use to a release that has no second pass.
    assert third.options["upscale"] is False


def test_a_folder_called_after_its_release(folders, tmp_path):
    folder = shutil.copytree(folders["C"], tmp_path / "LTX-Video-0.9.8-2B-distilled")
    card = card_of(folder)
    assert card.recipe.release == "0.9.8-2b-distilled" and not card.note
    assert card.options["upscale"] is True
    shutil.rmtree(folder / "latent_upsampler")
    assert card_of(folder).options["upscale"] is False
    edited(folder, "model_index.json", **{KEY: "0.9.6-distilled"})
    assert card_of(folder).recipe == RECIPES["0.9.6-distilled"]
    assert card_of(folder).samplers == ("euler-stochastic", "euler")
    edited(folder, "model_index.json", **{KEY: "0.9.5"}, note="Half of it.")
    assert card_of(folder).note == "Half of it."


def test_a_folder_by_the_path_that_its_configs_name(folders, tmp_path):
    folder = shutil.copytree(folders["C"], tmp_path / "mine")
    edited(folder, "transformer/config.json", _name_or_path="Lightricks/LTX-Video-0.9.5")
    assert card_of(folder).recipe.release == "0.9.5"
    edited(folder, "transformer/config.json", causal_temporal_positioning=False)
    assert card_of(folder).recipe == ltx.replace(RECIPES["0.9.5"], causal=False)


@pytest.mark.parametrize(
    ("path", "changes", "fact"),
    [
        ("vae/config.json", {"latent_channels": 9}, "different models"),
        ("text_encoder/config.json", {"d_model": 24}, "different models"),
        ("transformer/config.json", {"num_layers": 48}, "48 blocks"),
        ("model_index.json", {KEY: "0.9.9"}, "'0.9.9'"),
        ("model_index.json", {KEY: ["0.9.0"]}, "0.9.0"),
    ],
)
def test_what_belongs_to_no_release_is_refused(path, changes, fact, folders, tmp_path):
    folder = shutil.copytree(folders["A"], tmp_path / "broken")
    edited(folder, path, **changes)
    with pytest.raises(WeightsError) as error:
        card_of(folder)
    assert fact in str(error.value) and str(folder) in str(error.value)
