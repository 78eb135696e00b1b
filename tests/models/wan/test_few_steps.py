"""Wan distilled to three steps: FastVideo's folders, and their sampling against its formulas."""

from __future__ import annotations

import json
import threading

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid import catalog
from mlxvid.convert import convert
from mlxvid.errors import CancelledError, SettingError
from mlxvid.models import card_of
from mlxvid.run import checkpoint
from mlxvid.schedulers import FlowRenoised
from tests.facts import facts

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from safetensors.torch import load_file, save_file  # noqa: E402

from . import tiny as tiny_wan  # noqa: E402

TIMESTEPS = (1000, 757, 522)
SIGMAS = (1.0, 8 * 0.28 / 2.96, 8 * 0.12 / 1.84)
SHAPE = (1, tiny_wan.CHANNELS, 3, 4, 6)
CLIP = dict(width=48, height=32, frames=9, seed=3)


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    """A tiny FastWan: its pipeline's class, and the gates of sparse attention in each block."""
    folder = tiny_wan.write_model(tmp_path_factory.mktemp("fast") / "model", "t2v")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "WanDMDPipeline"}))
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    width = tiny_wan.HEADS * tiny_wan.HEAD_DIM
    for block in range(2):
        tensors[f"blocks.{block}.to_gate_compress.weight"] = torch.randn(width, width)
        tensors[f"blocks.{block}.to_gate_compress.bias"] = torch.randn(width)
    save_file(tensors, path, {"format": "pt"})
    return folder


class Renoising:
    """A scheduler for Diffusers' pipeline after FastVideo's, with the noise that it is given."""

    order = 1
    sigmas = SIGMAS

    def __init__(self, config, drawn):
        self.config = config
        self.timesteps = torch.tensor(TIMESTEPS)
        self.drawn = drawn

    def set_timesteps(self, steps, device=None):
        assert steps == len(TIMESTEPS)

    def set_begin_index(self, index):
        assert index == 0

    def step(self, velocity, timestep, latents, return_dict=False):
        i = TIMESTEPS.index(int(timestep))
        x0 = latents - SIGMAS[i] * velocity
        if i + 1 == len(TIMESTEPS):
            return (x0,)
        return ((1 - SIGMAS[i + 1]) * x0 + SIGMAS[i + 1] * self.drawn[i],)


def test_a_clip_is_the_references_with_the_same_noise(fast, caplog):
    noise = np.random.default_rng(7).standard_normal(SHAPE).astype(np.float32)
    like = mx.zeros([SHAPE[i] for i in (0, 2, 3, 4, 1)])
    sampler = FlowRenoised(3, 8.0, CLIP["seed"], TIMESTEPS)
    drawn = [np.array(sampler.fresh_noise(like, i)).transpose(0, 4, 1, 2, 3) for i in range(2)]
    reference = tiny_wan.pipeline("t2v")
    reference.set_progress_bar_config(disable=True)
    reference.scheduler = Renoising(reference.scheduler.config, list(map(torch.tensor, drawn)))
    expected = reference(
        prompt="a red ball",
        width=CLIP["width"],
        height=CLIP["height"],
        num_frames=CLIP["frames"],
        num_inference_steps=3,
        guidance_scale=1.0,
        latents=torch.from_numpy(noise),
        output_type="np",
    ).frames[0]
    clip = mlxvid.load(str(fast)).generate("a red ball", **CLIP, latents=noise)
    wanted = np.round(np.asarray(expected) * 255)
    assert wanted.std() > 5 and np.abs(clip.frames - wanted).max() <= 2
    assert (clip.settings["steps"], clip.settings["sampler"]) == (3, "dmd")
    told = [message for message in caplog.messages if "to_gate_compress" in message]
    assert len(told) == 1 and "sparse attention" in told[0]


def test_an_interrupted_run_goes_on_bit_for_bit(fast, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    pipe = mlxvid.load(str(fast))
    whole = pipe.generate("a red ball", **CLIP).frames
    for stop in (1, 2):
        cancel = threading.Event()

        def after(progress, stop=stop, cancel=cancel):
            if progress.stage == "denoise" and progress.step == stop:
                cancel.set()

        with pytest.raises(CancelledError):
            pipe.generate("a red ball", **CLIP, on_progress=after, cancel=cancel)
        again = mlxvid.load(str(fast)).generate("a red ball", **CLIP, resume=True)
        assert np.array_equal(again.frames, whole)


def test_it_takes_its_own_steps_and_schedule_alone(fast):
    card = card_of(fast)
    usual = card.defaults
    assert (usual.steps, usual.guidance, usual.sampler) == (3, 1, "dmd")
    assert (usual.width, usual.height, usual.frames) == (832, 448, 61)
    assert card.shift(832, 448) == 8.0 and card.tea is None
    pipe = mlxvid.load(str(fast))
    with pytest.raises(SettingError, match=facts("dmd", "3 steps", "4", "`steps`")):
        pipe.generate("a red ball", **CLIP, steps=4)
    with pytest.raises(SettingError, match=facts("`shift`")):
        pipe.generate("a red ball", **CLIP, shift=5.0)
    with pytest.raises(SettingError, match=facts("`sampler`", "unipc", "dmd")):
        pipe.generate("a red ball", **CLIP, sampler="unipc")
    with pytest.raises(SettingError, match=facts("3 steps", "`cache`")):
        pipe.generate("a red ball", **CLIP, cache="easy")


@pytest.mark.parametrize("name", ["fastwan2.1-t2v-1.3b", "fastwan2.1-t2v-14b-480p"])
def test_its_releases_are_in_the_catalog(name):
    card = catalog.find(name)
    assert catalog.find(card.repository) is card
    assert card.repository.startswith("FastVideo/FastWan2.1-T2V-")
    assert (card.defaults.steps, card.samplers, card.tea) == (3, ("dmd",), None)
    assert "shift" not in card.takes and "to_gate_compress" in card.note
    assert card.passes(card.defaults.guidance) == 1


def test_gates_in_an_index_of_shards_are_told_of(fast, tmp_path):
    """As in FastVideo's models that are sparse and not distilled."""
    folder = tiny_wan.write_model(tmp_path / "model", "t2v")
    assert not card_of(folder).note
    names = load_file(fast / "transformer" / "diffusion_pytorch_model.safetensors")
    index = {"weight_map": dict.fromkeys(names, "diffusion_pytorch_model.safetensors")}
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    path.write_text(json.dumps(index))
    card = card_of(folder)
    assert "to_gate_compress" in card.note and card.defaults.steps == 50


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("wan2.1-t2v-14b-4step", "wan2.1-t2v-14b"),
        ("wan2.1-i2v-14b-480p-4step", "wan2.1-i2v-14b-480p"),
        ("wan2.1-i2v-14b-720p-4step", "wan2.1-i2v-14b-720p"),
    ],
)
def test_models_in_four_steps_are_the_originals_with_another_transformer(name, original):
    card = catalog.find(name)
    other = catalog.find(original)
    usual = card.defaults
    assert (usual.steps, usual.guidance, usual.sampler) == (4, 1, "euler-even")
    assert (usual.width, usual.height) == (other.defaults.width, other.defaults.height)
    assert (card.needs, card.parameters, card.takes) == (other.needs, other.parameters, other.takes)
    assert card.shift(832, 480) == card.shift(1280, 720) == 5
    assert card.is_in_files and "lightx2v_4step" in card.sources["transformer"].file
    assert ("image_encoder" in card.sources) == ("image" in card.needs)
    assert other.tea is not None and card.tea is None


def test_a_converted_one_still_says_it_and_makes_the_same_clip(fast, tmp_path, caplog):
    out = convert(fast, tmp_path / "out", "float32")
    assert card_of(out).defaults.sampler == "dmd"
    caplog.clear()
    clip = mlxvid.load(str(out)).generate("a red ball", **CLIP)
    assert len([message for message in caplog.messages if "to_gate_compress" in message]) == 1
    assert np.array_equal(clip.frames, mlxvid.load(str(fast)).generate("a red ball", **CLIP).frames)
