"""Wan 2.1 as its users meet it: pictures and sizes, quantized and half-precision weights, LoRAs,
resume, plans, broken folders.
"""

from __future__ import annotations

import json
import shutil
import threading

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from PIL import Image

import mlxvid
from mlxvid.errors import CancelledError, SettingError, WeightsError
from mlxvid.generate import PRESETS
from mlxvid.model.memory import Machine, this_machine
from mlxvid.run import checkpoint as keep
from mlxvid.run.planning import plan

pytest.importorskip("torch")
pytest.importorskip("diffusers")
from . import tiny as tiny_wan  # noqa: E402

SMALL = dict(width=32, height=32, frames=5, steps=4, seed=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {
        kind: tiny_wan.write_model(tmp_path_factory.mktemp("wan") / kind, kind)
        for kind in tiny_wan.KINDS
    }


@pytest.fixture
def copy(folders, tmp_path):
    """A model folder of one's own to break."""
    return lambda kind="t2v": shutil.copytree(folders[kind], tmp_path / kind)


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def error_of(folder, **making) -> str:
    with pytest.raises(WeightsError) as caught:
        mlxvid.load(str(folder)).generate("a red ball", **{**SMALL, **making})
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "FOLDER")


def test_what_the_folders_say_of_themselves(folders):
    t2v, i2v, flf2v = (describe(folders[kind]) for kind in tiny_wan.KINDS)
    assert (t2v.defaults.width, t2v.defaults.height, t2v.defaults.frames, t2v.defaults.fps) == (
        832,
        480,
        81,
        16,
    )
    assert (t2v.defaults.steps, t2v.defaults.guidance, t2v.defaults.sampler) == (
        50,
        5,
        "unipc",
    ) and "静态" in t2v.defaults.negative_prompt
    assert (
        t2v.needs == frozenset()
        and i2v.needs == {"image"}
        and flf2v.needs == {"image", "last-image"}
    )
    assert (
        "image" not in t2v.capabilities
        and "last-image" not in i2v.capabilities
        and flf2v.defaults.width == 1280
    )


def test_a_folder_is_planned_from_its_files(folders):
    planned = plan(str(folders["t2v"]), width=64, height=32, frames=9)
    assert planned.weights_source == "files" and planned.tokens == 3 * 2 * 4 and planned.fits
    assert planned.stage_bytes.keys() == {"encode", "denoise", "decode"}


def test_the_shift_goes_with_the_size_and_a_tuned_one_stays(folders, copy):
    family = mlxvid.load(str(folders["t2v"])).family
    assert (family.shift(832, 480), family.shift(1280, 720), family.shift(720, 1280)) == (
        3.0,
        5.0,
        5.0,
    )
    tuned = copy()
    edit(tuned / "scheduler" / "scheduler_config.json", flow_shift=8.0)
    assert mlxvid.load(str(tuned)).family.shift(832, 480) == 8.0


def test_a_picture_model_for_720p_is_known_by_its_shift(copy):
    folder = copy("i2v")
    edit(folder / "scheduler" / "scheduler_config.json", flow_shift=5.0)
    usual = describe(folder).defaults
    assert (usual.width, usual.height) == (1280, 720)


@pytest.mark.parametrize(
    "attempt", ["nothing", "a picture for text", "only the first", "one frame for two"]
)
def test_pictures_that_are_missing_or_not_wanted(folders, attempt):
    picture = np.zeros((32, 32, 3), np.uint8)
    kind, given, sentence = {
        "nothing": ("i2v", {}, r"has none for the image: give one with --image\.$"),
        "a picture for text": (
            "t2v",
            {"image": picture},
            r"^This model takes no image; --list-models shows",
        ),
        "only the first": (
            "flf2v",
            {"image": picture},
            r"has none for the last image: give one with --last-image\.$",
        ),
        "one frame for two": (
            "flf2v",
            {"image": picture, "last_image": picture, "frames": 1},
            r"^This model goes from a first picture to a last one, so one frame is too few; give more with --frames\.$",
        ),
    }[attempt]
    with pytest.raises(SettingError, match=sentence):
        mlxvid.load(str(folders[kind])).generate("a red ball", **{**SMALL, **given})


def test_a_phone_picture_is_turned_and_gives_the_size(folders, tmp_path, caplog):
    """A JPEG whose EXIF says that it lies on its side; at 832x480 pixels its proportions give an
    upright clip.
    """
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)).save(
        path, exif=exif
    )
    pipe = mlxvid.load(str(folders["i2v"]))
    pipe.model.defaults = describe(folders["i2v"]).defaults.__class__(
        64, 48, 5, 16.0, 1, 5.0, sampler="unipc"
    )
    clip = pipe.generate("a red ball", image=str(path), seed=1)
    assert clip.frames.shape == (5, 80, 48, 3) and clip.settings["keyframes"] == {"0": str(path)}
    assert [record.getMessage() for record in caplog.records] == [
        "The clip is 48x80, after the proportions of the picture (90x160).",
        "The picture (90x160) was reduced and cropped at the top and bottom to 48x80.",
    ]


def test_an_interrupted_unipc_run_goes_on_bit_for_bit(folders, monkeypatch):
    monkeypatch.setattr(keep, "CHECKPOINT_SECONDS", 0.0)
    pipe = mlxvid.load(str(folders["t2v"]))
    settings = {**SMALL, "steps": 7}
    whole = pipe.generate("a red ball", **settings).frames
    for step in (1, 4):
        cancel = threading.Event()

        def stop(progress, step=step, cancel=cancel):
            if progress.stage == "denoise" and progress.step == step:
                cancel.set()

        with pytest.raises(CancelledError, match="--resume goes on from there"):
            pipe.generate("a red ball", **settings, cancel=cancel, on_progress=stop)
        again = mlxvid.load(str(folders["t2v"])).generate("a red ball", **settings, resume=True)
        assert np.array_equal(again.frames, whole)


QUANTIZED = {
    "transformer.blocks.0.attn1.to_q": True,
    "transformer.blocks.1.ffn.net.2": True,
    "transformer.blocks.0.attn2.to_out.0": True,
    "transformer.patch_embedding": False,
    "transformer.condition_embedder.time_proj": False,
    "transformer.condition_embedder.text_embedder.linear_1": False,
    "transformer.proj_out": False,
    "text_encoder.encoder.block.0.layer.0.SelfAttention.q": True,
}


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_weights_keep_what_is_sensitive(copy, bits):
    wide = copy()
    pipe = mlxvid.load(str(wide), quantize=bits)
    clip = pipe.generate("a red ball", **SMALL)
    for name, wanted in QUANTIZED.items():
        component, _, layer = name.partition(".")
        modules = dict(pipe.model.network(component).named_modules())
        assert isinstance(modules[layer], nn.QuantizedLinear) == wanted, name
    assert clip.frames.shape == (5, 32, 32, 3) and clip.settings["quantize"] == bits


def test_half_precision_is_near(folders):
    whole = mlxvid.load(str(folders["t2v"])).generate("a red ball", **SMALL).frames
    half = mlxvid.load(str(folders["t2v"]), dtype="bfloat16").generate("a red ball", **SMALL).frames
    assert not np.array_equal(whole, half) and np.abs(whole.astype(int) - half).mean() < 6


def test_a_lora_changes_the_clip_and_travels_in_its_settings(folders, tmp_path):
    dim = tiny_wan.HEADS * tiny_wan.HEAD_DIM
    place, rng = "diffusion_model.blocks.0.self_attn.q", np.random.default_rng(0)
    factors = {"lora_down": (4, dim), "lora_up": (dim, 4)}
    file = tmp_path / "style.safetensors"
    mx.save_safetensors(
        str(file),
        {
            f"{place}.{k}.weight": mx.array(rng.standard_normal(v).astype(np.float32))
            for k, v in factors.items()
        },
    )
    plain = mlxvid.load(str(folders["t2v"])).generate("a red ball", **SMALL)
    styled = mlxvid.load(str(folders["t2v"]), loras=[f"{file}@0.5"]).generate("a red ball", **SMALL)
    nothing = mlxvid.load(str(folders["t2v"]), loras=[f"{file}@0"]).generate("a red ball", **SMALL)
    assert not np.array_equal(plain.frames, styled.frames) and np.array_equal(
        plain.frames, nothing.frames
    )
    assert styled.settings["loras"] == [f"{file}@0.5"]
    mx.save_safetensors(
        str(file), {"diffusion_model.blocks.9.self_attn.q.lora_down.weight": mx.zeros((4, dim))}
    )
    with pytest.raises(
        WeightsError, match=r"^This model has no place for diffusion_model\.blocks\.9\."
    ):
        mlxvid.load(str(folders["t2v"]), loras=[str(file)]).generate("a red ball", **SMALL)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_few_steps_without_guidance(folders, preset):
    """As the presets of few-step LoRAs ask for; the model is then called once a step."""
    pipe = mlxvid.load(str(folders["t2v"]))
    network, calls = pipe.model.network, []
    pipe.model.network = lambda name, *watch: calls.append(name) or network(name, *watch)
    clip = pipe.generate("a red ball", **{**SMALL, **PRESETS[preset]})
    assert clip.settings.items() >= PRESETS[preset].items() and clip.frames.shape == (5, 32, 32, 3)
    assert calls.count("transformer") == 1 + PRESETS[preset]["steps"]  # it is loaded, then called


def test_mini_takes_no_lora():
    with pytest.raises(SettingError, match=r"^mini takes no LoRA; leave --lora out\.$"):
        mlxvid.load("mini", loras=["a.safetensors"])


def test_wan_2_2_is_told_apart(copy):
    newer = copy()
    edit(newer / "model_index.json", transformer_2=["diffusers", "WanTransformer3DModel"])
    assert (
        error_of(newer)
        == "FOLDER holds a Wan 2.2 model, which mlxvid can't run yet; use one of Wan 2.1."
    )


def test_parts_of_different_models(copy):
    mixed = copy()
    edit(mixed / "text_encoder" / "config.json", d_model=128)
    assert (
        error_of(mixed)
        == "The parts of FOLDER come from different models; download or convert the model again."
    )


def test_weights_that_are_not_finite_are_told_at_the_first_step(copy):
    broken = copy()
    file = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(file))
    weights["proj_out.bias"] = weights["proj_out.bias"] * float("nan")
    mx.eval(weights)
    mx.save_safetensors(str(file), weights)
    with pytest.raises(
        mlxvid.DegenerateClipError,
        match=r"^The latents have values that are not finite after step 1 of 4; try ",
    ):
        mlxvid.load(str(broken)).generate("a red ball", **SMALL)


def test_short_memory_makes_smaller_tiles_and_the_same_frames(folders, monkeypatch):
    pipe = mlxvid.load(str(folders["t2v"]))
    whole = pipe.generate("a red ball", **{**SMALL, "width": 512, "height": 16, "steps": 1}).frames
    tiles = []
    vae = type(pipe.model.network("vae"))
    decode = vae.decode
    monkeypatch.setattr(
        vae,
        "decode",
        lambda self, z, tile=None: (tiles.append(tile), decode(self, z, tile=tile))[1],
    )
    short = type(this_machine())("a small one", 2**24, 2**24, False)
    monkeypatch.setattr("mlxvid.models.wan.pipeline.this_machine", lambda: short)
    again = pipe.generate("a red ball", **{**SMALL, "width": 512, "height": 16, "steps": 1}).frames
    assert tiles == [54] and np.abs(again.astype(int) - whole).max() <= 1


def test_720p_decodes_on_a_small_mac_in_tiles():
    mac = Machine("Mac", 16 * 2**30, 12 * 2**30, True)
    small = plan("wan2.1-t2v-1.3b", width=1280, height=720, machine=mac, quantize=4)
    large = plan(
        "wan2.1-t2v-1.3b",
        width=1280,
        height=720,
        machine=Machine("Mac", 64 * 2**30, 51 * 2**30, True),
        quantize=4,
    )
    assert small.stage_bytes["decode"] < 9 * 2**30 < 14 * 2**30 < large.stage_bytes["decode"]
