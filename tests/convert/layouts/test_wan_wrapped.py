"""Wan's networks as trainers and programs save them: averages first, wrappers taken off."""

from __future__ import annotations

import argparse
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mlxvid
from mlxvid.convert import convert
from mlxvid.errors import WeightsError
from tests.models.wan import tiny as tiny_wan

from ..contents import assert_states
from .torch_tensors import assert_same, tensors_in
from .wan_release import TEXT_FILE, VAE_FILE, VISION_FILE


def before(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def scaled(tensors):
    return {name: 0.1 * tensor for name, tensor in tensors.items()}


@pytest.fixture
def modules(releases):
    """The state dicts of a release that takes a picture, by component."""
    return {name: dict(m.state_dict()) for name, m in releases["i2v"].modules.items()}


@pytest.fixture
def source(releases, tmp_path):
    """That release without its transformer's weights."""
    folder = shutil.copytree(releases["i2v"].source, tmp_path / "source")
    for path in folder.glob("diffusion_pytorch_model*"):
        path.unlink()
    return folder


@pytest.fixture
def converted(source, releases, tmp_path, caplog):
    """Asserts that `source` becomes what the release became; returns the notes."""

    def check():
        caplog.set_level("INFO", "mlxvid")
        out = convert(source, tmp_path / "out", "float32")
        for component in ("transformer", "vae", "text_encoder", "image_encoder"):
            assert_same(tensors_in(out / component), tensors_in(releases["i2v"].out / component))
        return caplog.messages

    return check


def lightning(tensors, prefix, kept):
    """As LitEma keeps an average: with no dots in the names, which begin with `kept`."""
    average = {f"{kept}{name}".replace(".", ""): tensor for name, tensor in tensors.items()}
    counts = {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
    return {
        "state_dict": before(prefix, scaled(tensors)) | before("model_ema.", average) | counts,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
    }


AVERAGES = {
    "Lightning's": (
        lambda t: lightning(t, "model.diffusion_model.", "diffusion_model."),
        "model_ema",
    ),
    "Lightning's of a compiled network": (
        lambda t: lightning(t, "model._orig_mod.", ""),
        "model_ema",
    ),
    "ema-pytorch's": (
        lambda t: {
            "step": torch.tensor(1),
            **before("online_model.", scaled(t)),
            **before("ema_model.", t),
        },
        "ema_model",
    ),
    "the network's own": (
        lambda t: {"model": {**before("net.", scaled(t)), **before("net_ema.", t)}},
        "net_ema",
    ),
    "stochastic weight averaging": (
        lambda t: {"state_dict": scaled(t), "swa_state_dict": before("module.", t)},
        "swa_state_dict",
    ),
    "DiT's and Latte's": (lambda t: {"model": scaled(t), "ema": t}, "ema"),
    "with settings": (
        lambda t: {"model": scaled(t), "ema": t, "args": argparse.Namespace(lr=1), "steps": 3},
        "ema",
    ),
    "a wrapped module": (
        lambda t: {"ema_model": {"module": before("module.", t)}, "state_dict": scaled(t)},
        "ema_model",
    ),
    "a state dict's own": (lambda t: {"state_dict_ema": t, "state_dict": scaled(t)}, "_ema"),
    "before the names": (
        lambda t: {"state_dict": {**before("ema.", t), **before("model.", scaled(t))}},
        "ema",
    ),
    "distilled": (
        lambda t: {"generator": before("model.", scaled(t)), "generator_ema": before("model.", t)},
        "generator_ema",
    ),
}


@pytest.mark.parametrize("how", AVERAGES)
@pytest.mark.parametrize("file", ["0100000.pt", "last.ckpt"])
def test_the_average_is_taken_and_said(how, file, source, modules, converted):
    make, name = AVERAGES[how]
    torch.save(make(modules["transformer"]), source / file)
    notes = converted()
    assert any(n.startswith(f"Taken: {file}") and name in n and "average" in n for n in notes)


@pytest.mark.parametrize("kind", ["Diffusers' EMAModel", "a list"])
def test_an_average_without_names_is_said_not_to_be_taken(kind, source, modules, converted):
    values = [2 * tensor for tensor in modules["transformer"].values()]
    average = values if kind == "a list" else {"shadow_params": values, "decay": 0.99}
    torch.save({"model": modules["transformer"], "ema": average}, source / "w.pt")
    notes = converted()
    assert any(n.startswith("Taken: w.pt (model)") and "(ema)" in n for n in notes)


def test_an_average_without_names_and_nothing_else(source, modules, tmp_path):
    torch.save({"shadow_params": list(modules["transformer"].values())}, source / "w.pt")
    with pytest.raises(WeightsError) as error:
        convert(source, tmp_path / "out")
    assert_states(error.value, "w.pt", "no names", "saved beside it")


@pytest.mark.parametrize("names", [("model/w.pt", "ema/w.pt"), ("wan.pt", "wan_ema.pt")])
def test_the_average_in_a_file_of_its_own(names, source, modules, converted):
    plain, average = names
    weights = {plain: scaled(modules["transformer"]), average: modules["transformer"]}
    config = (source / "config.json").read_bytes()
    for name, tensors in weights.items():
        path = source / name
        path.parent.mkdir(exist_ok=True)
        (path.parent / "config.json").write_bytes(config)
        torch.save(tensors, path)
    notes = converted()
    assert any(note.startswith(f"Taken: {average}") and plain in note for note in notes)


def test_what_is_called_no_average_is_none(source, modules, tmp_path):
    for name in ("wan_non_ema.pt", "wan.pt"):
        torch.save(modules["transformer"], source / name)
    with pytest.raises(WeightsError) as error:
        convert(source, tmp_path / "out")
    assert_states(error.value, "wan.pt and wan_non_ema.pt are both", "only one")


PREFIXES = [
    "model.diffusion_model.",
    "diffusion_model.",
    "model.",
    "module.",
    "net.",
    "transformer.",
    "_orig_mod.",
    "module.model._fsdp_wrapped_module.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_words_before_every_name_of_the_transformer(prefix, source, modules, converted):
    save_file(before(prefix, modules["transformer"]), source / "wan.safetensors")
    converted()


def test_words_within_the_names(source, modules, converted):
    wrapped = {}
    for name, tensor in modules["transformer"].items():
        name = name.replace(
            "blocks.0.", "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module."
        )
        wrapped[f"_fsdp_wrapped_module.{name}"] = tensor
    torch.save({"generator": wrapped, "critic": scaled(modules["transformer"])}, source / "w.pt")
    assert any("causal" in note for note in converted())


@pytest.mark.parametrize(
    ("file", "name", "prefix"),
    [
        (VAE_FILE, "vae", "model."),
        (VAE_FILE, "vae", "first_stage_model."),
        (TEXT_FILE, "text", "module."),
        (VISION_FILE, "clip", "_orig_mod."),
    ],
)
def test_words_before_the_names_of_the_other_parts(
    file, name, prefix, source, modules, releases, converted
):
    save_file(modules["transformer"], source / "wan.safetensors")
    tensors = {key: t.bfloat16() if name == "text" else t for key, t in modules[name].items()}
    torch.save({"state_dict": before(prefix, tensors)}, source / file)
    converted()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_everything_in_one_file(kind, releases, tmp_path):
    _, modules, out = releases["t2v"]
    source = tmp_path / "checkpoints"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"num_heads": 2}))
    tokenizer = torch.frombuffer(bytearray(b"pieces"), dtype=torch.uint8)
    everything = {
        **before("model.diffusion_model.", modules["transformer"].state_dict()),
        **before("vae.", modules["vae"].state_dict()),
        **before("text_encoders.umt5xxl.transformer.", tensors_in(out / "text_encoder")),
        "text_encoders.umt5xxl.spiece_model": tokenizer,
    }
    save_file(everything, source / "rapid-aio.safetensors")
    target = source if kind == "folder" else source / "rapid-aio.safetensors"
    again = convert(target, tmp_path / "out", "float32")
    assert (again / "tokenizer" / "spiece.model").read_bytes() == b"pieces"
    for component in ("transformer", "vae", "text_encoder"):
        assert_same(tensors_in(again / component), tensors_in(out / component))


@pytest.mark.parametrize("name", ["self_forcing_dmd.pt", "CausVid.safetensors", "model.pt"])
def test_a_causal_model_of_few_steps_is_told_as_one_whenever_it_is_loaded(
    name, releases, tmp_path, caplog
):
    source = shutil.copytree(releases["t2v"].source, tmp_path / "source")
    for path in source.glob("diffusion_pytorch_model*"):
        path.unlink()
    shutil.rmtree(source / "google" / "umt5-xxl")
    tiny_wan.tokenizer().save_pretrained(source / "google" / "umt5-xxl")
    tensors = dict(releases["t2v"].modules["transformer"].state_dict())
    if name.endswith(".safetensors"):
        save_file(tensors, source / name)
    else:
        content = {"generator": before("model.", tensors)} if name == "model.pt" else tensors
        torch.save(content, source / name)
    caplog.set_level("INFO", "mlxvid")
    out = convert(source, tmp_path / "out")
    assert any("causal" in note and "few steps" in note for note in caplog.messages)
    caplog.clear()
    mlxvid.load(str(out))
    assert any("causal" in note for note in caplog.messages)


@pytest.mark.parametrize(
    ("folder", "file", "shift"),
    [
        ("models", "wan2.1_i2v_480p_14B_fp16.safetensors", 3.0),
        ("models", "Wan2_1-I2V-14B-720P_fp8.safetensors", 5.0),
        ("Wan2.1-I2V-14B-720P", "finetuned-480p.safetensors", 3.0),
        ("Wan2.1-I2V-14B-480P", "finetuned.safetensors", 3.0),
        ("models", "finetuned.safetensors", 5.0),
    ],
)
def test_480p_or_720p_by_the_files_name_or_the_folders(
    folder, file, shift, source, modules, tmp_path, caplog
):
    place = source.rename(tmp_path / folder)
    save_file(modules["transformer"], place / file)
    caplog.set_level("INFO", "mlxvid")
    out = convert(place, tmp_path / "out")
    config = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert config["flow_shift"] == shift
    assert ("480p" if shift == 3.0 else "720p") in caplog.messages[0]


def test_frames_are_the_averages(releases, tmp_path):
    """What is taken is what the clip is made with, and not only what is written."""
    _, modules, _ = releases["t2v"]
    tensors = dict(modules["transformer"].state_dict())
    clips = []
    for name, content in (("plain", tensors), ("both", {"model": scaled(tensors), "ema": tensors})):
        source = shutil.copytree(releases["t2v"].source, tmp_path / name / "source")
        for path in source.glob("diffusion_pytorch_model*"):
            path.unlink()
        shutil.rmtree(source / "google" / "umt5-xxl")
        tiny_wan.tokenizer().save_pretrained(source / "google" / "umt5-xxl")
        torch.save(content, source / "wan.pt")
        pipe = mlxvid.load(str(convert(source, tmp_path / name / "out", "float32")))
        clips.append(pipe.generate("a ball", seed=1, width=48, height=32, frames=5, steps=2).frames)
    assert np.array_equal(*clips)
