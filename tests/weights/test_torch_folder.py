"""Folders of PyTorch's files: the same weights, bit for bit; hostile ones are one sentence."""

from __future__ import annotations

import json
import os
import pickle
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
from mlxvid.model.memory import read_weights
from mlxvid.weights import loading, torch_file
from mlxvid.weights.files import component_files

from . import crafted
from .torch_folder import rewrite, tensors_of

BIN = "diffusion_pytorch_model.bin"


PARTS = ("text_encoder", "transformer", "vae")


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A tiny model with a PyTorch file for each component, to break."""
    return rewrite(shutil.copytree(tiny_folder, tmp_path / "model"))


def sentence(folder, error=WeightsError) -> str:
    """What loading the model and making a clip says."""
    with pytest.raises(error) as caught:
        mlxvid.load(str(folder)).generate("a red ball", seed=1)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message.replace(str(folder), "FOLDER")


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(
    "how", [{}, {"dtype": "bfloat16"}, {"quantize": 4}, {"quantize": 8, "dtype": "float16"}]
)
def test_every_weight_is_the_same_whatever_type_it_has(
    stored, how, tiny_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(loading, "LOAD_BYTES", 10_000)
    ours = rewrite(shutil.copytree(tiny_folder, tmp_path / "ours"), dtype=stored)
    theirs = shutil.copytree(tiny_folder, tmp_path / "theirs")
    for file in theirs.glob("*/*.safetensors"):
        kind = getattr(mx, str(stored).removeprefix("torch.").replace("float64", "float32"))
        mx.save_safetensors(
            str(file), {name: array.astype(kind) for name, array in mx.load(str(file)).items()}
        )
    from_torch = mlxvid.load(str(ours), **how).family
    from_safetensors = mlxvid.load(str(theirs), **how).family
    for part in PARTS:
        read = dict(tree_flatten(from_torch.network(part).parameters()))
        expected = dict(tree_flatten(from_safetensors.network(part).parameters()))
        assert read.keys() == expected.keys()
        assert all(
            read[name].dtype == expected[name].dtype and mx.array_equal(read[name], expected[name])
            for name in read
        )


def test_safetensors_win_where_both_are_there(tiny_folder, tiny, tmp_path):
    both = shutil.copytree(tiny_folder, tmp_path / "both")
    for part in PARTS:
        (both / part / "pytorch_model.bin").write_bytes(b"not read")
        (both / part / "pytorch_model.bin.index.json").write_text(
            '{"weight_map": {"a": "gone.bin"}}'
        )
    assert np.array_equal(
        mlxvid.load(str(both)).generate("a ball", seed=1).frames,
        tiny.generate("a ball", seed=1).frames,
    )
    assert read_weights(both) == read_weights(tiny_folder)


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
    assert read_weights(copy) == read_weights(tiny_folder)
    wide = rewrite(shutil.copytree(tiny_folder, tmp_path / "wide"), dtype=torch.float64)
    assert read_weights(wide) == read_weights(tiny_folder)  # float32 is what they are read as
    code = (
        "import sys, mlxvid.plan; mlxvid.plan.main(['--model', sys.argv[1]]); "
        "print({'mlx.core', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(copy)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert "(read from the files)" in done.stdout


def test_a_component_is_never_in_memory_twice_nor_whole_as_it_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "LOAD_BYTES", 4 * 2**20)
    layers = 8
    width = 1024
    stored = layers * width * width * 4
    torch.save(
        {f"layers.{n}.weight": torch.randn(width, width) for n in range(layers)},
        tmp_path / "model.bin",
    )
    network = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    loading.read_in(
        network,
        torch_file.read(tmp_path / "model.bin"),
        lambda names: network.set_dtype(mx.bfloat16),
        None,
    )
    assert mx.get_active_memory() - before <= stored / 2 + 2**20
    assert mx.get_peak_memory() - before <= stored / 2 + 3 * loading.LOAD_BYTES


def test_reading_is_reported_in_parts_and_can_be_stopped(folder, monkeypatch):
    monkeypatch.setattr(loading, "LOAD_BYTES", 10_000)
    seen = []
    mlxvid.load(str(folder)).generate("a ball", steps=1, on_progress=seen.append)
    steps = [(p.step, p.total) for p in seen if p.stage == "load"]
    assert len(steps) > 20
    assert [step for step, _ in steps].count(0) == 3
    assert all(step <= total for step, total in steps)

    class Cancel:
        def is_set(self):
            return len(calls) > 5

    calls: list = []
    with pytest.raises(mlxvid.CancelledError):
        mlxvid.load(str(folder)).generate("a ball", on_progress=calls.append, cancel=Cancel())
    assert {progress.stage for progress in calls} == {"load"}


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
    said = sentence(folder)
    for fact in (
        f"FOLDER/transformer/{BIN}",
        f"{os.system.__module__}.system",
        "nothing",
        ".safet",
    ):
        assert fact in said
    with pytest.raises(WeightsError):
        read_weights(folder)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_file_cut_short(form, share, tiny_folder, tmp_path):
    folder = rewrite(shutil.copytree(tiny_folder, tmp_path / "model"), form=form)
    path = folder / "vae" / BIN
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    what = "is damaged or cut short" if share else "is missing, empty or can't be read"
    assert sentence(folder).startswith(f"FOLDER/vae/{BIN} {what}")


def test_shards_that_are_missing_alone_outside_or_twice_the_same(tiny_folder, tmp_path):
    folder = rewrite(shutil.copytree(tiny_folder, tmp_path / "model"), names=2)
    index = folder / "vae" / f"{BIN}.index.json"
    first = folder / "vae" / "diffusion_pytorch_model-00001-of-00002.bin"
    second = folder / "vae" / "diffusion_pytorch_model-00002-of-00002.bin"
    table = index.read_text()
    kept = second.read_bytes()
    second.unlink()
    said = sentence(folder)
    assert f"FOLDER/vae/{second.name} is missing" in said and index.name in said
    index.unlink()
    said = sentence(folder)
    assert f"FOLDER/vae/{first.name}" in said and ".index.json is missing" in said
    for name in ("../transformer/model.bin", "/etc/passwd", "model.txt", 3):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        assert f"FOLDER/vae/{index.name} names a shard outside" in sentence(folder)
    index.write_text(table)
    second.write_bytes(first.read_bytes())
    assert f"in FOLDER/vae/{first.name} is in {second.name} too" in sentence(folder)
    second.write_bytes(kept)
    assert mlxvid.load(str(folder)).generate("a red ball", seed=1).frames.any()


def change(folder, tiny_folder, changed: dict) -> None:
    """The VAE's file with some tensors changed; None leaves one out."""
    tensors = tensors_of(next((tiny_folder / "vae").glob("*.safetensors"))) | changed
    torch.save(
        {name: tensor for name, tensor in tensors.items() if tensor is not None},
        folder / "vae" / BIN,
    )


@pytest.mark.parametrize(
    ("changed", "facts"),
    [
        ({"decoder.up.bias": None}, ["FOLDER/vae", "lacks decoder.up.bias"]),
        ({"trojan": torch.ones(3)}, ["FOLDER/vae", "no place for trojan"]),
        (
            {"encoder.conv_in.bias": torch.ones(3)},
            ["encoder.conv_in.bias", "FOLDER/vae", "(3,)", "(8,)"],
        ),
    ],
)
def test_tensors_that_fit_no_network(changed, facts, folder, tiny_folder):
    change(folder, tiny_folder, changed)
    said = sentence(folder)
    assert all(fact in said for fact in facts)


def test_weights_that_are_not_finite_are_reported_as_from_safetensors(
    folder, tiny_folder, tmp_path
):
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    file = next((other / "vae").glob("*.safetensors"))
    name = "decoder.up.bias"
    mx.save_safetensors(
        str(file), mx.load(str(file)) | {name: mx.full(mx.load(str(file))[name].shape, mx.nan)}
    )
    change(
        folder, tiny_folder, {name: torch.full(tuple(mx.load(str(file))[name].shape), torch.nan)}
    )
    said = [sentence(model, DegenerateClipError).partition(";")[0] for model in (folder, other)]
    assert said[0] == said[1] and "not finite" in said[0]


def test_quantizing_what_the_converter_quantized_stays_refused(folder):
    path = folder / "transformer" / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"quantization": {"group_size": 64, "bits": 8}})
    )
    with pytest.raises(SettingError, match="is quantized to 8 bits already"):
        mlxvid.load(str(folder), quantize=4).family.network("transformer")
