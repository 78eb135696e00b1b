"""From a name or folder to weights; every broken checkpoint is one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

import mlxvid
from mlxvid import models
from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.model.machine import this_machine
from mlxvid.run import load as load_module
from mlxvid.weights import in_parts, loading
from tests.facts import facts

WEIGHTS = "diffusion_pytorch_model.safetensors"
AGAIN = "download or convert the model again"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny model to break."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def edit(path, **changes) -> None:
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def assert_says(folder, *words: object, generate: bool = True) -> None:
    """Loading the model, and making a clip unless `generate` is false, is an error that says these
    facts, in this order.
    """
    with pytest.raises(WeightsError) as caught:
        pipe = mlxvid.load(str(folder))
        if generate:
            pipe.generate("a red ball", seed=1)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    message = message.replace(str(folder), "FOLDER")
    assert re.search(facts(*words), message), message


def test_a_folder_is_found_by_path_or_home(tiny_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_folder.parent))
    for name in (str(tiny_folder), tiny_folder, f"~/{tiny_folder.name}", f"{tiny_folder}/"):
        assert mlxvid.load(name).name == str(tiny_folder.resolve())


def test_a_catalog_name_is_not_mistaken_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mini").mkdir()
    assert load_module.locate("mini")[1] == "mini"
    with pytest.raises(WeightsError, match=facts("mini has no", "model_index.json", "Diffusers")):
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
    message = str(caught.value)
    assert "\n" not in message
    assert repr(name)[:100] in message and "`list_models`" in message
    assert ("(did you mean mini?)" in message) == (name in ("minni", "Mini2"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"quantize": 3}, ("`quantize`", "4 or 8 bits", "not 3")),
        ({"quantize": 4.0}, ("`quantize`", "4 or 8 bits", "not 4.0")),
        ({"dtype": "int8"}, ("`dtype`", "'int8'", "float32, bfloat16, float16")),
        ({"dtype": ["float32"]}, ("`dtype`", "['float32']", "float32, bfloat16, float16")),
        ({"model": 5}, ("`model`", 5, None)),
        ({"revision": 5}, ("`model`", "revision", "'mini'", 5)),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(SettingError, match=facts(*words)):
        mlxvid.load(**settings)


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        ("mlxvid-tests/no-such-model", ("not all on this machine", "out of reach", "a folder")),
        ("--/--", ("'--/--'", "check the spelling", "hf auth login")),
    ],
)
def test_the_hub_out_of_reach_is_one_sentence(repository, words, tmp_path):
    code = f"""
import mlxvid
try:
    mlxvid.load({repository!r})
except mlxvid.ModelNotFoundError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1
    assert repository in run.stdout
    assert re.search(facts(*words), run.stdout), run.stdout


NO_INDEX = ("FOLDER/model_index.json", "missing or is not a JSON object", AGAIN)
CAN_RUN = ("can't run", *models.by_pipeline())
BROKEN_INDEX = {
    "list": ("[1]", NO_INDEX),
    "cut": ('{"_class', NO_INDEX),
    "deep": ("[" * 200_000, NO_INDEX),
    "other": ('{"_class_name": "FluxPipeline"}', ("FOLDER", "FluxPipeline", *CAN_RUN)),
    "kind": ('{"_class_name": []}', ("FOLDER/model_index.json", "names no pipeline", AGAIN)),
    "defaults": (
        '{"_class_name": "FactoredPipeline", "defaults": {"width": "96"}}',
        ("FOLDER/model_index.json", "(width)", AGAIN),
    ),
    "knows": (
        '{"_class_name": "FactoredPipeline", "knows": {"words": 5, "say": ""}}',
        ("FOLDER/model_index.json", "(words)", AGAIN),
    ),
}


@pytest.mark.parametrize("name", BROKEN_INDEX)
def test_a_broken_model_index(folder, name):
    text, words = BROKEN_INDEX[name]
    (folder / "model_index.json").write_text(text)
    assert_says(folder, *words, generate=False)


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults(folder):
    edit(folder / "vae" / "config.json", _diffusers_version="0.42", new_in_2030=True)
    defaults = dict(width=16, height=16, frames=1, fps=4, steps=1, guidance=1, mood="good")
    edit(folder / "model_index.json", defaults=defaults)
    assert mlxvid.load(str(folder)).generate("a ball", seed=0).frames.shape == (1, 16, 16, 3)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({"_class_name": index["_class_name"]}))
    assert mlxvid.load(str(folder)).model.card.defaults.frames == 33


OTHER_MODELS = ("FOLDER", "come from different models")
NO_NETWORK = "sizes that no network can have"


@pytest.mark.parametrize(
    ("component", "changes", "words"),
    [
        ("transformer", {"num_layers": 10**9}, ("FOLDER/transformer/config.json", "(num_layers)")),
        ("vae", {"latent_channels": "4"}, ("FOLDER/vae/config.json", "(latent_channels)")),
        ("vae", {"latents_mean": [0.0]}, ("FOLDER/vae/config.json", "1 latents_mean", "4 channel")),
        ("vae", {"block_channels": [8]}, ("FOLDER/vae/config.json", NO_NETWORK)),
        ("transformer", {"hidden_size": -64}, ("FOLDER/transformer/config.json", NO_NETWORK)),
        ("transformer", {"in_channels": 8}, OTHER_MODELS),
        ("text_encoder", {"vocab_size": 4}, OTHER_MODELS),
        ("text_encoder", {"hidden_size": 32}, OTHER_MODELS),
    ],
)
def test_a_config_that_no_network_has(folder, component, changes, words):
    edit(folder / component / "config.json", **changes)
    assert_says(folder, *words, AGAIN)


def test_a_config_of_other_weights(folder):
    config = folder / "transformer" / "config.json"
    edit(config, num_layers=3)
    first = "blocks.2.attn1.norm_k.weight"
    assert_says(folder, "FOLDER/transformer lacks", first, "25 more", "another architecture")
    edit(config, num_layers=1)
    first = "blocks.1.attn1.norm_k.weight"
    assert_says(folder, "FOLDER/transformer has no place for", first, "25 more")
    edit(config, num_layers=2, hidden_size=128)
    assert_says(folder, "FOLDER/transformer", "is needed", "config.json belongs to other weights")


def change_weights(path, change) -> None:
    weights = mx.load(str(path))
    mx.eval(weights)
    change(weights)
    mx.save_safetensors(str(path), weights)


def test_a_missing_tensor(folder):
    change_weights(folder / "vae" / WEIGHTS, lambda weights: weights.pop("decoder.up.bias"))
    assert_says(folder, "FOLDER/vae lacks", "decoder.up.bias", "another architecture")


def test_a_tensor_of_another_shape(folder):
    path = folder / "transformer" / WEIGHTS
    change_weights(path, lambda weights: weights.update({"proj_out.bias": mx.zeros((3,))}))
    assert_says(folder, "proj_out.bias", "FOLDER/transformer", (3,), (16,), "config.json")


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_truncated_weights(folder, left):
    path = folder / "transformer" / WEIGHTS
    path.write_bytes(path.read_bytes()[:left])
    assert_says(folder, f"FOLDER/transformer/{WEIGHTS}", "damaged or cut short", AGAIN)


def test_no_weights(folder):
    (folder / "vae" / WEIGHTS).unlink()
    assert_says(folder, "FOLDER/vae has no weights", ".safetensors, .bin, .pth or .pt", AGAIN)


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\0" * 64])
def test_no_tokenizer(folder, content):
    path = folder / "tokenizer" / "spiece.model"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    what = "missing" if content is None else "sentencepiece"
    assert_says(folder, "FOLDER/tokenizer/spiece.model", what, AGAIN, generate=False)


def shard(folder, names: list[str]) -> None:
    """Spread the transformer's weights over files of these names."""
    path = folder / "transformer" / WEIGHTS
    weights = sorted(mx.load(str(path)).items())
    mx.eval([weight for _, weight in weights])
    path.unlink()
    for i, name in enumerate(names):
        mx.save_safetensors(str(folder / "transformer" / name), dict(weights[i :: len(names)]))
    places = {name: names[i % len(names)] for i, (name, _) in enumerate(weights)}
    index = folder / "transformer" / f"{WEIGHTS}.index.json"
    index.write_text(json.dumps({"weight_map": places}))


def test_shards_are_put_together(folder, tiny):
    shard(folder, ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"])
    sharded = mlxvid.load(str(folder)).model.network("transformer")
    read = dict(tree_flatten(sharded.parameters()))
    expected = dict(tree_flatten(tiny.model.network("transformer").parameters()))
    assert read.keys() == expected.keys()
    for name, array in read.items():
        assert mx.array_equal(array, expected[name]), name


@pytest.mark.parametrize(
    "names", [{"a": "../vae/" + WEIGHTS}, {"a": "/etc/hosts"}, {"a": 5}, {"a": None}, [1], None]
)
def test_an_index_that_names_a_shard_outside_of_its_folder(folder, names):
    index = folder / "transformer" / f"{WEIGHTS}.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert_says(folder, f"FOLDER/transformer/{index.name}", "outside its folder", "download")


def test_a_missing_shard(folder):
    shard(folder, ["one.safetensors", "two.safetensors"])
    (folder / "transformer" / "two.safetensors").unlink()
    missing = "FOLDER/transformer/two.safetensors"
    assert_says(folder, missing, "missing", f"{WEIGHTS}.index.json names it", "download")


@pytest.mark.parametrize(
    ("dtype", "expected"), [(None, mx.float32), ("bfloat16", mx.bfloat16), ("float16", mx.float16)]
)
def test_dtype(tiny_folder, dtype, expected):
    pipe = mlxvid.load(str(tiny_folder), dtype=dtype)
    for name in ("text_encoder", "transformer"):
        parameters = tree_flatten(pipe.model.network(name).parameters())
        assert {value.dtype for _, value in parameters} == {expected}, name


@pytest.mark.parametrize("dtype", [None, "bfloat16", "float16"])
def test_a_part_that_needs_float32_keeps_it_whatever_is_asked_for(tiny_folder, dtype):
    card = models.card_of(tiny_folder)
    components = loading.Components(card, dtype)
    vae = dataclasses.replace(card.family.parts["vae"], dtype="float32")
    parameters = tree_flatten(components.network("vae", vae).parameters())
    assert {value.dtype for _, value in parameters} == {mx.float32}


@pytest.mark.parametrize("name", ["vae", "text_encoder"])
def test_only_parts_that_can_be_are_quantized(tiny_folder, name):
    card = models.card_of(tiny_folder)
    components = loading.Components(card, quantize=8)
    part = dataclasses.replace(card.family.parts[name], quantized=False)
    parameters = tree_flatten(components.network(name, part).parameters())
    assert not [key for key, _ in parameters if key.endswith(".scales")]


@pytest.mark.parametrize("bits", [4, 8])
def test_quantization_takes_the_large_matrices_and_leaves_the_sensitive(tiny_folder, bits):
    pipe = mlxvid.load(str(tiny_folder), quantize=bits)
    parameters = tree_flatten(pipe.model.network("transformer").parameters())
    quantized = {name for name, _ in parameters if name.endswith(".scales")}
    assert {"blocks.0.attn1.qkv.scales", "blocks.1.ff.linear_2.scales"} <= quantized
    assert all(name.startswith("blocks.") for name in quantized)
    clip = pipe.generate("a red ball", seed=1)
    assert clip.settings["quantize"] == bits
    plain = mlxvid.load(str(tiny_folder)).generate("a red ball", seed=1)
    assert 0 < abs(clip.frames.astype(int) - plain.frames).mean() < 40


def test_mlx_waits_for_work_rather_than_take_more_than_a_clip_may(tiny_folder):
    before = mx.set_memory_limit(2**30)
    try:
        mlxvid.load(str(tiny_folder))
        limit = mx.set_memory_limit(2**30)
    finally:
        mx.set_memory_limit(before)
    assert limit == this_machine().usable


def test_a_model_too_large_to_stay_is_loaded_and_dropped_stage_by_stage(tiny_folder, monkeypatch):
    pipe = mlxvid.load(str(tiny_folder))
    loaded = []
    components = pipe.model.components
    components.usable = 0

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
    assert (small.frames == resident.generate("a red ball", seed=1).frames).all()


def test_loading_is_told_in_parts_and_can_be_stopped(tiny_folder, monkeypatch):
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 10_000)
    seen = []
    mlxvid.load(str(tiny_folder)).generate("a ball", steps=1, on_progress=seen.append)
    told = [progress for progress in seen if progress.stage == "load"]
    assert len(told) > 20
    assert [progress.step for progress in told].count(0) == 3
    assert all(progress.step <= progress.total for progress in told)

    class Cancel:
        def is_set(self):
            return len(calls) > 5

    calls: list = []
    with pytest.raises(mlxvid.CancelledError):
        mlxvid.load(str(tiny_folder)).generate("a cube", on_progress=calls.append, cancel=Cancel())
    assert {progress.stage for progress in calls} == {"load"}


def test_evaluating_takes_no_more_memory_than_the_weights_and_a_part(tmp_path, monkeypatch):
    """Of float32 on the disk that is used in bfloat16: half of it, and what a part needs."""
    mebibyte = 2**20
    layers = {f"{number}.weight": mx.ones((1024, 1024)) for number in range(12)}
    mx.save_safetensors(str(tmp_path / "weights.safetensors"), layers)
    del layers
    network = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(12)))
    weights = mx.load(str(tmp_path / "weights.safetensors"))
    named = [(f"layers.{name}", weight) for name, weight in weights.items()]
    network.load_weights(named)
    network.set_dtype(mx.bfloat16)
    del weights, named
    monkeypatch.setattr(in_parts, "LOAD_BYTES", 4 * mebibyte)
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    in_parts.evaluate(network, None)
    assert mx.get_active_memory() - before >= 24 * mebibyte
    assert mx.get_peak_memory() - before <= (24 + 12) * mebibyte
