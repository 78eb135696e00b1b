"""CogVideoX from prompt and picture to frames, against Diffusers' pipelines on tiny models."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlxvid  # before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import CancelledError, SettingError
from mlxvid.model.machine import GIB, Machine
from mlxvid.models.cogvideox import model as cogvideox
from mlxvid.run import checkpoint
from mlxvid.schedulers import DPMSolverSDE, NoiseConfig
from tests.facts import facts

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from . import tiny  # noqa: E402

PROMPT = "a red ball moving left"
NEGATIVE = "blurry, ugly"
SEED = 5
TOLERANCE = 2  # of 255


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Callable[[str], tuple[Any, Path]]:
    """By kind, the reference's pipeline and the folder that it was saved in."""
    made: dict[str, tuple[Any, Path]] = {}

    def model(kind: str) -> tuple[Any, Path]:
        if kind not in made:
            pipe = tiny.pipeline(kind)
            pipe.set_progress_bar_config(disable=True)
            folder = tmp_path_factory.mktemp("cogvideox") / kind
            pipe.save_pretrained(folder)
            made[kind] = pipe, folder
        return made[kind]

    return model


@pytest.fixture(autouse=True)
def our_noise(monkeypatch):
    """In the place of the noise that the reference's SDE draws, what is drawn here for that step.

    It draws twice in every step of second order, and drops the first.
    """
    source = DPMSolverSDE(1, NoiseConfig(), SEED)
    draws: list[int] = []

    def drawn(shape, **_):
        number = len(draws)
        draws.append(number)
        b, f, c, h, w = shape
        noise = source.fresh_noise(mx.zeros((b, f, h, w, c)), (number + 1) // 2)
        return torch.from_numpy(np.array(noise.transpose(0, 1, 4, 2, 3)))

    module = sys.modules[diffusers.CogVideoXDPMScheduler.__module__]
    monkeypatch.setattr(module, "randn_tensor", drawn)


def noise(frames: int, width: int, height: int) -> np.ndarray:
    """Latents to begin with, as the reference has them: [1, F, C, h, w]."""
    shape = (1, frames, tiny.CHANNELS, height // 8, width // 8)
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def picture(width: int, height: int) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


class Posterior:
    """The reference's latents of a picture, with the noise that is drawn here."""

    def __init__(self, pipe):
        self.encode = pipe.vae.encode

    def __call__(self, pixels):
        found = self.encode(pixels)
        distribution = found.latent_dist
        b, c, f, h, w = distribution.mean.shape
        drawn = mx.random.normal((b, f, h, w, c), key=mx.random.key(SEED + 1))
        sample = torch.from_numpy(np.array(drawn.transpose(0, 4, 1, 2, 3)))
        distribution.sample = lambda _: distribution.mean + distribution.std * sample
        return found


def expected(pipe, latents: np.ndarray, frames: int, monkeypatch, **how: Any) -> np.ndarray:
    """The reference's frames, 0 to 255."""
    height, width = (8 * side for side in latents.shape[3:])
    if "image" in how:
        from PIL import Image

        monkeypatch.setattr(pipe.vae, "encode", Posterior(pipe))
        how["image"] = Image.fromarray(how["image"])
    video = pipe(
        prompt=PROMPT,
        width=width,
        height=height,
        num_frames=frames,
        latents=torch.from_numpy(latents),
        max_sequence_length=tiny.TOKENS,
        output_type="np",
        **how,
    ).frames[0]
    wanted = np.round(np.asarray(video) * 255)
    assert wanted.std() > 5
    saturated = ((wanted == 0) | (wanted == 255)).mean()
    assert saturated < 0.05
    return wanted


def check(models, monkeypatch, kind, size, frames, latent_frames, steps, guidance, **more) -> None:
    """Both make the same frames of the same noise."""
    pipe, folder = models(kind)
    width, height = size
    latents = noise(latent_frames, width, height)
    given = {"image": picture(width, height)} if kind.endswith("i2v") else {}
    dynamic = more.get("dynamic", "off")
    negative = more.get("negative", "")
    wanted = expected(
        pipe,
        latents,
        frames,
        monkeypatch,
        num_inference_steps=steps,
        guidance_scale=guidance,
        negative_prompt=negative,
        use_dynamic_cfg=dynamic == "released",
        **given,
    )
    clip = mlxvid.load(str(folder)).generate(
        PROMPT,
        negative_prompt=negative,
        width=width,
        height=height,
        frames=frames,
        steps=steps,
        guidance=guidance,
        latents=latents,
        seed=SEED,
        options={"dynamic_guidance": dynamic},
        **given,
    )
    assert clip.frames.shape == wanted.shape
    assert np.abs(clip.frames - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("size", "frames", "steps", "guidance", "more"),
    [
        ((48, 80), 9, 3, 6.0, {"negative": NEGATIVE}),
        ((80, 32), 1, 3, 1.0, {}),
        ((32, 48), 9, 5, 4.0, {"dynamic": "released"}),
        pytest.param((64, 48), 17, 4, 6.0, {}, marks=pytest.mark.slow),
    ],
)
def test_sines_and_ddim(models, monkeypatch, size, frames, steps, guidance, more):
    check(models, monkeypatch, "2b", size, frames, frames // 4 + 1, steps, guidance, **more)


@pytest.mark.parametrize(
    ("size", "frames", "steps", "guidance", "more"),
    [
        ((96, 48), 9, 4, 6.0, {"negative": NEGATIVE, "dynamic": "released"}),
        ((32, 64), 9, 2, 1.0, {}),
        pytest.param((64, 48), 17, 5, 6.0, {}, marks=pytest.mark.slow),
    ],
)
def test_rotary_and_sde(models, monkeypatch, size, frames, steps, guidance, more):
    check(models, monkeypatch, "5b", size, frames, frames // 4 + 1, steps, guidance, **more)


@pytest.mark.parametrize(
    ("kind", "size", "frames", "latent_frames", "guidance", "more"),
    [
        ("1.5", (64, 48), 17, 6, 6.0, {"dynamic": "released"}),
        ("1.5", (32, 80), 1, 2, 6.0, {"negative": NEGATIVE}),
        ("1.5-i2v", (48, 32), 17, 6, 6.0, {}),
        ("5b-i2v", (64, 48), 17, 5, 6.0, {"dynamic": "released"}),
        pytest.param("1.5", (48, 32), 17, 6, 1.0, {}, marks=pytest.mark.slow),
        pytest.param("1.5-i2v", (80, 48), 17, 6, 1.0, {}, marks=pytest.mark.slow),
        pytest.param("5b-i2v", (64, 48), 17, 5, 1.0, {}, marks=pytest.mark.slow),
    ],
)
def test_patches_in_time_and_pictures(
    models, monkeypatch, kind, size, frames, latent_frames, guidance, more
):
    check(models, monkeypatch, kind, size, frames, latent_frames, 3, guidance, **more)


def test_zeros_for_no_prompt(models, monkeypatch, caplog):
    """The original release's condition of nothing."""
    pipe, folder = models("5b")
    latents = noise(3, 64, 48)
    encode = pipe._get_t5_prompt_embeds

    def zeros(prompt, **how):
        states = encode(prompt=prompt, **how)
        return states if prompt == [PROMPT] else torch.zeros_like(states)

    monkeypatch.setattr(pipe, "_get_t5_prompt_embeds", zeros)
    wanted = expected(
        pipe,
        latents,
        9,
        monkeypatch,
        num_inference_steps=3,
        guidance_scale=6.0,
    )
    settings = dict(
        width=64,
        height=48,
        frames=9,
        steps=3,
        latents=latents,
        seed=SEED,
        options={"dynamic_guidance": "off", "unconditional": "zeros"},
    )
    ours = mlxvid.load(str(folder))
    clip = ours.generate(PROMPT, **settings)
    assert np.abs(clip.frames - wanted).max() <= TOLERANCE
    assert not [m for m in caplog.messages if "negative" in m]
    again = ours.generate(PROMPT, negative_prompt=NEGATIVE, **settings)
    assert np.array_equal(again.frames, clip.frames)
    assert [m for m in caplog.messages if "negative prompt does nothing" in m]


@pytest.mark.parametrize("kind", ["2b", pytest.param("1.5-i2v", marks=pytest.mark.slow)])
def test_an_interrupted_run_goes_on_bit_for_bit(models, kind, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    _, folder = models(kind)
    settings: dict[str, Any] = dict(width=64, height=48, frames=17, steps=4, seed=11)
    if kind.endswith("i2v"):
        settings["image"] = picture(64, 48)
    pipe = mlxvid.load(str(folder))
    whole = pipe.generate(PROMPT, **settings).frames
    for stop_at in (1, 3):
        cancel = threading.Event()
        previews = []

        def stop(progress, stop_at=stop_at, cancel=cancel, previews=previews):
            if progress.stage == "denoise" and progress.step == stop_at:
                previews.append(progress.preview())
                cancel.set()

        with pytest.raises(CancelledError, match=facts("`resume`", "goes on")):
            pipe.generate(PROMPT, **settings, on_progress=stop, cancel=cancel)
        assert previews[0].shape == whole.shape
        again = mlxvid.load(str(folder)).generate(PROMPT, **settings, resume=True)
        assert np.array_equal(again.frames, whole)


def test_latents_in_another_order_are_refused(models):
    _, folder = models("5b")
    wrong = noise(3, 64, 48).transpose(0, 2, 1, 3, 4)
    with pytest.raises(SettingError, match=facts("(1, 3, 4, 6, 8)", "[1, F, C, H, W]")):
        mlxvid.load(str(folder)).generate(PROMPT, width=64, height=48, frames=9, latents=wrong)


def test_a_large_picture_is_decoded_in_tiles(models, monkeypatch):
    """The reference's, where the whole picture would take more than half of what there is."""
    _, folder = models("5b")
    model = mlxvid.load(str(folder)).model
    latents = mx.random.normal((1, 3, 6, 8, tiny.CHANNELS), key=mx.random.key(0))
    vae = model.network("vae")
    whole = mx.concatenate(list(model.decode(latents)))
    assert mx.array_equal(whole, mx.concatenate(list(vae.decode(latents)), axis=1)[0])
    small = Machine("small", GIB, 2**27, metal=False)
    monkeypatch.setattr(cogvideox, "this_machine", lambda: small)
    family = model.card.family
    tiles = replace(family.memory, small_tile=32)  # smaller than this picture
    model.card = replace(model.card, family=replace(family, memory=tiles))
    tiled = mx.concatenate(list(model.decode(latents)))
    tile = (tiny.SIZE[1] // 16, tiny.SIZE[0] // 16)
    assert mx.array_equal(tiled, mx.concatenate(list(vae.decode(latents, tile)), axis=1)[0])
    assert tiled.shape == whole.shape and not mx.array_equal(tiled, whole)


def test_quantized(models):
    """The blocks alone: a little off, and the same scene."""
    _, folder = models("5b")
    settings: dict[str, Any] = dict(width=64, height=48, frames=9, steps=2, seed=SEED)
    whole = mlxvid.load(str(folder)).generate(PROMPT, **settings).frames.astype(int)
    near = mlxvid.load(str(folder), quantize=8).generate(PROMPT, **settings).frames.astype(int)
    assert 0 < np.abs(near - whole).mean() < 5
