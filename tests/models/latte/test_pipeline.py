"""Latte from prompt to frames, against Diffusers' LattePipeline on a tiny model."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
from itertools import count

import mlxvid  # before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import CancelledError, SettingError, WeightsError
from mlxvid.hub.selection import required_files
from mlxvid.models import card_of
from mlxvid.models.latte.card import SAMPLERS
from mlxvid.run import checkpoint
from mlxvid.run.planning import plan
from mlxvid.schedulers import DDPM, NoiseConfig
from tests.facts import facts

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from . import tiny as tiny_latte  # noqa: E402

PROMPT = "A red ball, moving &amp; turning left"
NEGATIVE = "blurry, ugly, two green rings turn slowly on a white background"
SEED = 5
SMALL = dict(width=32, height=16, seed=1)

SCHEDULERS = {
    "ddim": lambda: diffusers.DDIMScheduler(**tiny_latte.SCHEDULE),
    "dpm++": lambda: diffusers.DPMSolverMultistepScheduler(**shared()),
    "euler-discrete": lambda: diffusers.EulerDiscreteScheduler(**shared()),
    "pndm": lambda: diffusers.PNDMScheduler(**shared(), skip_prk_steps=True),
    "ddpm": lambda: diffusers.DDPMScheduler(**tiny_latte.SCHEDULE),
    "euler-ancestral": lambda: diffusers.EulerAncestralDiscreteScheduler(**shared()),
    "heun-discrete": lambda: diffusers.HeunDiscreteScheduler(**tiny_latte.SCHEDULE),
    "kdpm2-ancestral": lambda: diffusers.KDPM2AncestralDiscreteScheduler(**shared()),
    "dpm++-single": lambda: diffusers.DPMSolverSinglestepScheduler.from_config(tiny_latte.SCHEDULE),
    "deis": lambda: diffusers.DEISMultistepScheduler(**shared()),
    "unipc-discrete": lambda: diffusers.UniPCMultistepScheduler(**shared()),
}


def shared() -> dict:
    """What all of Diffusers' schedulers take of the model's noise schedule."""
    return {k: v for k, v in tiny_latte.SCHEDULE.items() if k != "clip_sample"}


@pytest.fixture
def our_noise(monkeypatch):
    """In the place of the noise that the reference draws for its n-th step, what is drawn here for
    that step, in its layout.
    """
    steps = count()

    def drawn(shape, **_):
        b, c, f, h, w = shape
        noise = DDPM(1, NoiseConfig(), SEED).fresh_noise(mx.zeros((b, f, h, w, c)), next(steps))
        return torch.from_numpy(np.array(noise.transpose(0, 4, 1, 2, 3)))

    for scheduler in (
        diffusers.DDPMScheduler,
        diffusers.EulerAncestralDiscreteScheduler,
        diffusers.KDPM2AncestralDiscreteScheduler,
    ):
        monkeypatch.setattr(sys.modules[scheduler.__module__], "randn_tensor", drawn)


@pytest.fixture(scope="module")
def reference():
    pipe = tiny_latte.pipeline()
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def folder(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("latte") / "tiny"
    reference.save_pretrained(path)
    return path


def noise(frames: int, width: int, height: int) -> np.ndarray:
    shape = (1, tiny_latte.CHANNELS, frames, height // 8, width // 8)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def expected(
    reference,
    latents: np.ndarray,
    steps: int,
    guidance: float,
    negative: str = "",
    sampler: str = "ddim",
) -> np.ndarray:
    own = reference.scheduler
    reference.scheduler = SCHEDULERS[sampler]()
    frames, height, width = latents.shape[2:]
    try:
        video = reference(
            prompt=PROMPT,
            negative_prompt=negative,
            width=8 * width,
            height=8 * height,
            video_length=frames,
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=torch.from_numpy(latents),
            output_type="np",
            enable_temporal_attentions=frames > 1,
        ).frames[0]
    finally:
        reference.scheduler = own
    wanted = np.round(np.asarray(video) * 255)
    assert wanted.std() > 5
    return wanted


@pytest.mark.parametrize(
    ("width", "height", "frames", "steps", "guidance", "negative", "sampler"),
    [
        (64, 48, 3, 4, 7.5, "", "ddim"),
        (32, 80, 1, 3, 7.5, "", "ddim"),
        (48, 32, 3, 3, 3.0, NEGATIVE, "ddim"),
        (48, 64, 3, 3, 1.0, "", "ddim"),
        (64, 32, 3, 5, 7.5, "", "dpm++"),
        (32, 64, 3, 4, 7.5, "", "euler-discrete"),
        (64, 64, 3, 6, 4.0, NEGATIVE, "pndm"),
        (64, 48, 3, 5, 7.5, "", "ddpm"),
        (48, 32, 3, 5, 4.0, NEGATIVE, "euler-ancestral"),
        (32, 48, 3, 4, 7.5, "", "heun-discrete"),
        (48, 48, 3, 5, 4.0, "", "kdpm2-ancestral"),
        (64, 32, 3, 6, 7.5, "", "dpm++-single"),
        (32, 32, 1, 5, 7.5, "", "deis"),
        (48, 32, 3, 6, 7.5, "", "unipc-discrete"),
    ],
)
def test_prompt_to_frames(
    reference, folder, our_noise, width, height, frames, steps, guidance, negative, sampler
):
    latents = noise(frames, width, height)
    wanted = expected(reference, latents, steps, guidance, negative, sampler)
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=negative,
        width=width,
        height=height,
        frames=frames,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        latents=latents,
        seed=SEED,
    )
    assert clip.frames.shape == wanted.shape
    assert np.abs(clip.frames - wanted).max() <= 2


def test_the_temporal_decoder_is_taken_where_there_is_one(reference, folder, tmp_path):
    """As the release's own scripts do: they put it in the place of the pipeline's VAE."""
    both = shutil.copytree(folder, tmp_path / "both")
    temporal = tiny_latte.temporal_vae()
    temporal.save_pretrained(both / "vae_temporal_decoder")
    latents = noise(3, 48, 32)
    own = reference.vae
    reference.vae = temporal
    try:
        wanted = expected(reference, latents, 3, 7.5)
    finally:
        reference.vae = own
    settings = dict(width=48, height=32, steps=3, guidance=7.5, latents=latents)
    with_it = mlxvid.load(str(both)).generate(PROMPT, **settings).frames
    without = mlxvid.load(str(folder)).generate(PROMPT, **settings).frames
    assert np.abs(with_it - wanted).max() <= 2
    assert np.abs(without - wanted).max() > 2


def test_the_temporal_decoder_is_downloaded_though_model_index_json_does_not_name_it():
    index = {
        "_class_name": "LattePipeline",
        "vae": ["diffusers", "AutoencoderKL"],
        "tokenizer": ["transformers", "T5Tokenizer"],
    }
    paths = [
        f"{part}/model.safetensors" for part in ("transformer_v1", "vae", "vae_temporal_decoder")
    ]
    files = ["model_index.json", *paths]
    assert required_files(files, index) == ["model_index.json", *paths[1:]]


@pytest.fixture
def copy(folder, tmp_path):
    """A model folder of one's own to change."""
    return shutil.copytree(folder, tmp_path / "copy")


def edit(path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_schedule(folder, **changes) -> None:
    edit(folder / "scheduler" / "scheduler_config.json", **changes)


def test_the_card_of_a_folder(folder):
    card = card_of(folder)
    assert card.geometry.length == 3
    assert card.geometry.multiples == (16, 16)
    assert (card.heads, card.head_dim) == (2, 12)
    usual = card.defaults
    assert (usual.width, usual.height, usual.frames, usual.fps) == (64, 64, 3, 8.0)
    assert usual.sampler == "ddim"
    assert plan(str(folder), attention="full").pairs_full == (3 * 16) ** 2


def test_the_scheduler_of_a_folder_is_its_default(copy):
    edit_schedule(copy, _class_name="EulerDiscreteScheduler", variance_type="learned_range")
    assert card_of(copy).defaults.sampler == "euler-discrete"
    clip = mlxvid.load(str(copy)).generate("a ball", steps=2, **SMALL)
    assert clip.settings["sampler"] == "euler-discrete"


@pytest.mark.parametrize(
    ("part", "changes"),
    [("transformer", {"caption_channels": 8}), ("vae", {"latent_channels": 8})],
)
def test_parts_that_do_not_belong_together(copy, part, changes):
    edit(copy / part / "config.json", **changes)
    with pytest.raises(WeightsError, match=facts(copy, "different models", "download")):
        mlxvid.load(str(copy))


@pytest.mark.parametrize("outputs", [3, 12])
def test_outputs_that_latte_1_has_not(copy, outputs):
    edit(copy / "transformer" / "config.json", out_channels=outputs)
    with pytest.raises(WeightsError, match=facts(copy, f"{outputs} out", "can't run", "latte-1")):
        mlxvid.load(str(copy))


def test_a_noise_schedule_that_is_not_known(copy):
    edit_schedule(copy, beta_schedule="squared")
    where = copy / "scheduler" / "scheduler_config.json"
    expected = facts(where, "beta_schedule 'squared'", "linear, scaled_linear", "download")
    with pytest.raises(WeightsError, match=expected):
        mlxvid.load(str(copy))


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_every_scheduler_s_own_file_makes_it_the_default(copy, scheduler):
    own = getattr(diffusers, scheduler).from_config(tiny_latte.SCHEDULE)
    own.save_pretrained(copy / "scheduler")
    pipe = mlxvid.load(str(copy))
    assert pipe.model.card.defaults.sampler == SAMPLERS[scheduler]
    assert SAMPLERS[scheduler] in pipe.model.card.samplers
    clip = pipe.generate("a ball", steps=2, frames=1, **SMALL)
    assert clip.settings["sampler"] == SAMPLERS[scheduler]


def test_the_variance_that_ddpm_takes_is_said(copy, caplog):
    edit_schedule(copy, variance_type="learned_range")
    pipe = mlxvid.load(str(copy))
    with caplog.at_level(logging.WARNING):
        pipe.generate("a ball", steps=1, frames=1, **SMALL)
        assert not caplog.messages
        pipe.generate("a ball", steps=1, frames=1, sampler="ddpm", **SMALL)
    (message,) = caplog.messages
    assert "ddpm" in message and "variance of the schedule" in message


def test_a_scheduler_that_is_not_known_is_named(copy, caplog):
    edit_schedule(copy, _class_name="LMSDiscreteScheduler")
    with caplog.at_level(logging.WARNING):
        assert mlxvid.load(str(copy)).model.card.defaults.sampler == "ddim"
    (message,) = caplog.messages
    assert "LMSDiscreteScheduler" in message and "ddim" in message


@pytest.mark.parametrize(
    "sampler", ["ddpm", "euler-ancestral", "kdpm2-ancestral", "dpm++-single", "unipc-discrete"]
)
def test_an_interrupted_run_goes_on_bit_for_bit(folder, sampler, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    settings = dict(width=48, height=32, steps=5, guidance=4.0, seed=11, sampler=sampler)
    pipe = mlxvid.load(str(folder))
    whole = pipe.generate("a ball", **settings).frames
    for stop_at in (1, 3, 4):
        cancel = threading.Event()
        previews = []

        def stop(progress, stop_at=stop_at, cancel=cancel, previews=previews):
            if progress.stage == "denoise" and progress.step == stop_at:
                previews.append(progress.preview())
                cancel.set()

        with pytest.raises(CancelledError, match=facts("`resume`", "goes on")):
            pipe.generate("a ball", **settings, on_progress=stop, cancel=cancel)
        assert previews[0].shape == whole.shape
        assert previews[0].std() > 1
        seen = []
        again = mlxvid.load(str(folder))
        clip = again.generate("a ball", **settings, resume=True, on_progress=seen.append)
        steps = [progress.step for progress in seen if progress.stage == "denoise"]
        assert min(steps) == stop_at
        assert np.array_equal(clip.frames, whole)


def test_lengths(folder, caplog):
    pipe = mlxvid.load(str(folder))
    with caplog.at_level(logging.WARNING):
        clip = pipe.generate("a ball", frames=9, steps=1, **SMALL)
    assert len(clip.frames) == 3
    (message,) = [message for message in caplog.messages if "rounded" in message]
    assert "9 frames" in message and "clips of 3 frames and pictures of 1" in message
    picture = pipe.generate("a ball", frames=1, steps=1, **SMALL)
    assert picture.frames.shape == (1, 16, 32, 3)


def test_what_it_takes_not(folder):
    pipe = mlxvid.load(str(folder))
    with pytest.raises(SettingError, match=facts("takes no", "`image`", "`list_models`")):
        pipe.generate("a ball", image=np.zeros((16, 32, 3), np.uint8))
    with pytest.raises(SettingError, match=facts("takes no", "`shift`")):
        pipe.generate("a ball", shift=3.0)
    with pytest.raises(SettingError, match=facts("1000 steps", "`steps`")):
        pipe.generate("a ball", sampler="dpm++", **{**SMALL, "steps": 1000})
