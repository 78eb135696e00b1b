"""Requests: defaults filled in, sizes rounded and said, pictures placed, and one sentence for
whatever no clip can have.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError, SettingError
from mlxvid.model.card import Card
from mlxvid.model.request import Request
from mlxvid.run.complete import complete
from tests.facts import facts


def notes(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mlxvid"]


def picture(width: int = 32, height: int = 32, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def card(tiny) -> Card:
    return tiny.model.card


def completed(card: Card, **settings: Any) -> Request:
    return complete(card, {"prompt": "a ball", **settings})


def test_defaults_are_the_models(card):
    request = completed(card)
    assert (request.width, request.height, request.frames, request.fps) == (32, 32, 9, 8.0)
    assert (request.steps, request.guidance) == (3, 2.0)
    assert (request.sampler, request.attention) == ("euler", "factored")
    assert 0 <= request.seed < 2**31
    assert completed(card).seed != request.seed
    settings = request.settings()
    del settings["keyframes"]
    assert complete(card, settings) == request


def test_settings_that_are_given_again_are_written_alike(card):
    """A run's checkpoint is named after the text of its settings, in which 8 is not 8.0."""
    whole = dataclasses.replace(card.defaults, fps=8, guidance=2)
    card = dataclasses.replace(card, defaults=whole, shift=lambda width, height: 2)
    for given in ({}, {"fps": "24000/1001"}, {"fps": 12, "shift": 3}):
        settings = completed(card, **given).settings()
        again = complete(card, settings | {"keyframes": {}}).settings()
        assert json.dumps(again) == json.dumps(settings)


def test_numbers_of_numpy_are_rounded_as_pythons(card):
    """In eight bits a sum of theirs would run over."""
    request = completed(card, frames=np.uint8(255), width=np.uint8(250), height=np.int8(30))
    same = completed(card, frames=255, width=250, height=30)
    assert (request.frames, request.width, request.height) == (
        same.frames, same.width, same.height
    )  # fmt: skip


@pytest.mark.parametrize("side", [33.5, float("nan"), "64", True])
def test_one_side_beside_a_picture_is_checked_too(card, side):
    with pytest.raises(SettingError, match=facts("`width`", "whole number of pixels")):
        completed(card, width=side, image=picture())


def test_settings_are_json(card):
    request = completed(card, seed=np.int64(4), fps=np.float32(12), image=picture())
    settings = request.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["seed"] == 4
    assert settings["fps"] == 12
    assert settings["keyframes"] == {"0": "a picture in memory"}


def test_none_is_the_same_as_nothing(card):
    left_out = completed(card, seed=1)
    given = completed(card, seed=1, width=None, guidance=None, image=None, shift=None, options=None)
    assert given == left_out


def test_a_name_that_is_no_setting_is_refused(card):
    with pytest.raises(SettingError, match=facts("'guidence'", "`guidance`")):
        completed(card, guidence=3)
    with pytest.raises(SettingError, match=facts("'dtype'")):
        completed(card, dtype="float32")  # a setting of loading


def test_sizes_off_the_grid_are_rounded_and_said(card, caplog):
    request = completed(card, width=40, height=30, frames=12)
    assert (request.width, request.height, request.frames) == (32, 32, 13)
    about_frames, about_size = notes(caplog)
    assert "12 frames" in about_frames and "13" in about_frames and "1 + 4k" in about_frames
    assert "40x30" in about_size and "32x32" in about_size and "multiples of 16" in about_size


def test_a_negative_prompt_without_guidance_is_said(card, caplog):
    completed(card, negative_prompt="a star", guidance=1)
    (note,) = notes(caplog)
    assert "negative prompt" in note and "`guidance`" in note


def test_of_a_model_s_own_negative_prompt_nothing_is_said(card, caplog):
    """Also where a clip's settings, which have it, are repeated."""
    own = dataclasses.replace(card, defaults=dataclasses.replace(card.defaults, **OWN))
    completed(own)
    completed(own, negative_prompt=OWN["negative_prompt"])
    assert notes(caplog) == []


OWN: dict[str, Any] = {"negative_prompt": "two green rings", "guidance": 1.0}
BAD: dict[str, tuple[dict[str, Any], tuple[object, ...]]] = {
    "prompt empty": ({"prompt": " \n"}, ("`prompt`", "empty")),
    "prompt None": ({"prompt": None}, ("`prompt`", "empty")),
    "prompt surrogate": ({"prompt": "a \udcff"}, ("`prompt`", "must be text", "UTF-8")),
    "negative": ({"negative_prompt": 5}, ("`negative_prompt`", "must be text")),
    "width 0": ({"width": 0}, ("`width`", "pixels", 1, 16384, "not 0")),
    "width text": ({"width": "32"}, ("`width`", "pixels", 1, 16384, "not '32'")),
    "height": ({"height": 16385}, ("`height`", "pixels", 1, 16384, "not 16385")),
    "frames": ({"frames": 1.5}, ("`frames`", 1, 100000, "not 1.5")),
    "frames True": ({"frames": True}, ("`frames`", 1, 100000, "not True")),
    "fps": ({"fps": 0}, ("`fps`", 0.1, 1000, "not 0")),
    "fps nan": ({"fps": float("nan")}, ("`fps`", 0.1, 1000, "not nan")),
    "steps": ({"steps": 1001}, ("`steps`", "steps", 1, 1000, "not 1001")),
    "guidance": ({"guidance": -1}, ("`guidance`", 0, 100, "not -1")),
    "guidance list": ({"guidance": [3]}, ("`guidance`", 0, 100, "not [3]")),
    "seed": ({"seed": -1}, ("`seed`", 0, "2^63 - 1", "not -1")),
    "seed large": ({"seed": 2**63}, ("`seed`", 0, "2^63 - 1", "not 9223372036854775808")),
    "sampler": ({"sampler": "dpm"}, ("`sampler`", "'dpm'", "euler, heun")),
    "sampler empty": ({"sampler": ""}, ("`sampler`", "''", "euler, heun")),
    "attention": ({"attention": ["full"]}, ("`attention`", "['full']", "factored, full, spatial")),
    "frame beyond": ({"keyframes": {9: picture()}}, ("no frame 9", "0 to 8")),
    "frame text": ({"keyframes": {"4": picture()}}, ("no frame '4'", "0 to 8")),
    "keyframes": ({"keyframes": [picture()]}, ("`keyframes`", "by frame number")),
    "two first": (
        {"image": picture(), "keyframes": {0: picture()}},
        ("Two pictures", "frame 0", "leave one"),
    ),
    "two last": (
        {"last_image": picture(), "keyframes": {8: picture()}},
        ("Two pictures", "frame 8", "leave one"),
    ),
    "two near": (
        {"keyframes": {3: picture(), 5: picture()}},
        ("Two pictures", "frame 4", "leave one"),
    ),
    "one frame": (
        {"image": picture(), "last_image": picture(), "frames": 1},
        ("Two pictures", "frame 0", "leave one"),
    ),
    "picture": ({"image": 5}, ("frame 0", "a path", "uint8 array", "not int")),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_clip_can_have_is_one_sentence(card, name):
    settings, words = BAD[name]
    with pytest.raises(SettingError, match=facts(*words)) as caught:
        completed(card, **settings)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    assert "--" not in message


def test_a_number_too_large_for_a_float_is_refused(card):
    with pytest.raises(SettingError, match=facts("`guidance`", 0, 100, "not 1000")):
        completed(card, guidance=10**400)


# --- pictures ------------------------------------------------------------------------------------


def test_pictures_go_to_their_latent_frames(card, caplog, tmp_path, monkeypatch):
    Image.fromarray(picture(value=10)).save(tmp_path / "first.png")
    monkeypatch.chdir(tmp_path)
    last = Image.fromarray(picture(value=30))
    middle = {9: picture(value=20)}
    request = completed(card, frames=17, image="first.png", last_image=last, keyframes=middle)
    means = {slot: int(pixels.mean()) for slot, pixels in request.pictures.items()}
    assert means == {0: 10, 2: 20, 4: 30}
    # The whole path: the clip may be repeated from another folder.
    first = os.path.join(os.getcwd(), "first.png")
    assert request.sources == {0: first, 8: "a picture in memory", 16: "a picture in memory"}
    (note,) = notes(caplog)
    assert "frame 9" in note and "frame 8" in note


def test_the_last_picture_follows_the_rounding(card):
    assert list(completed(card, frames=12, last_image=picture()).sources) == [12]


def test_a_picture_of_another_shape_is_fitted_and_said(card, caplog):
    request = completed(card, image=picture(64, 32), width=32, height=32)
    assert request.pictures[0].shape == (32, 32, 3)
    (note,) = notes(caplog)
    assert "64x32" in note and "left and right" in note and "32x32" in note


@pytest.mark.parametrize(
    ("shape", "asked", "size"),
    [
        ((64, 16), {}, (64, 16)),
        ((16, 64), {}, (16, 64)),
        ((30, 30), {}, (32, 32)),
        ((640, 360), {}, (48, 16)),  # 42.7 x 24 pixels of the default's area, on a grid of 16
        ((64, 32), {"width": 96}, (96, 48)),
        ((64, 32), {"height": 96}, (192, 96)),
        ((64, 32), {"width": 16, "height": 80}, (16, 80)),
        ((320, 40), {}, (96, 16)),
        ((4000, 2), {"width": 96, "height": 16}, (96, 16)),
    ],
)
def test_the_size_follows_the_picture_unless_it_is_given(card, caplog, shape, asked, size):
    request = completed(card, image=picture(*shape), **asked)
    assert (request.width, request.height) == size
    assert request.pictures[0].shape == (*reversed(size), 3)
    clip = f"The clip is {size[0]}x{size[1]}"
    source = f"({shape[0]}x{shape[1]})"
    is_said = any(note.startswith(clip) and source in note for note in notes(caplog))
    assert is_said == (len(asked) < 2 and size != (32, 32))


@pytest.mark.parametrize("shape", [(1, 4000), (4000, 1), (330, 40), (40, 330)])
@pytest.mark.parametrize("asked", [{}, {"width": 32}, {"height": 32}])
def test_no_clip_has_the_proportions_of_a_line(card, shape, asked):
    with pytest.raises(SettingError, match=facts(f"{shape[0]}x{shape[1]}", "crop it", "`width`")):
        completed(card, image=picture(*shape), **asked)


def test_what_is_cut_away_of_a_long_picture_is_said(card, caplog):
    completed(card, image=picture(1, 4000), width=32, height=32)
    assert "only 1 % of it is seen" in notes(caplog)[0]
    completed(card, image=picture(96, 32), width=32, height=32)
    assert "only 34 % of it is seen" in notes(caplog)[-1]


def test_the_size_follows_the_last_picture_where_there_is_no_other(card):
    assert completed(card, last_image=picture(64, 16)).width == 64


def test_a_missing_picture(card, tmp_path):
    with pytest.raises(MediaError, match=facts(tmp_path / "none.png", "check")):
        completed(card, image=tmp_path / "none.png")


# --- what a model takes --------------------------------------------------------------------------


def test_a_model_that_needs_pictures_says_which(card):
    both = dataclasses.replace(card, needs=frozenset({"image", "last_image"}))
    for given, missing in [
        ({}, "image"),
        ({"image": picture()}, "last_image"),
        ({"last_image": picture()}, "image"),
    ]:
        with pytest.raises(SettingError, match=facts("give one as", f"`{missing}`")):
            completed(both, **given)
    request = completed(both, image=picture(), last_image=picture())
    assert request.pictures.keys() == {0, 2}


def test_the_shift_is_the_models_own_unless_it_is_given(card):
    assert completed(card).shift == 1.5
    assert completed(card, shift=3).settings()["shift"] == 3.0
    with pytest.raises(SettingError, match=facts("`shift`", 0.01, 100, "not 0")):
        completed(card, shift=0)
    without = dataclasses.replace(card, takes=frozenset())
    with pytest.raises(SettingError, match=facts("no `shift`", "leave it out")):
        completed(without, shift=3)


def test_what_the_model_can_not_do_is_refused(card):
    first_only = dataclasses.replace(card, takes=frozenset({"image"}))
    assert completed(first_only, image=picture()).pictures.keys() == {0}
    for settings, name in [
        ({"last_image": picture()}, "last_image"),
        ({"keyframes": {4: picture()}}, "keyframes"),
    ]:
        with pytest.raises(SettingError, match=facts("takes no", f"`{name}`", "`list_models`")):
            completed(first_only, **settings)


def test_other_settings_that_a_model_does_not_take_are_refused(card):
    frames = np.zeros((20, 32, 32, 3), np.uint8)
    without = dataclasses.replace(card, takes=frozenset())
    for settings, name in [({"extend": frames}, "extend"), ({"join": frames}, "join")]:
        with pytest.raises(SettingError, match=facts("takes no", f"`{name}`", "leave it out")):
            completed(card, **settings)
    with pytest.raises(SettingError, match=facts("takes no", "`negative_prompt`")):
        completed(without, negative_prompt="ugly")
    assert completed(without, negative_prompt="").negative_prompt == ""


def test_a_size_by_name_is_for_models_that_have_some(card):
    with pytest.raises(SettingError, match=facts("no names", "`width`", "`height`")):
        completed(card, resolution="480p")
    with pytest.raises(SettingError, match=facts("`width`", "`resolution`", "not by both")):
        completed(card, resolution="480p", width=32)


# --- prompts -------------------------------------------------------------------------------------


def test_a_prompt_longer_than_the_model_reads_is_said(tiny, caplog):
    caplog.set_level(logging.INFO, "mlxvid")
    ids, mask = tiny.model.tokenizer(["a red ball moving left " * 5, ""])
    assert ids.shape == mask.shape == (2, 16)
    assert mask.sum(axis=1).tolist() == [16, 1]
    (note,) = notes(caplog)
    assert "only as far as" in note and "15 word pieces" in note


def test_unknown_words_bring_advice(tiny):
    known = tiny.model.advice("A red ball, moving LEFT.")
    assert known is None or "red" not in known
    advice = tiny.model.advice("a red dragon")
    assert "dragon" in advice and "red" not in advice.partition(".")[0]
    assert advice.endswith("It knows balls and stars.")
