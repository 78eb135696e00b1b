"""The tiny decoder of a model: previews and drafts, with Diffusers' pipeline as the reference."""

from __future__ import annotations

import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx

from mlxvid import generate
from mlxvid.errors import SettingError, WeightsError
from mlxvid.hub.tiny import tiny_path
from mlxvid.layers.tiny_decoder import TinyDecoderConfig
from mlxvid.media.clip import read_settings
from mlxvid.model.tiny import FOLDER
from mlxvid.models.wan.card import FAMILY
from mlxvid.run import latent_map
from mlxvid.run.tiny import Tiny

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from safetensors.numpy import save_file  # noqa: E402

from tests.layers.tiny_decoders import tensors, theirs  # noqa: E402

from . import tiny as tiny_wan  # noqa: E402

CONFIG = TinyDecoderConfig(tiny_wan.CHANNELS, (16, 12, 8, 6))
WEIGHTS = tensors(CONFIG)
# The release has an encoder too.
RELEASED = {**WEIGHTS, "encoder.0.weight": np.ones((6, 3, 3, 3), np.float32)}
CLIP = dict(width=48, height=32, frames=9, steps=2, guidance=1.0, seed=1, sampler="euler")
PROMPT = "a red ball"


class TheirTinyVAE(torch.nn.Module):
    """What the reference's examples put in the place of a pipeline's VAE: latents unscaled."""

    dtype = torch.float32
    device = torch.device("cpu")
    temperal_downsample = (False, True, True)
    config = SimpleNamespace(
        z_dim=CONFIG.channels,
        latents_mean=[0.0] * CONFIG.channels,
        latents_std=[1.0] * CONFIG.channels,
    )

    def decode(self, latents, return_dict=False):
        frames = theirs(WEIGHTS, CONFIG, latents.permute(0, 2, 3, 4, 1).numpy(), enlarge=3)
        return (torch.from_numpy(frames[:, 3:] * 2 - 1).permute(0, 4, 1, 2, 3),)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A model without a tiny decoder, and the reference's pipeline of it."""
    reference = tiny_wan.pipeline("t2v")
    folder = tmp_path_factory.mktemp("wan") / "t2v"
    reference.save_pretrained(folder)
    reference.set_progress_bar_config(disable=True)
    return folder, reference


@pytest.fixture
def folder(bare, tmp_path):
    """The model with a tiny decoder beside its VAE."""
    made = shutil.copytree(bare[0], tmp_path / "model")
    (made / FOLDER).mkdir()
    save_file(RELEASED, made / FOLDER / "taew2_1.safetensors")
    return made


@pytest.fixture
def few_clips(monkeypatch):
    monkeypatch.setattr(latent_map, "CLIPS", 6)


def test_a_draft_is_the_references_pipeline_with_the_tiny_decoder(bare, folder):
    from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline

    reference = WanPipeline.from_pretrained(bare[0])
    reference.set_progress_bar_config(disable=True)
    reference.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    reference.vae = TheirTinyVAE()
    noise = np.random.default_rng(7).standard_normal((1, 4, 3, 4, 6)).astype(np.float32)
    given = dict(width=48, height=32, guidance_scale=1.0, num_inference_steps=2)
    with torch.no_grad():
        expected = reference(
            PROMPT, num_frames=9, latents=torch.from_numpy(noise), output_type="np", **given
        ).frames[0]
    clip = mlxvid.load(str(folder)).generate(PROMPT, latents=noise, **CLIP, draft_decode=True)
    expected = np.round(expected * 255)
    assert clip.frames.shape == expected.shape and expected.std() > 20
    assert np.abs(clip.frames - expected).max() <= 2


@pytest.mark.parametrize("place", ["pth", "cache"])
def test_where_it_may_be(bare, folder, own_cache, place):
    expected = mlxvid.load(str(folder)).generate(PROMPT, **CLIP, draft_decode=True)
    file = folder / FOLDER / "taew2_1.safetensors"
    if place == "pth":
        state = {name: torch.from_numpy(weight) for name, weight in RELEASED.items()}
        torch.save(state, file.with_suffix(".pth"))
    else:
        target = tiny_path(FAMILY.tiny_decoder)
        target.parent.mkdir(parents=True)
        shutil.copy(file, target)
    file.unlink()
    clip = mlxvid.load(str(folder)).generate(PROMPT, **CLIP, draft_decode=True)
    assert np.array_equal(clip.frames, expected.frames)


def test_a_draft_is_made_whole_afterwards(folder, tmp_path, capsys):
    """The file says that it is a draft, so that --from makes one again; its latents stay, and
    --decode-only makes of them what would have been made without.
    """
    target = tmp_path / "draft.mp4"
    sizes = ["--width", "48", "--height", "32", "--frames", "9", "--steps", "2", "--seed", "1"]
    asked = ["--model", str(folder), "--prompt", PROMPT, "--guidance", "1", *sizes]
    assert generate.main([*asked, "--draft-decode", "-o", str(target)]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "--decode-only" in line]
    latents = line.split("--decode-only ")[1].split()[0]
    assert read_settings(target)["draft_decode"] is True
    pipe = mlxvid.load(str(folder))
    whole = pipe.generate(PROMPT, **{**CLIP, "sampler": None})
    again = pipe.decode_saved(latents)
    assert np.array_equal(again.frames, whole.frames)
    assert "draft_decode" not in again.settings
    draft = pipe.generate(PROMPT, **{**CLIP, "sampler": None}, draft_decode=True)
    assert not np.array_equal(draft.frames, whole.frames)
    repeated = tmp_path / "repeated.mp4"
    assert generate.main(["--from", str(target), "--no-draft-decode", "-o", str(repeated)]) == 0
    assert read_settings(repeated)["draft_decode"] is False
    other = ["--from", str(target), "--model", "mini", "-o", str(repeated)]
    assert generate.main(other) == 0
    assert "draft_decode" not in read_settings(repeated)


def test_the_vae_is_not_loaded_for_a_draft(folder):
    pipe = mlxvid.load(str(folder))
    pipe.generate(PROMPT, **CLIP, draft_decode=True)
    assert "vae" not in pipe.model.components._loaded


def test_without_one_it_is_said_before_anything_is_done(bare, tiny):
    stages = []
    pipe = mlxvid.load(str(bare[0]))
    with pytest.raises(WeightsError) as error:
        pipe.generate(PROMPT, **CLIP, draft_decode=True, on_progress=stages.append)
    facts = ("mlxvid.hub download taew2_1", "taew2_1.pth", str(bare[0] / FOLDER))
    assert all(fact in str(error.value) for fact in facts) and not stages
    with pytest.raises(SettingError, match="draft_decode"):
        tiny.generate(PROMPT, draft_decode=True)


@pytest.mark.parametrize(
    ("name", "weights", "facts"),
    [
        ("lighttaew2_1", RELEASED, ["another scale"]),
        ("taew2_1", {"decoder.1.weight": np.ones((4, 4, 3, 3), np.float32)}, ["no tiny decoder"]),
        ("taew2_2", tensors(TinyDecoderConfig(6, (8, 8, 8, 8), patch=2)), ["6", "4", "16", "8"]),
        ("taew2_1", {**WEIGHTS, "decoder.99.weight": np.ones(3, np.float32)}, ["decoder.99"]),
    ],
)
def test_what_does_not_fit_is_refused_for_drafts_and_passed_over_for_previews(
    folder, name, weights, facts, caplog
):
    (folder / FOLDER / "taew2_1.safetensors").unlink()
    save_file(weights, folder / FOLDER / f"{name}.safetensors")
    pipe = mlxvid.load(str(folder))
    with pytest.raises(WeightsError) as error:
        pipe.generate(PROMPT, **CLIP, draft_decode=True)
    assert all(fact in str(error.value) for fact in [name, *facts])
    assert len(pipe.generate(PROMPT, **CLIP).frames) == 9
    assert str(error.value) in caplog.text


def test_previews_are_its_frames(folder, few_clips, caplog):
    pipe = mlxvid.load(str(folder))
    pipe.model.components.usable = 0  # the VAE has no room beside the denoiser
    shown = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == 2:
            shown.extend([progress.preview(rough=True), progress.preview()])
            assert [*pipe.model.components._loaded] == ["transformer"]

    draft = pipe.generate(PROMPT, **CLIP, previews=True, draft_decode=True, on_progress=on_progress)
    assert all(np.array_equal(frames, draft.frames) for frames in shown)
    assert "being prepared" not in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_rough_previews_of_large_clips_are_small(folder):
    shown = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            shown.append(progress.preview(rough=True).shape)

    large = {**CLIP, "width": 528, "height": 32, "frames": 5, "steps": 1}
    mlxvid.load(str(folder)).generate(PROMPT, **large, on_progress=on_progress)
    assert shown == [(5, 8, 132, 3)]


def test_a_family_may_say_which_latents_it_takes(folder, monkeypatch):
    model = mlxvid.load(str(folder)).model
    tiny = Tiny(model)
    latents = mx.random.normal((1, 2, 3, 4, CONFIG.channels), key=mx.random.key(0))
    expected = [*tiny.decode(latents / 0.7)]
    monkeypatch.setattr(model, "tiny_latents", lambda latents: latents / 0.7)
    ours = [*tiny.decode(latents)]
    assert len(ours) == 5 and all(map(mx.array_equal, ours, expected))
