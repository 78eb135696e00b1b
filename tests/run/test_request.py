"""Requests: defaults filled in, sizes rounded and said, pictures placed, and one sentence for
whatever no clip can have.
"""

from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError, SettingError
from mlxvid.run.complete import complete


def notes(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mlxvid"]


def picture(width: int = 32, height: int = 32, value: int = 90) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_defaults_are_the_models(tiny):
    request = complete(tiny.family, "a red ball")
    assert (request.width, request.height, request.frames, request.fps) == (32, 32, 9, 8.0)
    assert (request.steps, request.guidance, request.sampler, request.attention) == (
        3,
        2.0,
        "euler",
        "factored",
    )
    assert 0 <= request.seed < 2**31 and complete(tiny.family, "a red ball").seed != request.seed
    assert (
        complete(
            tiny.family,
            "a red ball",
            **{k: v for k, v in request.settings().items() if k not in ("prompt", "keyframes")},
        )
        == request
    )


def test_settings_are_json(tiny):
    settings = complete(
        tiny.family, "a ball", seed=np.int64(4), fps=np.float32(12), image=picture()
    ).settings()
    assert json.loads(json.dumps(settings)) == settings
    assert (
        settings["seed"] == 4
        and settings["fps"] == 12
        and settings["keyframes"] == {"0": "a picture in memory"}
    )


def test_sizes_off_the_grid_are_rounded_and_said(tiny, caplog):
    request = complete(tiny.family, "a ball", width=40, height=30, frames=12)
    assert (request.width, request.height, request.frames) == (32, 32, 13)
    assert notes(caplog) == [
        "12 frames are rounded to 13: this model's frame counts are 1 + 4k.",
        "40x30 is rounded to 32x32: this model's sizes are multiples of 16.",
    ]


def test_a_negative_prompt_without_guidance_is_said(tiny, caplog):
    complete(tiny.family, "a ball", negative_prompt="a star", guidance=1)
    assert notes(caplog) == ["The negative prompt does nothing at guidance 1."]


BAD = {
    "prompt empty": ({"prompt": " \n"}, "The prompt is empty; say what the clip should show."),
    "prompt None": ({"prompt": None}, "The prompt is empty; say what the clip should show."),
    "prompt surrogate": (
        {"prompt": "a \udcff"},
        "The prompt must be text (in UTF-8, where it comes from a terminal or file).",
    ),
    "negative": (
        {"negative_prompt": 5},
        "The negative prompt must be text (in UTF-8, where it comes from a terminal or file).",
    ),
    "width 0": ({"width": 0}, "Width must be a whole number of pixels from 1 to 16384, not 0."),
    "width text": (
        {"width": "32"},
        "Width must be a whole number of pixels from 1 to 16384, not '32'.",
    ),
    "height": (
        {"height": 16385},
        "Height must be a whole number of pixels from 1 to 16384, not 16385.",
    ),
    "frames": (
        {"frames": 1.5},
        "Frames must be a whole number of frames from 1 to 100000, not 1.5.",
    ),
    "frames True": (
        {"frames": True},
        "Frames must be a whole number of frames from 1 to 100000, not True.",
    ),
    "fps": ({"fps": 0}, "Frames a second must be a number from 0.1 to 1000, not 0."),
    "fps nan": (
        {"fps": float("nan")},
        "Frames a second must be a number from 0.1 to 1000, not nan.",
    ),
    "steps": ({"steps": 1001}, "Steps must be a whole number of steps from 1 to 1000, not 1001."),
    "guidance": ({"guidance": -1}, "Guidance must be a number from 0 to 100, not -1."),
    "guidance list": ({"guidance": [3]}, "Guidance must be a number from 0 to 100, not [3]."),
    "seed": ({"seed": -1}, "A seed is a whole number from 0 to 2^63 - 1, not -1."),
    "seed large": (
        {"seed": 2**63},
        "A seed is a whole number from 0 to 2^63 - 1, not 9223372036854775808.",
    ),
    "sampler": ({"sampler": "dpm"}, "This model has no sampler 'dpm'; use one of: euler, heun."),
    "sampler empty": ({"sampler": ""}, "This model has no sampler ''; use one of: euler, heun."),
    "attention": (
        {"attention": ["full"]},
        "This model has no attention mode ['full']; use one of: factored, full, spatial.",
    ),
    "frame beyond": (
        {"keyframes": {9: picture()}},
        "There is no frame 9 to put a picture in: this clip's frames are 0 to 8.",
    ),
    "frame text": (
        {"keyframes": {"4": picture()}},
        "There is no frame '4' to put a picture in: this clip's frames are 0 to 8.",
    ),
    "two first": (
        {"image": picture(), "keyframes": {0: picture()}},
        "Two pictures are given for frame 0; leave one of them out.",
    ),
    "two last": (
        {"last_image": picture(), "keyframes": {8: picture()}},
        "Two pictures are given for frame 8; leave one of them out.",
    ),
    "two near": (
        {"keyframes": {3: picture(), 5: picture()}},
        "Two pictures are given for frame 4; leave one of them out.",
    ),
    "one frame": (
        {"image": picture(), "last_image": picture(), "frames": 1},
        "Two pictures are given for frame 0; leave one of them out.",
    ),
    "picture": (
        {"image": 5},
        "The picture for frame 0 must be a path, a Pillow image or a uint8 array, not int.",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_clip_can_have_is_one_sentence(tiny, name):
    settings, sentence = BAD[name]
    with pytest.raises(SettingError) as caught:
        complete(tiny.family, **{"prompt": "a ball", **settings})
    assert str(caught.value) == sentence


def test_a_number_too_large_for_a_float_is_refused(tiny):
    with pytest.raises(SettingError, match=r"^Guidance must be a number from 0 to 100, not 1000"):
        complete(tiny.family, "a ball", guidance=10**400)


def test_pictures_go_to_their_latent_frames(tiny, caplog, tmp_path, monkeypatch):
    Image.fromarray(picture(value=10)).save(tmp_path / "first.png")
    monkeypatch.chdir(tmp_path)
    last = Image.fromarray(picture(value=30))
    request = complete(
        tiny.family,
        "a ball",
        frames=17,
        image="first.png",
        last_image=last,
        keyframes={9: picture(value=20)},
    )
    assert {slot: int(p.mean()) for slot, p in request.pictures.items()} == {0: 10, 2: 20, 4: 30}
    # The whole path: the clip may be repeated from another folder.
    assert request.sources == {
        0: os.path.join(os.getcwd(), "first.png"),
        8: "a picture in memory",
        16: "a picture in memory",
    }
    assert notes(caplog) == [
        "The picture for frame 9 goes to frame 8, the nearest that this model can be given."
    ]


def test_the_last_picture_follows_the_rounding(tiny):
    assert list(complete(tiny.family, "a ball", frames=12, last_image=picture()).sources) == [12]


def test_a_picture_of_another_shape_is_fitted_and_said(tiny, caplog):
    request = complete(tiny.family, "a ball", image=picture(64, 32), width=32, height=32)
    assert request.pictures[0].shape == (32, 32, 3)
    assert notes(caplog) == [
        "The picture (64x32) was kept at its scale and cropped at the left and right to 32x32."
    ]


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
        ((4000, 2), {}, (1424, 16)),
    ],
)
def test_the_size_follows_the_picture_unless_it_is_told(tiny, caplog, shape, asked, size):
    request = complete(tiny.family, "a ball", image=picture(*shape), **asked)
    assert (request.width, request.height) == size and request.pictures[0].shape == (
        *reversed(size),
        3,
    )
    followed = f"The clip is {size[0]}x{size[1]}, after the proportions of the picture ({shape[0]}x{shape[1]})."
    assert (followed in notes(caplog)) == (len(asked) < 2 and size != (32, 32))


def test_the_size_follows_the_last_picture_where_there_is_no_other(tiny):
    assert complete(tiny.family, "a ball", last_image=picture(64, 16)).width == 64


def test_a_model_that_needs_pictures_says_which(tiny, monkeypatch):
    monkeypatch.setattr(tiny.family, "needs", frozenset({"image", "last-image"}))
    sentence = r"^This model brings pictures to life and has none for the (image|last image): give one with --(image|last-image)\.$"
    for given in ({}, {"image": picture()}, {"last_image": picture()}):
        with pytest.raises(SettingError, match=sentence):
            complete(tiny.family, "a ball", **given)
    assert complete(
        tiny.family, "a ball", image=picture(), last_image=picture()
    ).pictures.keys() == {0, 2}


def test_the_shift_is_the_models_own_unless_it_is_told(tiny, monkeypatch):
    assert complete(tiny.family, "a ball").shift == 1.5
    assert complete(tiny.family, "a ball", shift=3).settings()["shift"] == 3.0
    with pytest.raises(
        SettingError, match=r"^The shift must be a number from 0\.01 to 100, not 0\.$"
    ):
        complete(tiny.family, "a ball", shift=0)
    monkeypatch.setattr(tiny.family, "capabilities", frozenset())
    with pytest.raises(
        SettingError, match=r"^This model's noise schedule has no shift; leave --shift out\.$"
    ):
        complete(tiny.family, "a ball", shift=3)


def test_a_missing_picture(tiny, tmp_path):
    with pytest.raises(MediaError, match=r"^There is no file .*/none\.png: check the name\.$"):
        complete(tiny.family, "a ball", image=tmp_path / "none.png")


def test_what_the_model_can_not_do_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(tiny.family, "capabilities", frozenset({"image"}))
    assert complete(tiny.family, "a ball", image=picture()).pictures.keys() == {0}
    for settings, what in (
        ({"last_image": picture()}, "last-image"),
        ({"keyframes": {4: picture()}}, "keyframes"),
    ):
        with pytest.raises(
            SettingError,
            match=f"^This model takes no {what}; --list-models shows what each can do.$",
        ):
            complete(tiny.family, "a ball", **settings)


def test_a_prompt_longer_than_the_model_reads_is_said(tiny, caplog):
    caplog.set_level(logging.INFO, "mlxvid")
    ids, mask = tiny.family.tokenizer(["a red ball moving left " * 5, ""])
    assert ids.shape == mask.shape == (2, 16) and mask.sum(axis=1).tolist() == [16, 1]
    (note,) = notes(caplog)
    assert note.startswith("The prompt is read only as far as '") and note.endswith(
        "': this model takes 15 word pieces."
    )


def test_unknown_words_bring_advice(tiny):
    assert tiny.family.advice(
        "A red ball, moving LEFT."
    ) is None or "red" not in tiny.family.advice("A red ball, moving LEFT.")
    assert (
        tiny.family.advice("a red dragon")
        == "Not known to this model: dragon. It knows balls and stars."
    )
