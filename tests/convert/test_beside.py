"""What lies beside a model: left out, followed or refused before anything is written."""

from __future__ import annotations

import json
import shutil
import struct
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from mlxvid.convert import convert
from mlxvid.errors import ModelNotFoundError, WeightsError

from .contents import assert_states, bytes_in
from .layouts import wan_release

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'9' * 64}\nsize 5676\n"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A tiny original release."""
    folder = tmp_path_factory.mktemp("released") / "source"
    wan_release.write_release(folder, "t2v")
    return folder


@pytest.fixture
def source(released, tmp_path):
    return shutil.copytree(released, tmp_path / "source")


@pytest.fixture
def refused(source, tmp_path):
    """Asserts that converting `source` is refused with `facts`, and that nothing is written."""

    def check(*facts, folder=source):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises((WeightsError, ModelNotFoundError)) as error:
            convert(folder, tmp_path / "out")
        assert_states(error.value, *facts)
        assert sorted(tmp_path.rglob("*")) == before

    return check


def write_zip(path):
    path.write_bytes(b"PK\x05\x06" + bytes(18))


OTHERS = {
    "upscale_models/RealESRGAN_x4plus.pth": lambda path: torch.save(
        {"params_ema": {"conv_first.weight": torch.zeros(4, 3, 3, 3)}}, path
    ),
    "ultralytics/face_yolov8m.pt": lambda path: torch.save({"model": torch.nn.Linear(2, 2)}, path),
    "training_args.bin": lambda path: torch.save({"lr": 1e-4}, path),
    "optimizer.bin": lambda path: torch.save({"state": {0: {"step": torch.ones(())}}}, path),
    "scheduler.bin": lambda path: torch.save(OrderedDict(last_epoch=3), path),
    "random_states_0.pkl.pt": lambda path: path.write_bytes(b"\x80\x04K\x01."),
    "engine.pt": lambda path: path.write_bytes(b"ftrt" * 20),
    "empty.pt": lambda path: path.touch(),
    "halved.pth": write_zip,
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_other_programs_are_left_out_with_a_note(name, source, tmp_path, caplog):
    path = source / name
    path.parent.mkdir(exist_ok=True)
    OTHERS[name](path)
    caplog.set_level("INFO", "mlxvid")
    assert (convert(source, tmp_path / "out") / "model_index.json").is_file()
    assert any(note.startswith(f"Left out: {name}") for note in caplog.messages)


@pytest.mark.parametrize("name", ["._Wan2.1_VAE.pth", ".DS_Store", ".ipynb_checkpoints/vae.pth"])
def test_hidden_files_are_not_seen(name, source, tmp_path, caplog):
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    caplog.set_level("INFO", "mlxvid")
    convert(source, tmp_path / "out")
    assert not any("Left out" in note for note in caplog.messages)


def test_linked_folders_are_followed_and_circles_are_not(released, tmp_path):
    plain = convert(released, tmp_path / "plain")
    source = tmp_path / "linked"
    source.mkdir()
    shutil.copytree(released, tmp_path / "disk" / "all")
    (source / "weights").symlink_to(tmp_path / "disk" / "all")
    (source / "again").symlink_to(tmp_path / "disk" / "all")
    (tmp_path / "disk" / "all" / "up").symlink_to(tmp_path / "disk")
    (source / "here").symlink_to(source)
    assert bytes_in(convert(source, tmp_path / "out")) == bytes_in(plain)


def test_a_file_with_two_names_is_one(source, released, tmp_path):
    (source / "vae").mkdir()
    (source / "vae" / "wan.pth").symlink_to(source / wan_release.VAE_FILE)
    assert bytes_in(convert(source, tmp_path / "a")) == bytes_in(convert(released, tmp_path / "b"))


def test_components_that_are_links_bring_all_of_their_files(tiny_folder, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for path in tiny_folder.iterdir():
        (source / path.name).symlink_to(path)
    out = convert(source, tmp_path / "out", "float32")
    assert bytes_in(out).keys() == bytes_in(tiny_folder).keys()


@pytest.mark.parametrize(
    "file", [wan_release.VAE_FILE, wan_release.SHARDS[0], "google/umt5-xxl/spiece.model"]
)
def test_pointers_of_git_lfs(file, source, refused):
    (source / file).write_text(POINTER)
    refused(str(source / file), "Git LFS", "git lfs pull")


@pytest.mark.parametrize("page", ["<!DOCTYPE html><title>", "<html>"])
def test_a_web_page_in_place_of_weights(page, source, refused):
    (source / wan_release.TEXT_FILE).write_text(page)
    refused(wan_release.TEXT_FILE, "web page", "download")


@pytest.mark.parametrize("content", ["missing", "empty", "pointer"])
def test_a_diffusers_folder_without_a_tokenizer(content, tiny_folder, tmp_path, refused):
    folder = shutil.copytree(tiny_folder, tmp_path / "folder")
    words = folder / "tokenizer" / "spiece.model"
    words.unlink()
    if content != "missing":
        words.write_text("" if content == "empty" else POINTER)
    refused(str(folder), "tokenizer/spiece.model", folder=folder)


def test_a_listed_component_without_files(tiny_folder, tmp_path, refused):
    folder = shutil.copytree(tiny_folder, tmp_path / "folder")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    refused(str(folder), "scheduler/", "download", folder=folder)


@pytest.mark.parametrize(
    "rest",
    [
        ".cache/huggingface/download/x.1a2b.incomplete",
        "Unconfirmed 1234.crdownload",
        "diffusion_pytorch_model.safetensors.aria2",
    ],
)
def test_a_download_that_broke_off(rest, source, refused):
    for path in source.glob("diffusion_pytorch_model*"):
        path.unlink()
    (source / rest).parent.mkdir(parents=True, exist_ok=True)
    (source / rest).write_bytes(b"half")
    refused("no transformer", str(source), rest, "broke off")


def write_gguf(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))


@pytest.mark.parametrize("beside", ["nothing", "the rest of the release"])
def test_gguf_is_named(beside, source, refused):
    for path in list(source.iterdir()) if beside == "nothing" else source.glob("diffusion_*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_gguf(source / "unet" / "wan2.1-t2v-Q4_K_M.gguf")
    refused("wan2.1-t2v-Q4_K_M.gguf", "GGUF", "safetensors", "`quantize`")


def test_gguf_beside_a_whole_model_is_no_matter(source, tmp_path):
    write_gguf(source / "unet" / "more.gguf")
    assert (convert(source, tmp_path / "out") / "model_index.json").is_file()


def test_components_without_their_index(tiny_folder, tmp_path, refused):
    folder = shutil.copytree(tiny_folder, tmp_path / "folder")
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "X"}))
    (folder / "model_index.json").unlink()
    refused(str(folder), "no model_index.json", "download", folder=folder)


def test_a_folder_with_a_model_in_it_names_that(tiny_folder, tmp_path, refused):
    shutil.copytree(tiny_folder, tmp_path / "folder" / "inner")
    refused(str(tmp_path / "folder" / "inner"), "give", folder=tmp_path / "folder")


@pytest.mark.parametrize(
    ("ends", "program"),
    [
        ({"absmax": torch.zeros(2), "quant_map": torch.zeros(16)}, "bitsandbytes"),
        ({"SCB": torch.zeros(4)}, "bitsandbytes"),
        ({"qzeros": torch.zeros(4), "g_idx": torch.zeros(4)}, "GPTQ"),
        ({"wscales": torch.zeros(4), "smooth_factor": torch.zeros(4)}, "Nunchaku"),
        ({"weight._data": torch.zeros(4), "weight._scale": torch.zeros(4)}, "Quanto"),
        ({"W_q": torch.zeros(4)}, "HQQ"),
        ({"weight_scale": torch.zeros(4), "weight_scale_2": torch.zeros(1)}, "NVIDIA"),
        ({"weight": torch.ones(4, 4, dtype=torch.int8)}, "another program, to integers (int8)"),
        (
            {"weight": torch.ones(4, 4, dtype=torch.uint8), "weight_scale": torch.ones(4)},
            "another program, to integers (uint8)",
        ),
    ],
)
def test_weights_that_other_programs_quantized(ends, program, source, refused):
    tensors = torch.load(source / wan_release.TEXT_FILE)
    tensors |= {f"blocks.0.attn.q.{end}": tensor for end, tensor in ends.items()}
    torch.save(tensors, source / wan_release.TEXT_FILE)
    refused(wan_release.TEXT_FILE, f"quantized by {program}", "16 or 32 bits")


@pytest.mark.parametrize("indexed", [True, False])
def test_a_part_of_something_else_is_left_out(indexed, source, tmp_path, caplog):
    part = source / "llm" / "model-00001-of-00002.safetensors"
    part.parent.mkdir()
    save_file({"a": torch.ones(2)}, part)
    if indexed:
        names = {"a": part.name, "b": "model-00002-of-00002.safetensors"}
        index = {"weight_map": names}
        (part.parent / "model.safetensors.index.json").write_text(json.dumps(index))
    caplog.set_level("INFO", "mlxvid")
    convert(source, tmp_path / "out")
    assert any(note.startswith("Left out: llm/model") for note in caplog.messages)


def test_endings_in_capitals(source, tmp_path):
    for path in source.glob("*.pth"):
        path.rename(path.with_suffix(".PTH"))
    assert (convert(source, tmp_path / "out") / "model_index.json").is_file()


def test_loras_are_no_model(tmp_path, refused):
    folder = tmp_path / "folder"
    folder.mkdir()
    names = ("lora_unet_blocks_0_ffn_0.lora_down.weight", "lora_unet_blocks_0_ffn_0.lora_up.weight")
    save_file({name: torch.ones(2, 2) for name in names}, folder / "style.safetensors")
    refused(str(folder), "style.safetensors", "`loras`", folder=folder)


@pytest.mark.parametrize("component", ["vae", "text_encoder"])
def test_a_component_of_a_model_names_the_model(component, tiny_folder, tmp_path, refused):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    refused(str(folder / component), f"give {folder}.", folder=folder / component)


@pytest.mark.parametrize("file", ["model_index.json", "vae/config.json"])
def test_a_pointer_in_place_of_a_config(file, tiny_folder, tmp_path, refused):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / file).write_text(POINTER)
    refused(file, "Git LFS", folder=folder)


RELATIVES = {
    "Open-Sora 1.0 or 1.1": ["x_embedder.proj.weight", "blocks.0.attn_temp.qkv.weight"],
    "Latte": ["x_embedder.proj.weight", "temp_embed", "blocks.0.attn.qkv.weight"],
    "Open-Sora 2.0": ["double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"],
}


@pytest.mark.parametrize("what", RELATIVES)
def test_relatives_of_the_families_are_named(what, tmp_path, refused):
    folder = tmp_path / "folder"
    folder.mkdir()
    tensors = {name: torch.ones(2, 2) for name in RELATIVES[what]}
    torch.save({"ema": tensors, "opt": {"state": {}}}, folder / "ucf101.pt")
    refused(what, "ucf101.pt", "can't run", folder=folder)
