"""HunyuanVideo from prompt to frames, against Diffusers' pipelines on tiny models."""

from __future__ import annotations

import logging
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image

import mlxvid
from mlxvid.errors import SettingError
from mlxvid.run import checkpoint, latent_map

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny  # noqa: E402
from .tokenizers_of import PROMPTS  # noqa: E402

SHORT = PROMPTS[0]
LONG = " ".join(PROMPTS[:2] * 20)  # longer than either text encoder reads
NEGATIVE = PROMPTS[1]
LEAST = 5  # of 255: how much frames that show something vary
STEPS = 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """By kind: the folder of a model, and the reference's pipeline."""
    made = {}

    def get(kind: str):
        if kind not in made:
            folder = tmp_path_factory.mktemp("hunyuan")
            made[kind] = (folder, tiny.write_model(folder, kind))
        return made[kind]

    return get


def picture(seed: int, width: int, height: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def both(model, prompt, size, their_frames, their_guidance, hidden=0, given=(), **ours):
    """The greatest difference of our frames and the reference's, of 255.

    hidden: frames that the reference leaves out. their_guidance, ours: in each one's words.
    """
    folder, reference = model
    width, height = size
    shape = (1, tiny.CHANNELS, (their_frames - 1) // 4 + 1, height // 8, width // 8)
    latents = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    common = dict(
        prompt=prompt, negative_prompt=NEGATIVE, width=width, height=height, **dict(given)
    )
    expected = reference(
        **common,
        **their_guidance,
        num_frames=their_frames,
        num_inference_steps=STEPS,
        latents=torch.from_numpy(latents),
        output_type="np",
    ).frames[0]
    frames = their_frames - hidden
    clip = mlxvid.load(str(folder)).generate(
        **common, **ours, frames=frames, steps=STEPS, latents=latents
    )
    assert clip.settings["shift"] == tiny.SHIFT
    expected = np.round(np.asarray(expected) * 255)
    assert expected.std() > LEAST and clip.frames.shape == expected.shape
    return np.abs(clip.frames - expected).max()


@pytest.mark.parametrize(
    ("prompt", "size", "frames", "true_guidance"),
    [
        (SHORT, (48, 32), 5, 1.0),
        (LONG, (16, 32), 1, 1.0),
        (SHORT, (32, 16), 17, 2.5),
    ],
)
def test_text_to_video(models, prompt, size, frames, true_guidance):
    theirs = {"guidance_scale": 6.0, "true_cfg_scale": true_guidance}
    model = models("text")
    assert both(model, prompt, size, frames, theirs, true_guidance=true_guidance) <= 2


@pytest.mark.parametrize(
    ("prompt", "size", "frames", "true_guidance"),
    [(SHORT, (48, 32), 9, 1.0), (LONG, (16, 32), 1, 1.0), (SHORT, (32, 16), 5, 2.5)],
)
def test_a_picture_that_replaces_the_first_frame(
    models, prompt, size, frames, true_guidance, monkeypatch
):
    model = models("token replace")
    # Else it reads one in two of the black picture's tokens, beside one in four of the picture's.
    one_in_four = partial(model[1].encode_prompt, image_embed_interleave=4)
    monkeypatch.setattr(model[1], "encode_prompt", one_in_four)
    theirs = {"guidance_scale": 6.0, "true_cfg_scale": true_guidance}
    given = {"image": picture(1, *size)}
    ours = {"given": given, "true_guidance": true_guidance}
    assert both(model, prompt, size, frames, theirs, **ours) <= 2


@pytest.mark.parametrize(
    ("prompt", "size", "frames", "guidance"),
    [(SHORT, (48, 32), 9, 1.0), (LONG, (16, 32), 5, 1.0), (SHORT, (32, 16), 21, 2.5)],
)
def test_a_picture_in_further_channels(models, prompt, size, frames, guidance):
    theirs = {"true_cfg_scale": guidance}
    given = {"image": picture(1, *size)}
    model = models("latent concat")
    ours = {"given": given, "guidance": guidance, "hidden": 4}
    assert both(model, prompt, size, frames, theirs, **ours) <= 2


def test_what_models_say_of_themselves(models):
    for kind, guidance, frames in (
        ("text", 6.0, 129),
        ("token replace", 6.0, 129),
        ("latent concat", 1.0, 125),
    ):
        card = mlxvid.load(str(models(kind)[0])).model.card
        assert (card.defaults.guidance, card.defaults.frames) == (guidance, frames)
        assert ("true_guidance" in card.takes) == card.guidance_is_input == (guidance == 6.0)
        assert ("image" in card.needs) == (kind != "text")
        assert card.geometry.pixel_frames(card.geometry.latent_frames(frames)) == frames


def test_a_negative_prompt_is_for_true_guidance(models, caplog):
    pipe = mlxvid.load(str(models("text")[0]))
    small = dict(width=16, height=16, frames=1, steps=2, seed=1)
    with caplog.at_level(logging.WARNING, "mlxvid"):
        pipe.generate(SHORT, negative_prompt=NEGATIVE, **small)
    assert "`true_guidance`" in caplog.text


def test_true_guidance_is_for_models_that_are_told_their_guidance(models):
    pipe = mlxvid.load(str(models("latent concat")[0]))
    with pytest.raises(SettingError, match="true_guidance"):
        pipe.generate(SHORT, image=picture(1, 16, 16), true_guidance=2.0)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_it_resumes(models, kind, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)
    pipe = mlxvid.load(str(models(kind)[0]))
    asked = dict(width=16, height=32, frames=5, steps=4, seed=1)
    if kind != "text":
        asked["image"] = picture(1, 16, 32)
    whole = pipe.generate(SHORT, **asked)
    cancel = threading.Event()

    def stop(progress):
        if progress.stage == "denoise" and progress.step == 2:
            cancel.set()

    with pytest.raises(mlxvid.CancelledError):
        pipe.generate(SHORT, **asked, on_progress=stop, cancel=cancel)
    resumed = pipe.generate(SHORT, **asked, resume=True)
    assert np.array_equal(whole.frames, resumed.frames)


@pytest.mark.parametrize(("bits", "least"), [(8, 45), (4, 25)])
@pytest.mark.parametrize("kind", ["text", "token replace"])
def test_quantized_it_stays_near(models, kind, bits, least):
    """In decibels, of the whole clip; text encoders are too narrow here to be quantized."""
    folder = str(models(kind)[0])
    asked = dict(width=48, height=32, frames=5, steps=STEPS, seed=1)
    if kind != "text":
        asked["image"] = picture(1, 48, 32)
    exact = mlxvid.load(folder).generate(SHORT, **asked).frames.astype(float)
    near = mlxvid.load(folder, quantize=bits).generate(SHORT, **asked).frames
    error = np.square(exact - near).mean()
    assert 0 < error < 255**2 / 10 ** (least / 10)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_frames_go_to_latents_and_back(models, kind):
    pipe = mlxvid.load(str(models(kind)[0]))
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
    assert pipe.reconstruct(frames).shape == frames.shape


def test_rough_previews_of_a_model_with_hidden_frames(models, monkeypatch):
    monkeypatch.setattr(latent_map, "CLIPS", 3)
    model = mlxvid.load(str(models("latent concat")[0])).model
    geometry = model.card.geometry
    fitted = latent_map.fitted(model)
    for frames in (1, 9):
        shape = geometry.latent_shape(frames, 32, 48)
        latents = np.zeros((*shape, tiny.CHANNELS), np.float32)
        assert fitted.frames(latents, geometry).shape == (frames, 6, 4, 3)
