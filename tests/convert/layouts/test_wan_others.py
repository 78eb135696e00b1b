"""Releases that look like Wan 2.1 and are not: refused in one sentence that says what they are."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mlxvid.convert import convert
from mlxvid.errors import WeightsError
from mlxvid.models import card_of

from ..contents import assert_states
from . import wan_modules, wan_release
from .wan_release import VAE_FILE


@pytest.fixture
def source(releases, tmp_path):
    """A release from text without its transformer's files."""
    folder = shutil.copytree(releases["t2v"].source, tmp_path / "source")
    for path in [*folder.glob("diffusion_pytorch_model*"), folder / "config.json"]:
        path.unlink()
    return folder


@pytest.fixture
def transformer(releases):
    """The tensors of a transformer from text."""
    return dict(releases["t2v"].modules["transformer"].state_dict())


def put(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    (path.parent / "config.json").write_text(json.dumps({"num_heads": 2}))


def refused(source, *facts):
    with pytest.raises(WeightsError) as error:
        convert(source, source.parent / "out")
    assert_states(error.value, str(source), "can't run yet", "Wan 2.1", "`list_models`", *facts)
    assert [path.name for path in source.parent.iterdir()] == ["source"]


@pytest.mark.parametrize(
    "places",
    [
        ["high_noise_model/model.safetensors", "low_noise_model/model.safetensors"],
        ["low_noise_model/model.safetensors"],
        ["diffusion_models/wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"],
        ["Wan2_2-T2V-A14B-LOW_fp8_e4m3fn_scaled_KJ.safetensors"],
        ["unet/wan22-lightning-HIGH.safetensors"],
        ["wan_14B_HIGH.safetensors", "wan_14B_LOW.safetensors"],
        ["high/model.safetensors", "low/model.safetensors"],
    ],
)
def test_one_or_both_of_wan_2_2s_experts(places, source, transformer):
    for place in places:
        put(source / place, transformer)
    refused(source, "Wan 2.2")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("SkyReels-V2-DF-1.3B-540P", "diffusion forcing"),
        ("skyreels_v2_df_1.3b_fp16", "diffusion forcing"),
        ("Phantom-Wan-1.3B", "pictures of its subjects"),
        ("SkyReels-V2-T2V-14B-540P", None),
        ("MoviiGen1.1", None),
        ("wan_low_vram", None),
    ],
)
def test_what_was_trained_for_something_else_is_told(name, what, source, transformer, caplog):
    put(source / f"{name}.safetensors", transformer)
    caplog.set_level("INFO", "mlxvid")
    convert(source, source.parent / "out")
    index = json.loads((source.parent / "out" / "model_index.json").read_text())
    told = [note for note in caplog.messages if note.startswith("This model was trained")]
    assert told == ([index["note"]] if what else [])
    assert what is None or what in index["note"]


def test_a_transformer_of_wan_2_1_is_taken_though_one_of_wan_2_2_is_beside_it(
    source, transformer, tmp_path, caplog
):
    put(source / "a" / "wan2.1_t2v.safetensors", transformer)
    put(source / "b" / "wan2.2_t2v_low_noise.safetensors", transformer)
    caplog.set_level("INFO", "mlxvid")
    assert (convert(source, tmp_path / "out") / "model_index.json").is_file()
    assert any(m.startswith("Left out: b/wan2.2_t2v_low_noise") for m in caplog.messages)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("vace_blocks.0.self_attn.q.weight", "VACE"),
        ("control_adapter.conv.weight", "Fun Camera"),
        ("ref_conv.weight", "Fun Control"),
        ("casual_audio_encoder.weights", "S2V"),
        ("face_adapter.fuser_blocks.0.linear1_q.weight", "Animate"),
        ("blocks.0.cam_encoder.weight", "camera"),
    ],
)
def test_what_further_tensors_say(name, what, source, transformer):
    put(source / "model.safetensors", {**transformer, name: torch.ones(2, 2)})
    refused(source, what)


@pytest.mark.parametrize(
    ("channels", "what"), [(48, "Fun Control"), (32, "Fun Camera"), (52, "2.2"), (36, "Wan 2.2's")]
)
def test_what_the_number_of_input_channels_says(channels, what, source, transformer):
    width = transformer["patch_embedding.weight"].shape[0]
    transformer["patch_embedding.weight"] = torch.ones(width, channels, 1, 2, 2)
    put(source / "model.safetensors", transformer)
    refused(source, what, f"{channels} input channels")


def test_the_small_model_of_wan_2_2(source, transformer):
    width = transformer["patch_embedding.weight"].shape[0]
    transformer["patch_embedding.weight"] = torch.ones(width, 48, 1, 2, 2)
    transformer["head.head.weight"] = torch.ones(4 * 48, width)
    transformer["head.head.bias"] = torch.ones(4 * 48)
    put(source / "model.safetensors", transformer)
    refused(source, "TI2V 5B")


def test_the_vae_of_wan_2_2(source, transformer):
    put(source / "model.safetensors", transformer)
    (source / VAE_FILE).unlink()
    name = "encoder.downsamples.0.downsamples.0.residual.0.gamma"
    torch.save({name: torch.ones(4, 1, 1, 1)}, source / "Wan2.2_VAE.pth")
    refused(source, "Wan2.2_VAE.pth", "VAE of Wan 2.2")


def test_a_control_model_made_from_one_with_pictures(releases, tmp_path):
    source = shutil.copytree(releases["i2v"].source, tmp_path / "source")
    for shard in wan_release.SHARDS:
        tensors = load_file(source / shard)
        if "patch_embedding.weight" in tensors:
            width = wan_release.TINY["dim"]
            tensors["patch_embedding.weight"] = torch.ones(width, 48, 1, 2, 2)
            save_file(tensors, source / shard)
    refused(source, "Fun Control", "48")


def test_pictures_of_its_own_channels_still_convert(releases):
    for kind in ("i2v", "flf2v"):
        config = json.loads((releases[kind].out / "transformer" / "config.json").read_text())
        assert config["in_channels"] == 2 * wan_modules.CHANNELS + 4


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("wan2.1_t2v_14b_lightx2v_4step", "four-steps"),
        ("distill_models/distill_model", "four-steps"),
        ("Wan21_T2V_14B_FastWan", "dmd"),
        ("wan2.1_t2v_14b_bf16", None),
        ("causvid/bidirectional", None),
    ],
)
def test_a_distilled_transformer_is_known_by_its_name(name, recipe, source, transformer, caplog):
    put(source / f"{name}.safetensors", transformer)
    caplog.set_level("INFO", "mlxvid")
    out = source.parent / "out"
    convert(source, out)
    index = json.loads((out / "model_index.json").read_text())
    assert index.get("few_steps") == recipe
    usual = card_of(out).defaults
    expected = {None: (50, 5, "unipc"), "dmd": (3, 1, "dmd"), "four-steps": (4, 1, "euler-even")}
    assert (usual.steps, usual.guidance, usual.sampler) == expected[recipe]
    told = [message for message in caplog.messages if message.startswith("Distilled")]
    assert len(told) == (recipe is not None)
