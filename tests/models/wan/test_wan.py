"""Wan 2.1 as its users meet it: pictures and sizes, quantized and half-precision weights, LoRAs,
resume, plans, broken folders.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import threading

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from PIL import Image

import mlxvid
from mlxvid.errors import (
    CancelledError,
    MediaError,
    MlxvidError,
    ModelNotFoundError,
    SettingError,
    WeightsError,
)
from mlxvid.model.machine import GIB, Machine
from mlxvid.models import card_of
from mlxvid.models.wan.card import FAMILY
from mlxvid.run import checkpoint
from mlxvid.run.planning import plan
from mlxvid.run.repeat import changes, require_same
from mlxvid.run.sources import digest
from tests.facts import facts

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


def assert_says(folder, *words: object) -> None:
    """Loading the model and making a clip is an error that says these facts, in this order."""
    with pytest.raises(WeightsError) as caught:
        mlxvid.load(str(folder)).generate("a red ball", **SMALL)
    message = str(caught.value)
    assert "\n" not in message
    assert re.search(facts(*words), message.replace(str(folder), "FOLDER")), message


def test_what_the_folders_say_of_themselves(folders):
    t2v, i2v, flf2v = (card_of(folders[kind]) for kind in tiny_wan.KINDS)
    usual = t2v.defaults
    assert (usual.width, usual.height, usual.frames, usual.fps) == (832, 480, 81, 16)
    assert (usual.steps, usual.guidance, usual.sampler) == (50, 5, "unipc")
    assert "静态" in usual.negative_prompt
    assert flf2v.defaults.width == 1280
    assert t2v.needs == frozenset()
    assert i2v.needs == {"image"}
    assert flf2v.needs == {"image", "last_image"}
    assert "image" not in t2v.takes
    assert "last_image" not in i2v.takes
    assert all("loras" in card.takes for card in (t2v, i2v, flf2v))


def test_a_folder_is_planned_from_its_files(folders):
    planned = plan(str(folders["t2v"]), width=64, height=32, frames=9)
    assert planned.weights_source == "files"
    assert planned.tokens == 3 * 2 * 4
    assert planned.fits
    assert planned.stage_bytes.keys() == {"encode", "denoise", "decode"}


def test_the_shift_goes_with_the_size_and_a_tuned_one_stays(folders, copy):
    card = card_of(folders["t2v"])
    assert card.shift(832, 480) == 3.0
    assert card.shift(1280, 720) == card.shift(720, 1280) == 5.0
    tuned = copy()
    edit(tuned / "scheduler" / "scheduler_config.json", flow_shift=8.0)
    assert card_of(tuned).shift(832, 480) == 8.0


def test_a_picture_model_for_720p_is_known_by_its_shift(copy):
    folder = copy("i2v")
    edit(folder / "scheduler" / "scheduler_config.json", flow_shift=5.0)
    usual = card_of(folder).defaults
    assert (usual.width, usual.height) == (1280, 720)


PICTURE = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("i2v", {}, ("has none for the image", "give one as", "`image`")),
        ("t2v", {"image": PICTURE}, ("takes no", "`image`", "`list_models`")),
        ("flf2v", {"image": PICTURE}, ("has none for the last image", "`last_image`")),
        (
            "flf2v",
            {"image": PICTURE, "last_image": PICTURE, "frames": 1},
            ("first picture to a last one", "too few", "`frames`"),
        ),
    ],
    ids=["nothing", "a picture for text", "only the first", "one frame for two"],
)
def test_pictures_that_are_missing_or_not_wanted(folders, kind, given, words):
    with pytest.raises(SettingError, match=facts(*words)):
        mlxvid.load(str(folders[kind])).generate("a red ball", **{**SMALL, **given})


def test_a_phone_picture_is_turned_and_gives_the_size(folders, tmp_path, caplog):
    """A JPEG whose EXIF says that it lies on its side; at 832x480 pixels its proportions give an
    upright clip.
    """
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    pipe = mlxvid.load(str(folders["i2v"]))
    card = pipe.model.card
    usual = dataclasses.replace(card.defaults, width=64, height=48, frames=5, steps=1)
    pipe.model.card = dataclasses.replace(card, defaults=usual)
    clip = pipe.generate("a red ball", image=str(path), seed=1)
    assert clip.frames.shape == (5, 80, 48, 3)
    assert clip.settings["keyframes"] == {"0": str(path)}
    size, fit = (record.getMessage() for record in caplog.records)
    assert "48x80" in size and "90x160" in size
    assert "90x160" in fit and "cropped at the top and bottom" in fit


def test_an_interrupted_unipc_run_goes_on_bit_for_bit(folders, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    pipe = mlxvid.load(str(folders["t2v"]))
    settings = {**SMALL, "steps": 7}
    whole = pipe.generate("a red ball", **settings).frames
    for step in (1, 4):
        cancel = threading.Event()

        def stop(progress, step=step, cancel=cancel):
            if progress.stage == "denoise" and progress.step == step:
                cancel.set()

        with pytest.raises(CancelledError, match=facts("`resume`", "goes on")):
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
    assert clip.frames.shape == (5, 32, 32, 3)
    assert clip.settings["quantize"] == bits


def test_the_image_encoder_is_not_quantized_and_stays_in_float32(folders):
    pipe = mlxvid.load(str(folders["i2v"]), quantize=4, dtype="bfloat16")
    parameters = dict(tree_flatten(pipe.model.network("image_encoder").parameters()))
    assert {array.dtype for array in parameters.values()} == {mx.float32}
    assert not [name for name in parameters if name.endswith(".scales")]


def test_half_precision_is_near(folders):
    whole = mlxvid.load(str(folders["t2v"])).generate("a red ball", **SMALL).frames
    half = mlxvid.load(str(folders["t2v"]), dtype="bfloat16").generate("a red ball", **SMALL).frames
    assert not np.array_equal(whole, half)
    assert np.abs(whole.astype(int) - half).mean() < 6


def write_lora(file, block: int) -> None:
    """A LoRA of one of a block's projections, of rank 4."""
    width = tiny_wan.HEADS * tiny_wan.HEAD_DIM
    numbers = np.random.default_rng(0)
    shapes = {"lora_down": (4, width), "lora_up": (width, 4)}
    factors = {}
    for name, shape in shapes.items():
        values = numbers.standard_normal(shape).astype(np.float32)
        place = f"diffusion_model.blocks.{block}.self_attn.q.{name}.weight"
        factors[place] = mx.array(values)
    mx.save_safetensors(str(file), factors)


def test_a_lora_changes_the_clip_and_travels_in_its_settings(folders, tmp_path):
    file = tmp_path / "style.safetensors"
    write_lora(file, 0)

    def clip(*loras: str):
        return mlxvid.load(str(folders["t2v"]), loras=loras).generate("a red ball", **SMALL)

    plain = clip()
    styled = clip(f"{file}@0.5")
    assert not np.array_equal(plain.frames, styled.frames)
    assert np.array_equal(plain.frames, clip(f"{file}@0").frames)
    assert styled.settings["loras"] == [f"{file}@0.5"]
    assert "loras" not in plain.settings


def test_a_lora_of_another_model(folders, tmp_path):
    file = tmp_path / "style.safetensors"
    write_lora(file, 9)
    with pytest.raises(WeightsError, match=facts("no place for", "blocks.9.self_attn.q")):
        mlxvid.load(str(folders["t2v"]), loras=[str(file)])


def test_a_loras_path_is_kept_so_that_it_is_found_from_anywhere(folders, tmp_path, monkeypatch):
    write_lora(tmp_path / "style.safetensors", 0)
    monkeypatch.chdir(tmp_path)
    pipe = mlxvid.load(str(folders["t2v"]), loras=["style.safetensors@0.5"])
    assert pipe.loaded["loras"] == [f"{tmp_path}/style.safetensors@0.5"]


@pytest.mark.parametrize("name", ["gone.safetensors", "broken.safetensors"])
def test_a_lora_is_judged_before_anything_is_loaded(name, copy, tmp_path):
    folder = copy()
    for file in folder.rglob("*.safetensors"):
        file.write_bytes(b"nothing that can be read")
    (tmp_path / "broken.safetensors").write_bytes(bytes(20))
    with pytest.raises(MlxvidError, match=name):
        mlxvid.load(str(folder), loras=[str(tmp_path / name)])


def test_a_missing_lora_is_told_before_a_model_is_downloaded(tmp_path):
    for name in ("wan2.1-t2v-14b", "owner/a-model-that-nobody-has"):
        with pytest.raises(ModelNotFoundError, match="gone.safetensors"):
            mlxvid.load(name, loras=[str(tmp_path / "gone.safetensors")])


def test_what_is_left_out_of_a_lora_is_said_once(folders, tmp_path, caplog):
    file = tmp_path / "style.safetensors"
    write_lora(file, 0)
    extra = {"diffusion_model.blocks.0.cross_attn.k_img.diff_b": mx.zeros(4)}
    mx.save_safetensors(str(file), {**mx.load(str(file)), **extra})
    pipe = mlxvid.load(str(folders["t2v"]), loras=[str(file)])
    pipe.generate("a red ball", **SMALL)
    said = [record.message for record in caplog.records if str(file) in record.message]
    assert len(said) == 1
    assert "1 layer for pictures" in said[0]


@pytest.mark.parametrize("preset", FAMILY.presets)
def test_a_few_steps_without_guidance(folders, preset):
    """As the presets of few-step LoRAs ask for; the model is then called once a step."""
    pipe = mlxvid.load(str(folders["t2v"]))
    predict = pipe.model.predict
    rows: list[int] = []

    def record(x, *rest):
        rows.append(len(x))
        return predict(x, *rest)

    pipe.model.predict = record
    settings = FAMILY.presets[preset]
    clip = pipe.generate("a red ball", **{**SMALL, **settings})
    assert clip.settings.items() >= settings.items()
    assert clip.frames.shape == (5, 32, 32, 3)
    assert rows == [1] * settings["steps"]


def test_mini_takes_no_lora():
    with pytest.raises(SettingError, match=facts("mini", "LoRA", "`loras`")):
        mlxvid.load("mini", loras=["a.safetensors"])


def test_wan_2_2_is_told_apart(copy):
    newer = copy()
    edit(newer / "model_index.json", transformer_2=["diffusers", "WanTransformer3DModel"])
    assert_says(newer, "FOLDER", "Wan 2.2", "can't run yet", "Wan 2.1")


@pytest.mark.parametrize("trace", [{"boundary_ratio": 0.875}, {"expand_timesteps": True}])
def test_wan_2_2_is_told_by_what_is_left_of_it(copy, trace):
    half = copy()
    edit(half / "model_index.json", **trace)
    assert_says(half, "FOLDER", "Wan 2.2", "can't run yet", "`list_models`")


def test_a_second_transformer_that_is_not_listed_is_told_too(copy):
    whole = copy()
    shutil.copytree(whole / "transformer", whole / "transformer_2")
    assert_says(whole, "FOLDER", "Wan 2.2", "two transformers")


@pytest.mark.parametrize(
    ("channels", "what"),
    [(8, "Fun Camera"), (16, "Fun Control"), (9, "a variant of Wan")],
)
def test_other_inputs_are_told_before_anything_is_read(copy, channels, what):
    """The tiny model has 4 channels of latents: 8 stands for 32 of the real one, 16 for 52."""
    control = copy("i2v")
    edit(control / "transformer" / "config.json", in_channels=channels)
    assert_says(control, "FOLDER", what, f"{channels} input channels", "can't run yet")


@pytest.mark.parametrize("kind", ["WanVACETransformer3DModel", "SkyReelsV2Transformer3DModel"])
def test_another_class_of_transformer_is_named(copy, kind):
    other = copy()
    edit(other / "transformer" / "config.json", _class_name=kind)
    assert_says(other, "FOLDER", kind, "can't run yet")


def test_pictures_without_layers_for_them_are_wan_2_2s(copy):
    newer = copy("i2v")
    edit(newer / "transformer" / "config.json", image_dim=None, added_kv_proj_dim=None)
    assert_says(newer, "FOLDER", "Wan 2.2's I2V", "can't run yet")


def test_parts_of_different_models(copy):
    mixed = copy()
    edit(mixed / "text_encoder" / "config.json", d_model=128)
    assert_says(mixed, "FOLDER", "different models", "download or convert the model again")


def test_weights_that_are_not_finite_are_told_at_the_first_step(copy):
    broken = copy()
    file = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(file))
    weights["proj_out.bias"] = weights["proj_out.bias"] * float("nan")
    mx.eval(weights)
    mx.save_safetensors(str(file), weights)
    expected = facts("latents", "not finite", "step 1 of 4", "`dtype`")
    with pytest.raises(mlxvid.DegenerateClipError, match=expected):
        mlxvid.load(str(broken)).generate("a red ball", **SMALL)


def test_short_memory_makes_smaller_tiles_and_the_same_frames(folders, monkeypatch):
    pipe = mlxvid.load(str(folders["t2v"]))
    settings = {**SMALL, "width": 512, "height": 16, "steps": 1}
    whole = pipe.generate("a red ball", **settings).frames
    tiles = []
    vae = type(pipe.model.network("vae"))
    decode = vae.decode

    def record(self, z, tile=None):
        tiles.append(tile)
        return decode(self, z, tile=tile)

    monkeypatch.setattr(vae, "decode", record)
    short = Machine("a small one", 2**24, 2**24, False)
    monkeypatch.setattr("mlxvid.models.wan.model.this_machine", lambda: short)
    again = pipe.generate("a red ball", **settings).frames
    assert tiles == [54]
    assert np.abs(again.astype(int) - whole).max() <= 1


def test_720p_decodes_on_a_small_mac_in_tiles():
    def decoding(total: int, usable: int) -> int:
        mac = Machine("Mac", total * GIB, usable * GIB, True)
        planned = plan("wan2.1-t2v-1.3b", width=1280, height=720, machine=mac, quantize=4)
        return planned.stage_bytes["decode"]

    assert decoding(16, 12) < 9 * GIB
    assert decoding(64, 51) > 14 * GIB


def test_a_lora_that_has_changed_or_is_gone_is_named(folders, tmp_path):
    file = tmp_path / "style.safetensors"
    write_lora(file, 0)
    pipe = mlxvid.load(str(folders["t2v"]), loras=[f"{file}@0.5"])
    settings = pipe.generate("a red ball", **SMALL).settings
    assert settings["digests"] == {str(file): digest(file)}
    require_same(settings, settings, "one.mp4")
    assert list(changes(settings, settings, "one.mp4")) == []
    file.write_bytes(file.read_bytes() + b" ")
    (note,) = changes(settings, settings, "one.mp4")
    assert str(file) in note
    file.unlink()
    with pytest.raises(MediaError, match=facts(str(file), "one.mp4", "`loras`")):
        require_same(settings, settings, "one.mp4")
