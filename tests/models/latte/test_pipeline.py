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

from mlxvid import plan
from mlxvid.errors import CancelledError, SettingError, WeightsError
from mlxvid.hub.selection import required_files
from mlxvid.model.facts import facts_of
from mlxvid.model.folder import Folder
from mlxvid.models.latte.facts import SAMPLERS
from mlxvid.run import checkpoint as keep
from mlxvid.schedulers import DDPM, NoiseConfig

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from . import tiny as tiny_latte  # noqa: E402

PROMPT, NEGATIVE = (
    "A red ball, moving &amp; turning left",
    "blurry, ugly, two green rings turn slowly on a white background",
)
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


SEED = 5


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
    return (
        np.random.default_rng(7)
        .standard_normal((1, tiny_latte.CHANNELS, frames, height // 8, width // 8))
        .astype(np.float32)
    )


def expected(
    reference,
    latents: np.ndarray,
    steps: int,
    guidance: float,
    negative: str = "",
    sampler: str = "ddim",
) -> np.ndarray:
    own, reference.scheduler = reference.scheduler, SCHEDULERS[sampler]()
    frames, height, width = latents.shape[2], 8 * latents.shape[3], 8 * latents.shape[4]
    try:
        video = reference(
            prompt=PROMPT,
            negative_prompt=negative,
            width=width,
            height=height,
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
    latents, own = noise(3, 48, 32), reference.vae
    reference.vae = temporal
    try:
        wanted = expected(reference, latents, 3, 7.5)
    finally:
        reference.vae = own
    made = [
        mlxvid.load(str(path))
        .generate(PROMPT, width=48, height=32, steps=3, guidance=7.5, latents=latents)
        .frames.astype(int)
        for path in (both, folder)
    ]
    assert np.abs(made[0] - wanted).max() <= 2 < np.abs(made[1] - wanted).max()


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


def test_facts(folder, tmp_path):
    facts = facts_of(Folder(folder))
    assert (facts.geometry.length, facts.geometry.multiples, facts.heads, facts.head_dim) == (
        3,
        (16, 16),
        2,
        12,
    )
    defaults = facts.defaults
    assert (defaults.width, defaults.height, defaults.frames, defaults.fps, defaults.sampler) == (
        64,
        64,
        3,
        8.0,
        "ddim",
    )
    copy = shutil.copytree(folder, tmp_path / "copy")
    scheduler = copy / "scheduler" / "scheduler_config.json"
    scheduler.write_text(
        json.dumps(
            {
                **json.loads(scheduler.read_text()),
                "_class_name": "EulerDiscreteScheduler",
                "variance_type": "learned_range",
            }
        )
    )
    assert facts_of(Folder(copy)).defaults.sampler == "euler-discrete"
    assert (
        mlxvid.load(str(copy))
        .generate("a ball", steps=2, width=32, height=16, seed=1)
        .settings["sampler"]
        == "euler-discrete"
    )
    assert plan.plan(str(folder), attention="full").pairs_full == (3 * 16) ** 2

    def broken(part: str, **changes) -> str:
        path = copy / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        before = path.read_text()
        path.write_text(json.dumps({**json.loads(before), **changes}))
        with pytest.raises(WeightsError) as caught:
            mlxvid.load(str(copy))
        path.write_text(before)
        return str(caught.value).replace(str(copy), "FOLDER")

    other = "The parts of FOLDER come from different models; download or convert the model again."
    assert broken("transformer", caption_channels=8) == other == broken("vae", latent_channels=8)
    assert broken("scheduler", beta_schedule="squared") == (
        "FOLDER/scheduler/scheduler_config.json does not describe a model that mlxvid can make (beta_schedule 'squared' is none of: "
        "linear, scaled_linear); download or convert the model again."
    )


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_every_scheduler_s_own_file_makes_it_the_default(folder, tmp_path, scheduler):
    copy = shutil.copytree(folder, tmp_path / "copy")
    getattr(diffusers, scheduler).from_config(tiny_latte.SCHEDULE).save_pretrained(
        copy / "scheduler"
    )
    pipe = mlxvid.load(str(copy))
    assert pipe.model.defaults.sampler == SAMPLERS[scheduler] in pipe.model.samplers
    assert (
        pipe.generate("a ball", steps=2, width=32, height=16, frames=1).settings["sampler"]
        == SAMPLERS[scheduler]
    )


def test_the_variance_that_ddpm_takes_is_said(folder, tmp_path, caplog):
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "variance_type": "learned_range"}))
    with caplog.at_level(logging.WARNING):
        mlxvid.load(str(copy)).generate("a ball", steps=1, width=32, height=16, frames=1)
        assert not caplog.messages
        mlxvid.load(str(copy)).generate(
            "a ball", steps=1, width=32, height=16, frames=1, sampler="ddpm"
        )
    assert caplog.messages == [
        "The noise that ddpm adds has the variance of the schedule here, not the one that the model foresees."
    ]


@pytest.mark.parametrize(
    "sampler", ["ddpm", "euler-ancestral", "kdpm2-ancestral", "dpm++-single", "unipc-discrete"]
)
def test_an_interrupted_run_goes_on_bit_for_bit(folder, sampler, own_cache, monkeypatch):
    monkeypatch.setattr(keep, "CHECKPOINT_SECONDS", 0.0)
    settings = dict(width=48, height=32, steps=5, guidance=4.0, seed=11, sampler=sampler)
    whole = mlxvid.load(str(folder)).generate("a ball", **settings).frames
    for stop_at in (1, 3, 4):
        cancel, seen, previews = threading.Event(), [], []

        def stop(progress, stop_at=stop_at, cancel=cancel, previews=previews):
            if progress.stage == "denoise" and progress.step == stop_at:
                previews.append(progress.preview())
                cancel.set()

        with pytest.raises(CancelledError, match="--resume goes on from there"):
            mlxvid.load(str(folder)).generate("a ball", **settings, on_progress=stop, cancel=cancel)
        assert previews[0].shape == whole.shape and previews[0].std() > 1
        clip = mlxvid.load(str(folder)).generate(
            "a ball", **settings, resume=True, on_progress=seen.append
        )
        assert min(progress.step for progress in seen if progress.stage == "denoise") == stop_at
        assert np.array_equal(clip.frames, whole)


def test_a_scheduler_that_is_not_known_is_named(folder, tmp_path, caplog):
    copy = shutil.copytree(folder, tmp_path / "copy")
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "_class_name": "LMSDiscreteScheduler"})
    )
    with caplog.at_level(logging.WARNING):
        assert mlxvid.load(str(copy)).family.defaults.sampler == "ddim"
    assert caplog.messages == [
        "The model's own scheduler, LMSDiscreteScheduler, is not known here: ddim takes its place."
    ]


def test_lengths(folder, caplog):
    pipe = mlxvid.load(str(folder))
    with caplog.at_level(logging.WARNING):
        clip = pipe.generate("a ball", frames=9, width=32, height=16, steps=1, seed=1)
    assert (
        len(clip.frames) == 3
        and "9 frames are rounded to 3: this model makes clips of 3 frames and pictures of 1."
        in caplog.messages
    )
    assert pipe.generate("a ball", frames=1, width=32, height=16, steps=1, seed=1).frames.shape == (
        1,
        16,
        32,
        3,
    )
    with pytest.raises(
        SettingError, match="^This model takes no image; --list-models shows what each can do.$"
    ):
        pipe.generate("a ball", image=np.zeros((16, 32, 3), np.uint8))
    with pytest.raises(SettingError, match="1000 steps .* `steps`"):
        pipe.generate("a ball", sampler="dpm++", steps=1000, width=32, height=16)
