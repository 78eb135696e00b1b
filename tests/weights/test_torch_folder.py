"""Folders whose weights are PyTorch's files: the same model, bit for bit, and every broken or
hostile file is one sentence.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import torch
from mlx.utils import tree_flatten

import mlxvid
from mlxvid.errors import DegenerateClipError, SettingError, WeightsError
from mlxvid.weights import in_parts, torch_file
from mlxvid.weights.files import component_files
from mlxvid.weights.sizes import read_sizes
from tests.facts import facts

from . import crafted
from .torch_folder import rewrite, tensors_of

BIN = "diffusion_pytorch_model.bin"
PARTS = ("text_encoder", "transformer", "vae")
AGAIN = "download the model again"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A tiny model with a PyTorch file for each component, to break."""
    return rewrite(shutil.copytree(tiny_folder, tmp_path / "model"))


def message_of(folder, error=WeightsError) -> str:
    """What loading the model and making a clip says."""
    with pytest.raises(error) as caught:
        mlxvid.load(str(folder)).generate("a red ball", seed=1)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message.replace(str(folder), "FOLDER")


def assert_says(folder, *words: object) -> None:
    """Loading the model says these facts, in this order."""
    message = message_of(folder)
    assert re.search(facts(*words), message), message


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(
    "how", [{}, {"dtype": "bfloat16"}, {"quantize": 4}, {"quantize": 8, "dtype": "float16"}]
)
def test_every_weight_is_the_same_whatever_type_it_has(
    stored, how, tiny_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 10_000)
    ours = rewrite(shutil.copytree(tiny_folder, tmp_path / "ours"), dtype=stored)
    theirs = shutil.copytree(tiny_folder, tmp_path / "theirs")
    kind = getattr(mx, str(stored).removeprefix("torch.").replace("float64", "float32"))
    for file in theirs.glob("*/*.safetensors"):
        arrays = {name: array.astype(kind) for name, array in mx.load(str(file)).items()}
        mx.save_safetensors(str(file), arrays)
    our_model = mlxvid.load(str(ours), **how).model
    their_model = mlxvid.load(str(theirs), **how).model
    for part in PARTS:
        read = dict(tree_flatten(our_model.network(part).parameters()))
        expected = dict(tree_flatten(their_model.network(part).parameters()))
        assert read.keys() == expected.keys()
        for name, array in read.items():
            assert array.dtype == expected[name].dtype, name
            assert mx.array_equal(array, expected[name]), name


def test_safetensors_win_where_both_are_there(tiny_folder, tiny, tmp_path):
    both = shutil.copytree(tiny_folder, tmp_path / "both")
    for part in PARTS:
        (both / part / "pytorch_model.bin").write_bytes(b"not read")
        index = both / part / "pytorch_model.bin.index.json"
        index.write_text('{"weight_map": {"a": "gone.bin"}}')
    made = mlxvid.load(str(both)).generate("a ball", seed=1).frames
    assert np.array_equal(made, tiny.generate("a ball", seed=1).frames)
    assert read_sizes(both) == read_sizes(tiny_folder)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("model.safetensors model.bin", "model.safetensors"),
        ("pytorch_model.bin model.pth model.pt", "pytorch_model.bin"),
        ("pytorch_model.fp16.bin pytorch_model.bin training_args.bin opt.bin", "pytorch_model.bin"),
        ("ema.pt model.ckpt notes.txt .pytorch_model.bin", "ema.pt"),
        ("model.fp16-00001-of-00002.safetensors model.safetensors", "model.safetensors"),
        ("config.json model.ckpt", None),
    ],
)
def test_which_file_is_a_components(names, chosen, tmp_path):
    for name in names.split():
        (tmp_path / name).touch()
    assert [path.name for path in component_files(tmp_path)] == ([chosen] if chosen else [])


def test_a_plan_counts_pytorchs_files_and_needs_neither_mlx_nor_torch(tiny_folder, tmp_path):
    copy = rewrite(shutil.copytree(tiny_folder, tmp_path / "copy"), names=2)
    assert read_sizes(copy) == read_sizes(tiny_folder)
    wide = rewrite(shutil.copytree(tiny_folder, tmp_path / "wide"), dtype=torch.float64)
    assert read_sizes(wide) == read_sizes(tiny_folder)  # float32 is what they are read as
    code = """
import sys
import mlxvid.plan
mlxvid.plan.main(["--model", sys.argv[1]])
print({"mlx.core", "torch"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert "(read from the files)" in done.stdout


# --- memory and progress -------------------------------------------------------------------------


def test_a_component_is_never_in_memory_twice_nor_whole_as_it_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 4 * 2**20)
    layers = 8
    width = 1024
    stored = layers * width * width * 4
    weights = {f"layers.{n}.weight": torch.randn(width, width) for n in range(layers)}
    torch.save(weights, tmp_path / "model.bin")
    network = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    tensors = torch_file.read(tmp_path / "model.bin")
    in_parts.read_in(network, tensors, lambda names: network.set_dtype(mx.bfloat16), None)
    assert mx.get_active_memory() - before <= stored / 2 + 2**20
    assert mx.get_peak_memory() - before <= stored / 2 + 3 * in_parts.LOAD_BYTES


def test_reading_is_told_in_parts_and_can_be_stopped(folder, monkeypatch):
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 10_000)
    seen = []
    mlxvid.load(str(folder)).generate("a ball", steps=1, on_progress=seen.append)
    told = [progress for progress in seen if progress.stage == "load"]
    assert len(told) > 20
    assert [progress.step for progress in told].count(0) == 3
    assert all(progress.step <= progress.total for progress in told)

    class Cancel:
        def is_set(self):
            return len(calls) > 5

    calls: list = []
    with pytest.raises(mlxvid.CancelledError):
        mlxvid.load(str(folder)).generate("a cube", on_progress=calls.append, cancel=Cancel())
    assert {progress.stage for progress in calls} == {"load"}


# --- broken and hostile --------------------------------------------------------------------------


class Evil:
    """What a pickle calls when Python's own reader meets it."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_pickle_that_calls_os_system_runs_nothing(form, folder, tmp_path):
    pickled = pickle.dumps({"a": Evil(f"touch {tmp_path / 'owned'}")}, 2)
    if form == "zip":
        crafted.zip_file(folder / "transformer" / BIN, pickled, {"0": bytes(16)})
    else:
        crafted.legacy_file(folder / "transformer" / BIN, pickled, {"0": (4, bytes(16))})
    what = f"{os.system.__module__}.system"
    place = f"FOLDER/transformer/{BIN}"
    assert_says(folder, place, what, "nothing of it was run", "trust", ".safetensors")
    with pytest.raises(WeightsError):
        read_sizes(folder)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_file_cut_short(form, share, tiny_folder, tmp_path):
    folder = rewrite(shutil.copytree(tiny_folder, tmp_path / "model"), form=form)
    path = folder / "vae" / BIN
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    what = "damaged or cut short" if share else "empty"
    assert_says(folder, f"FOLDER/vae/{BIN}", what, AGAIN)


@pytest.fixture
def shards(tiny_folder, tmp_path):
    """A model whose VAE is in two files: its folder, their index and they."""
    folder = rewrite(shutil.copytree(tiny_folder, tmp_path / "model"), names=2)
    vae = folder / "vae"
    files = [vae / f"diffusion_pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    return folder, vae / f"{BIN}.index.json", files


def test_a_shard_that_is_missing(shards):
    folder, index, (_, second) = shards
    second.unlink()
    assert_says(folder, f"FOLDER/vae/{second.name} is missing", index.name, AGAIN)


def test_a_shard_without_its_index(shards):
    folder, index, (first, second) = shards
    second.unlink()
    index.unlink()
    assert_says(folder, f"FOLDER/vae/{first.name} is a part", ".index.json", AGAIN)


@pytest.mark.parametrize("name", ["../transformer/model.bin", "/etc/passwd", "model.txt", 3])
def test_a_shard_outside_its_folder(shards, name):
    folder, index, _ = shards
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    assert_says(folder, f"FOLDER/vae/{index.name}", "outside its folder", AGAIN)


def test_the_same_shard_twice(shards):
    folder, _, (first, second) = shards
    kept = second.read_bytes()
    second.write_bytes(first.read_bytes())
    assert_says(folder, f"FOLDER/vae/{first.name}", f"in {second.name} too", AGAIN)
    second.write_bytes(kept)
    assert mlxvid.load(str(folder)).generate("a red ball", seed=1).frames.any()


def change(folder, tiny_folder, changed: dict) -> None:
    """The VAE's file with some tensors changed; None leaves one out."""
    tensors = tensors_of(next((tiny_folder / "vae").glob("*.safetensors"))) | changed
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    torch.save(kept, folder / "vae" / BIN)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"decoder.up.bias": None}, ("FOLDER/vae lacks", "decoder.up.bias")),
        ({"trojan": torch.ones(3)}, ("FOLDER/vae has no place for", "trojan")),
        (
            {"encoder.conv_in.bias": torch.ones(3)},
            ("encoder.conv_in.bias", "FOLDER/vae", (3,), (8,), "config.json"),
        ),
    ],
    ids=["missing", "strange", "another shape"],
)
def test_tensors_that_fit_no_network(changed, words, folder, tiny_folder):
    change(folder, tiny_folder, changed)
    assert_says(folder, *words)


def test_weights_that_are_not_finite_are_told_as_from_safetensors(folder, tiny_folder, tmp_path):
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    file = next((other / "vae").glob("*.safetensors"))
    name = "decoder.up.bias"
    weights = mx.load(str(file))
    shape = weights[name].shape
    mx.save_safetensors(str(file), weights | {name: mx.full(shape, mx.nan)})
    change(folder, tiny_folder, {name: torch.full(shape, torch.nan)})
    ours = message_of(folder, DegenerateClipError).partition(";")[0]
    theirs = message_of(other, DegenerateClipError).partition(";")[0]
    assert ours == theirs
    assert "not finite" in ours


def test_quantizing_what_the_converter_quantized_stays_refused(folder):
    path = folder / "transformer" / "config.json"
    quantization = {"quantization": {"group_size": 64, "bits": 8}}
    path.write_text(json.dumps(json.loads(path.read_text()) | quantization))
    with pytest.raises(SettingError, match=facts("transformer", "quantized to 8 bits already")):
        mlxvid.load(str(folder), quantize=4).model.network("transformer")
