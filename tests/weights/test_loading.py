"""From a name or folder to weights; every broken checkpoint is one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

import mlxvid
from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.model.facts import FAMILIES
from mlxvid.run import load as load_module
from mlxvid.weights import loading

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny model to break."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def edit(path, **changes) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def error_of(folder, *, generate: bool = False) -> str:
    with pytest.raises(WeightsError) as caught:
        pipe = mlxvid.load(str(folder))
        if generate:
            pipe.generate("a red ball", seed=1)
    message = str(caught.value)
    assert "\n" not in message and message.endswith(".")
    return message.replace(str(folder), "FOLDER")


def test_a_folder_is_found_by_path_or_home(tiny_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    for name in (str(tiny_folder), tiny_folder, f"~/{tiny_folder.name}", f"{tiny_folder}/"):
        assert mlxvid.load(name).name == str(tiny_folder.resolve())


def test_a_catalog_name_is_not_mistaken_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert load_module.locate("mini")[1] == "mini"
    with pytest.raises(
        WeightsError,
        match=r"mini has no model_index\.json; give the folder of a model in the Diffusers layout\.$",
    ):
        load_module.locate("./mini")


@pytest.mark.parametrize(
    "name",
    [
        "minni",
        "Mini2",
        "./nowhere",
        "/nowhere/at/all",
        "a/b/c",
        "",
        "x" * 5000,
        "nul\0byte",
        "~nobody/model",
    ],
)
def test_an_unknown_model(name):
    with pytest.raises(ModelNotFoundError) as caught:
        mlxvid.load(name)
    near = " (did you mean mini?)" if name in ("minni", "Mini2") else ""
    assert (
        str(caught.value)
        == f"There is no model called {name!r}{near}; --list-models shows every name."
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"quantize": 3}, "Quantization is to 4 or 8 bits, not 3."),
        ({"quantize": 4.0}, "Quantization is to 4 or 8 bits, not 4.0."),
        ({"dtype": "int8"}, "There is no dtype 'int8'; use one of: float32, bfloat16, float16."),
        (
            {"dtype": ["float32"]},
            "There is no dtype ['float32']; use one of: float32, bfloat16, float16.",
        ),
        ({"model": 5}, "A model and its revision are names, not 5 and None."),
        ({"revision": 5}, "A model and its revision are names, not 'mini' and 5."),
    ],
)
def test_bad_settings(settings, sentence):
    with pytest.raises(SettingError) as caught:
        mlxvid.load(**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("repo", ["mlxvid-tests/no-such-model", "--/--"])
def test_the_hub_out_of_reach_is_one_sentence(repo, tmp_path):
    code = f"""
import mlxvid
try:
    mlxvid.load({repo!r})
except mlxvid.ModelNotFoundError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    expected = {
        "--/--": "The hub has no model '--/--'; check the spelling, or log in with `hf auth login` if it is private.\n",
        "mlxvid-tests/no-such-model": "mlxvid-tests/no-such-model is not all on this machine, and the hub is out of reach; "
        "check the network, or give a folder.\n",
    }
    assert (run.stdout, run.returncode) == (expected[repo], 0), run.stderr


RUNS = f"{', '.join(FAMILIES)}."
BROKEN_INDEX = {
    "list": (
        "[1]",
        "FOLDER/model_index.json is missing or is not a JSON object; download or convert the model again.",
    ),
    "cut": (
        '{"_class',
        "FOLDER/model_index.json is missing or is not a JSON object; download or convert the model again.",
    ),
    "deep": (
        "[" * 200_000,
        "FOLDER/model_index.json is missing or is not a JSON object; download or convert the model again.",
    ),
    "other": (
        '{"_class_name": "FluxPipeline"}',
        "FOLDER holds a FluxPipeline, which mlxvid can't run; it runs: " + RUNS,
    ),
    "kind": (
        '{"_class_name": []}',
        "FOLDER holds a [], which mlxvid can't run; it runs: " + RUNS,
    ),
    "defaults": (
        '{"_class_name": "FactoredPipeline", "defaults": {"width": "96"}}',
        "FOLDER/model_index.json does not describe a model that mlxvid can make (width); download or convert the model again.",
    ),
    "knows": (
        '{"_class_name": "FactoredPipeline", "knows": {"words": 5, "say": ""}}',
        "FOLDER/model_index.json does not describe a model that mlxvid can make (words); download or convert the model again.",
    ),
}


@pytest.mark.parametrize("name", BROKEN_INDEX)
def test_a_broken_model_index(folder, name):
    text, sentence = BROKEN_INDEX[name]
    (folder / "model_index.json").write_text(text)
    assert error_of(folder) == sentence


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults(folder):
    edit(folder / "vae" / "config.json", _diffusers_version="0.42", new_in_2030=True)
    edit(
        folder / "model_index.json",
        defaults=dict(width=16, height=16, frames=1, fps=4, steps=1, guidance=1, mood="good"),
    )
    assert mlxvid.load(str(folder)).generate("a ball", seed=0).frames.shape == (1, 16, 16, 3)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({"_class_name": index["_class_name"]}))
    assert mlxvid.load(str(folder)).family.defaults.frames == 33


@pytest.mark.parametrize(
    ("component", "changes", "sentence"),
    [
        (
            "transformer",
            {"num_layers": 10**9},
            "FOLDER/transformer/config.json does not describe a model that mlxvid can make (num_layers); {}",
        ),
        (
            "vae",
            {"latent_channels": "4"},
            "FOLDER/vae/config.json does not describe a model that mlxvid can make (latent_channels); {}",
        ),
        (
            "vae",
            {"latents_mean": [0.0]},
            "FOLDER/vae/config.json does not describe a model that mlxvid can make (1 latents_mean or latents_std for 4 channels); {}",
        ),
        (
            "vae",
            {"block_channels": [8]},
            "FOLDER/vae/config.json has sizes that no network can have; {}",
        ),
        (
            "transformer",
            {"hidden_size": -64},
            "FOLDER/transformer/config.json has sizes that no network can have; {}",
        ),
        ("transformer", {"in_channels": 8}, "The parts of FOLDER come from different models; {}"),
        ("text_encoder", {"vocab_size": 4}, "The parts of FOLDER come from different models; {}"),
        ("text_encoder", {"hidden_size": 32}, "The parts of FOLDER come from different models; {}"),
    ],
)
def test_a_config_that_no_network_has(folder, component, changes, sentence):
    edit(folder / component / "config.json", **changes)
    assert error_of(folder, generate=True) == sentence.format(
        "download or convert the model again."
    )


def test_a_config_of_other_weights(folder):
    edit(folder / "transformer" / "config.json", num_layers=3)
    assert error_of(folder, generate=True) == (
        "The checkpoint in FOLDER/transformer lacks blocks.2.attn1.norm_k.weight and 25 more; "
        "it was made for another architecture or version."
    )
    edit(folder / "transformer" / "config.json", num_layers=1)
    message = error_of(folder, generate=True)
    assert message.startswith(
        "mlxvid's model of FOLDER/transformer has no place for blocks.1.attn1.norm_k.weight and 25 more; "
    )
    edit(folder / "transformer" / "config.json", num_layers=2, hidden_size=128)
    assert error_of(folder, generate=True).endswith(
        "is needed; its config.json belongs to other weights."
    )


def change_weights(path, change) -> None:
    weights = mx.load(str(path))
    mx.eval(weights)
    change(weights)
    mx.save_safetensors(str(path), weights)


def test_a_missing_tensor(folder):
    change_weights(folder / "vae" / WEIGHTS, lambda weights: weights.pop("decoder.up.bias"))
    assert error_of(folder, generate=True) == (
        "The checkpoint in FOLDER/vae lacks decoder.up.bias; it was made for another architecture or version."
    )


def test_a_tensor_of_another_shape(folder):
    change_weights(
        folder / "transformer" / WEIGHTS,
        lambda weights: weights.update({"proj_out.bias": mx.zeros((3,))}),
    )
    assert error_of(folder, generate=True) == (
        "proj_out.bias in FOLDER/transformer is (3,) where (16,) is needed; its config.json belongs to other weights."
    )


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_truncated_weights(folder, left):
    path = folder / "transformer" / WEIGHTS
    path.write_bytes(path.read_bytes()[:left])
    assert (
        error_of(folder, generate=True)
        == f"FOLDER/transformer/{WEIGHTS} is missing, damaged or cut short; download or convert the model again."
    )


def test_no_weights(folder):
    (folder / "vae" / WEIGHTS).unlink()
    assert error_of(folder, generate=True) == (
        "FOLDER/vae has no weights (.safetensors, .bin, .pth or .pt); download or convert the model again."
    )


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\0" * 64])
def test_no_tokenizer(folder, content):
    path = folder / "tokenizer" / "spiece.model"
    path.unlink() if content is None else path.write_bytes(content)
    assert error_of(folder) == (
        "FOLDER/tokenizer/spiece.model is missing or is not a sentencepiece model; download or convert the model again."
    )


def shard(folder, names: list[str]) -> None:
    """Spread the transformer's weights over files of these names."""
    path = folder / "transformer" / WEIGHTS
    weights = sorted(mx.load(str(path)).items())
    mx.eval([weight for _, weight in weights])
    path.unlink()
    for i, name in enumerate(names):
        mx.save_safetensors(str(folder / "transformer" / name), dict(weights[i :: len(names)]))
    places = {name: names[i % len(names)] for i, (name, _) in enumerate(weights)}
    (folder / "transformer" / f"{WEIGHTS}.index.json").write_text(
        json.dumps({"weight_map": places})
    )


def test_shards_are_put_together(folder, tiny):
    shard(folder, ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"])
    sharded = mlxvid.load(str(folder)).family.network("transformer")
    for (name, a), (_, b) in zip(
        tree_flatten(sharded.parameters()),
        tree_flatten(tiny.family.network("transformer").parameters()),
        strict=True,
    ):
        assert mx.array_equal(a, b), name


@pytest.mark.parametrize(
    "names", [{"a": "../vae/" + WEIGHTS}, {"a": "/etc/hosts"}, {"a": 5}, {"a": None}, [1], None]
)
def test_an_index_that_names_a_shard_outside_of_its_folder(folder, names):
    (folder / "transformer" / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": names}))
    assert error_of(folder, generate=True) == (
        f"FOLDER/transformer/{WEIGHTS}.index.json names a shard outside its folder, or none; download the model again."
    )


def test_a_missing_shard(folder):
    shard(folder, ["one.safetensors", "two.safetensors"])
    (folder / "transformer" / "two.safetensors").unlink()
    assert error_of(folder, generate=True) == (
        f"FOLDER/transformer/two.safetensors is missing, and {WEIGHTS}.index.json names it; download the model again."
    )


@pytest.mark.parametrize(
    ("dtype", "expected"), [(None, mx.float32), ("bfloat16", mx.bfloat16), ("float16", mx.float16)]
)
def test_dtype(tiny_folder, dtype, expected):
    pipe = mlxvid.load(str(tiny_folder), dtype=dtype)
    for name in ("vae", "text_encoder", "transformer"):
        assert {
            value.dtype for _, value in tree_flatten(pipe.model.network(name).parameters())
        } == {expected}


@pytest.mark.parametrize("bits", [4, 8])
def test_quantization_takes_the_large_matrices_and_leaves_the_sensitive(tiny_folder, bits):
    pipe = mlxvid.load(str(tiny_folder), quantize=bits)
    quantized = {
        name
        for name, _ in tree_flatten(pipe.model.network("transformer").parameters())
        if name.endswith(".scales")
    }
    assert "blocks.0.attn1.qkv.scales" in quantized and "blocks.1.ff.linear_2.scales" in quantized
    assert all(name.startswith("blocks.") for name in quantized)
    clip = pipe.generate("a red ball", seed=1)
    assert clip.settings["quantize"] == bits
    plain = mlxvid.load(str(tiny_folder)).generate("a red ball", seed=1)
    assert 0 < abs(clip.frames.astype(int) - plain.frames).mean() < 40


def test_a_model_too_large_to_stay_is_loaded_and_dropped_stage_by_stage(tiny_folder, monkeypatch):
    monkeypatch.setattr(loading, "RESIDENT_SHARE", 0)
    pipe, loaded = mlxvid.load(str(tiny_folder)), []
    components = pipe.model.components

    def on_progress(progress):
        loaded.append((progress.stage, *components._loaded))
        assert progress.preview() is None  # it would throw out the denoiser

    small = pipe.generate("a red ball", seed=1, on_progress=on_progress)
    assert list(dict.fromkeys(loaded)) == [
        ("encode", "text_encoder"),
        ("denoise", "transformer"),
        ("decode", "vae"),
    ]
    monkeypatch.undo()
    resident = mlxvid.load(str(tiny_folder))
    assert resident.family.components.resident
    assert (small.frames == resident.generate("a red ball", seed=1).frames).all()


def test_loading_is_told_in_parts_and_can_be_stopped(tiny_folder, monkeypatch):
    monkeypatch.setattr(loading, "LOAD_BYTES", 10_000)
    seen = []
    mlxvid.load(str(tiny_folder)).generate(
        "a ball", steps=1, on_progress=lambda p: seen.append((p.stage, p.step, p.total))
    )
    steps = [step for stage, step, _ in seen if stage == "load"]
    assert len(steps) > 20 and steps.count(0) == 3
    assert all(step <= total for _, step, total in seen)

    class Cancel:
        def is_set(self):
            return len(calls) > 5

    calls: list = []
    with pytest.raises(mlxvid.CancelledError):
        mlxvid.load(str(tiny_folder)).generate("a ball", on_progress=calls.append, cancel=Cancel())
    assert {progress.stage for progress in calls} == {"load"}
