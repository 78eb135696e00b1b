"""What is known of CogVideoX's models without weights: releases, folders, sizes and lengths."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from mlxvid import catalog
from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.machine import GIB, Machine
from mlxvid.models import card_of
from mlxvid.models.cogvideox.card import CARDS
from mlxvid.models.cogvideox.guidance import scale_at
from mlxvid.run.complete import complete
from mlxvid.run.planning import plan
from tests.facts import facts

NAMES = [card.name for card in CARDS]


def image(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def asked(name: str, **settings):
    return complete(catalog.find(name), {"prompt": "a ball", "seed": 1, **settings})


def test_names():
    assert NAMES == [
        "cogvideox-2b",
        "cogvideox-5b",
        "cogvideox-5b-i2v",
        "cogvideox1.5-5b",
        "cogvideox1.5-5b-i2v",
    ]
    for card in CARDS:
        for owner in ("THUDM", "zai-org"):
            assert catalog.find(f"{owner}/{card.repository.split('/')[1]}") is card


def test_licences_and_types_are_the_releases():
    assert [card.licence for card in CARDS] == ["Apache-2.0"] + 4 * ["CogVideoX"]
    assert [card.dtype for card in CARDS] == ["float16"] + 4 * ["bfloat16"]
    planned = plan("cogvideox-2b")
    assert planned.weights["vae"].keys() == {"float32"}


@pytest.mark.parametrize(
    ("name", "frames", "fps", "grid", "sampler", "dynamic"),
    [
        ("cogvideox-2b", 49, 8, (13, 30, 45), "ddim", "off"),
        ("cogvideox-5b", 49, 8, (13, 30, 45), "dpm++-sde", "released"),
        ("cogvideox-5b-i2v", 49, 8, (13, 30, 45), "dpm++-sde", "released"),
        ("cogvideox1.5-5b", 81, 16, (11, 48, 85), "dpm++-sde", "released"),
        ("cogvideox1.5-5b-i2v", 81, 16, (11, 48, 85), "dpm++-sde", "released"),
    ],
)
def test_usual_clips(name, frames, fps, grid, sampler, dynamic):
    given = {"image": image(1360, 768)} if name.endswith("i2v") else {}
    request = asked(name, **given)
    assert (request.frames, request.fps, request.steps, request.guidance) == (frames, fps, 50, 6)
    assert request.sampler == sampler
    assert request.options == {"dynamic_guidance": dynamic, "unconditional": "text"}
    assert plan(name).token_grid == grid


@pytest.mark.parametrize(
    ("name", "frames", "rounded"),
    [
        ("cogvideox-2b", 1, 1),
        ("cogvideox-2b", 4, 1),
        ("cogvideox-2b", 5, 1),
        ("cogvideox-2b", 6, 9),
        ("cogvideox-5b", 48, 49),
        ("cogvideox1.5-5b", 49, 49),
        ("cogvideox1.5-5b", 41, 33),
        ("cogvideox1.5-5b", 160, 161),
    ],
)
def test_lengths_are_rounded_with_a_line(name, frames, rounded):
    made, note = catalog.find(name).geometry.round_frames(frames)
    assert made == rounded
    assert (note is None) == (frames == rounded)
    if note:
        assert f"rounded to {rounded}" in note


@pytest.mark.parametrize(
    ("name", "settings", "fact"),
    [
        ("cogvideox-2b", {"frames": 57}, "up to 49 frames"),
        ("cogvideox1.5-5b", {"frames": 177}, "up to 161 frames"),
        ("cogvideox-5b", {"width": 480}, "of 720x480, not of 480x480"),
        ("cogvideox1.5-5b", {"width": 720, "height": 480}, "of 1360x768"),
        (
            "cogvideox1.5-5b-i2v",
            {"width": 1376, "height": 768, "image": image(1376, 768)},
            "short side is 768 and whose long side is up to 1360",
        ),
    ],
)
def test_what_is_outside_of_the_training_is_said(name, settings, fact, caplog):
    with caplog.at_level(logging.WARNING):
        request = asked(name, **settings)
    (message,) = caplog.messages
    assert "trained" in message and fact in message
    geometry = catalog.find(name).geometry
    assert geometry.latent_shape(request.frames, request.width, request.height)


def test_sizes_that_patches_do_not_divide_are_rounded_with_a_line(caplog):
    with caplog.at_level(logging.WARNING):
        request = asked("cogvideox-2b", width=725, height=480)
    assert (request.width, request.height) == (720, 480)
    (message,) = caplog.messages
    assert "725x480 is rounded to 720x480" in message and "multiples of 16" in message
    with pytest.raises(SettingError, match=facts("725x480", "720x480")):
        catalog.find("cogvideox-2b").geometry.latent_shape(49, 725, 480)
    with pytest.raises(SettingError, match=facts("45 frames", "41")):
        catalog.find("cogvideox-2b").geometry.latent_shape(45, 720, 480)


@pytest.mark.parametrize("size", [(640, 480), (480, 720), (1360, 768)])
def test_learned_positions_are_for_one_size(size):
    with pytest.raises(SettingError, match=facts("720x480 alone", "`width` 720", "`height` 480")):
        asked("cogvideox-5b-i2v", width=size[0], height=size[1], image=image(*size))
    with pytest.raises(SettingError, match=facts("57 frames", "at most 49 `frames`")):
        asked("cogvideox-5b-i2v", frames=57, image=image(720, 480))


@pytest.mark.parametrize(
    ("name", "picture", "size"),
    [
        ("cogvideox-5b-i2v", (512, 512), (720, 480)),
        ("cogvideox-5b-i2v", (300, 900), (720, 480)),
        ("cogvideox1.5-5b-i2v", (512, 512), (768, 768)),
        ("cogvideox1.5-5b-i2v", (300, 400), (768, 1024)),
        ("cogvideox1.5-5b-i2v", (3000, 1000), (1360, 768)),
        ("cogvideox1.5-5b-i2v", (1000, 3000), (768, 1360)),
    ],
)
def test_sizes_after_a_picture_are_the_training_s(name, picture, size, caplog):
    request = asked(name, image=image(*picture))
    assert (request.width, request.height) == size
    assert request.pictures[0].shape[:2] == size[::-1]
    assert not [message for message in caplog.messages if "trained" in message]


def test_a_picture_is_needed():
    with pytest.raises(SettingError, match=facts("image")):
        asked("cogvideox-5b-i2v")
    with pytest.raises(SettingError, match=facts("takes no", "`image`")):
        asked("cogvideox-5b", image=image(720, 480))


def test_guidance_as_released_goes_up_and_down():
    """The first values of 50 steps with a scale of 4, as Diffusers has them."""
    scales = [scale_at("released", 4.0, i, 50, 999 - 20 * i) for i in range(50)]
    assert np.round(scales[:10], 2).tolist() == [
        1.86, 2.03, 4.98, 4.61, 2.19, 3.18, 1.03, 3.11, 1.41, 4.99,
    ]  # fmt: skip
    assert all(1 <= scale <= 5 for scale in scales)


def test_guidance_may_be_smooth_or_still():
    smooth = [scale_at("smooth", 4.0, i, 50, 999 - 20 * i) for i in range(50)]
    assert smooth[0] == 5 and smooth[-1] < 1.01
    assert smooth == sorted(smooth, reverse=True)
    assert scale_at("off", 4.0, 3, 50, 939) == 4


def mac(total: int) -> Machine:
    """A Mac with `total` GiB, and what macOS gives its GPU of that."""
    share = 2 / 3 if total <= 36 else 3 / 4
    return Machine("Mac", total * GIB, int(share * total * GIB), metal=True)


def test_the_modulation_is_not_counted_as_quantized():
    weights = plan("cogvideox-5b", quantize=4, machine=mac(24)).weights["transformer"]
    modulation = 2 * 42 * 6 * 3072 * 513
    assert weights["bfloat16"] == 2 * modulation
    assert weights["4-bit"] == pytest.approx((5_570_283_072 - modulation) * 4.5 / 8, rel=1e-6)


def test_the_largest_clip_fits_24_gb_in_tiles():
    small = plan("cogvideox1.5-5b", machine=mac(24))
    large = plan("cogvideox1.5-5b", machine=mac(128))
    assert (small.width, small.height, small.frames) == (1360, 768, 81)
    assert small.fits
    # A batch of the whole picture, or of a tile besides the clip's frames in float32.
    batch = 8 * 1220 * 4
    assert large.stage_bytes["decode"] > 1360 * 768 * batch
    tile = 240 * 360 * batch + 81 * 1360 * 768 * 3 * 4
    assert tile < small.stage_bytes["decode"] < tile + 2 * GIB


@pytest.fixture
def folder(tmp_path) -> Path:
    """The JSON files of a 5B model."""
    configs = {
        "model_index.json": {"_class_name": "CogVideoXPipeline"},
        "transformer/config.json": {
            "num_attention_heads": 48,
            "num_layers": 42,
            "use_rotary_positional_embeddings": True,
        },
        "vae/config.json": {"scaling_factor": 0.7},
        "text_encoder/config.json": {"d_model": 4096, "feed_forward_proj": "gated-gelu"},
        "scheduler/scheduler_config.json": {"_class_name": "CogVideoXDPMScheduler"},
    }
    for name, values in configs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(values))
    return tmp_path


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_folder_s_card_is_its_release_s(folder):
    card = card_of(folder)
    released = catalog.find("cogvideox-5b")
    for fact in ("geometry", "defaults", "samplers", "takes", "needs", "options", "heads"):
        assert getattr(card, fact) == getattr(released, fact), fact
    edit(folder / "scheduler" / "scheduler_config.json", _class_name="CogVideoXDDIMScheduler")
    again = card_of(folder)
    assert again.defaults.sampler == "ddim" and again.options["dynamic_guidance"] == "off"


@pytest.mark.parametrize(
    ("part", "changes", "told"),
    [
        ("transformer", {"text_embed_dim": 2048}, ("different models",)),
        ("vae", {"latent_channels": 8}, ("different models",)),
        ("transformer", {"in_channels": 33}, ("33 channels in and 16 out", "can't run")),
        (
            "transformer",
            {"_class_name": "ConsisIDTransformer3DModel", "in_channels": 32},
            ("ConsisIDTransformer3DModel", "can't run"),
        ),
        ("transformer", {"freq_shift": 1}, ("freq_shift is 1",)),
    ],
)
def test_models_that_are_only_like_these(folder, part, changes, told):
    edit(folder / part / "config.json", **changes)
    with pytest.raises(WeightsError, match=facts(str(folder), *told)):
        card_of(folder)
