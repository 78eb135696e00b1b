"""Converting a Diffusers folder: types, shards, quantization, PyTorch's files and FP8."""

from __future__ import annotations

import json
import shutil

import mlx.core as mx
import numpy as np
import pytest
import torch
from mlx.utils import tree_flatten
from safetensors import safe_open
from safetensors.torch import save_file

import mlxvid
from mlxvid.convert import convert

from .contents import assert_states, bytes_in, dtypes_in, same, weights_in

SHARD_BYTES = 20_000  # a few files for each network of the tiny model
STEMS = {
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "transformer": "diffusion_pytorch_model",
}


def clip_of(folder):
    return mlxvid.load(str(folder)).generate("a red ball", seed=1)


def config_of(folder, name):
    return json.loads((folder / name / "config.json").read_text())


def test_a_converted_model_has_the_type_and_makes_nearly_the_same_clip(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "half", "float16")
    for name in ("text_encoder", "transformer"):
        assert dtypes_in(out / name) == {mx.float16}
    assert dtypes_in(out / "vae") == {mx.float32}  # in which it computes
    before = clip_of(tiny_folder).frames.astype(int)
    after = clip_of(out).frames.astype(int)
    assert np.abs(before - after).max() <= 2


def test_everything_but_the_weights_is_copied_as_it_is(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    for foreign in (
        ".cache/x.json",
        "vae/model.onnx",
        "vae/pytorch_model.fp16.bin",
        "safety_checker/model.safetensors",
    ):
        (source / foreign).parent.mkdir(exist_ok=True)
        (source / foreign).write_bytes(b"no model")
    tiny_decoder = source / "tiny_vae" / "tae.safetensors"
    tiny_decoder.parent.mkdir()
    tiny_decoder.write_bytes(b"as it is")
    out = convert(source, tmp_path / "half", "bfloat16")
    assert (out / "tiny_vae" / "tae.safetensors").read_bytes() == b"as it is"
    shutil.rmtree(out / "tiny_vae")
    assert bytes_in(out).keys() == bytes_in(tiny_folder).keys()
    for name, content in bytes_in(tiny_folder).items():
        assert name.endswith(".safetensors") or bytes_in(out)[name] == content


def test_shards_and_their_index_are_the_same_model(tiny_folder, tmp_path):
    whole = convert(tiny_folder, tmp_path / "whole", "float32")
    out = convert(tiny_folder, tmp_path / "shards", "float32", shard_bytes=SHARD_BYTES)
    for name, stem in STEMS.items():
        files = sorted((out / name).glob("*.safetensors"))
        count = len(files)
        assert count > 1
        assert [file.name for file in files] == [
            f"{stem}-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)
        ]
        index = json.loads((out / name / f"{stem}.safetensors.index.json").read_text())
        weight_map = {}
        total = 0
        for file in files:
            weights = mx.load(str(file))
            size = sum(array.nbytes for array in weights.values())
            assert size <= SHARD_BYTES or len(weights) == 1
            weight_map.update(dict.fromkeys(weights, file.name))
            total += size
        assert index == {"metadata": {"total_size": total}, "weight_map": weight_map}
        assert same(weights_in(out / name), weights_in(whole / name))
        assert same(weights_in(whole / name), weights_in(tiny_folder / name))
    assert np.array_equal(clip_of(whole).frames, clip_of(out).frames)


def test_safetensors_own_library_reads_what_was_written(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "bfloat16", quantize=8)
    for name, form in (("transformer", "mlx"), ("vae", "pt")):
        expected = {key: array.shape for key, array in weights_in(out / name).items()}
        with safe_open(next((out / name).glob("*.safetensors")), "pt") as file:
            assert file.metadata() == {"format": form}
            shapes = {key: tuple(file.get_tensor(key).shape) for key in file.keys()}
        assert shapes == expected


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_folder_is_what_load_would_have_quantized(bits, tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "float32", quantize=bits)
    converted = mlxvid.load(str(out)).model
    loaded = mlxvid.load(str(tiny_folder), quantize=bits).model
    for name in STEMS:
        ours = dict(tree_flatten(converted.network(name).parameters()))
        theirs = dict(tree_flatten(loaded.network(name).parameters()))
        assert same(ours, theirs)
        is_quantized = name != "vae"
        assert any(key.endswith(".scales") for key in ours) == is_quantized
        config = config_of(out, name)
        quantization = config.pop("quantization", None)
        assert quantization == ({"group_size": 64, "bits": bits} if is_quantized else None)
        assert config == config_of(tiny_folder, name)


def test_a_quantized_model_can_be_cast_but_not_quantized_again(tiny_folder, tmp_path):
    four = convert(tiny_folder, tmp_path / "four", "float32", quantize=4)
    with pytest.raises(mlxvid.SettingError) as error:
        convert(four, tmp_path / "out", quantize=8)
    assert_states(error.value, f"{four}/text_encoder", "quantized already")
    half = convert(four, tmp_path / "out", "float16")
    assert dtypes_in(half / "transformer") == {mx.uint32, mx.float16}
    assert clip_of(half).frames.shape == (9, 32, 32, 3)


def test_pytorchs_files_are_the_same_model(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    for file in list(source.rglob("*.safetensors")):
        stem = "pytorch_model" if file.stem == "model" else file.stem
        tensors = {}
        for name, array in mx.load(str(file)).items():
            tensors[name] = torch.from_numpy(np.array(array))
        names = sorted(tensors)
        weight_map = {}
        for n in range(2):
            shard = f"{stem}-0000{n + 1}-of-00002.bin"
            torch.save({name: tensors[name] for name in names[n::2]}, file.parent / shard)
            weight_map.update(dict.fromkeys(names[n::2], shard))
        index = file.parent / f"{stem}.bin.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))
        file.unlink()
    out = convert(source, tmp_path / "out", "float32")
    assert bytes_in(out).keys() == bytes_in(tiny_folder).keys()
    for name in STEMS:
        assert same(weights_in(out / name), weights_in(tiny_folder / name))


@pytest.mark.parametrize(("suffix", "by_row"), [("scale_weight", False), ("weight_scale", True)])
@pytest.mark.parametrize("fp8", ["float8_e4m3fn", "float8_e5m2"])
def test_scaled_fp8_weights_are_converted_on_the_way(fp8, suffix, by_row, tiny_folder, tmp_path):
    dtype = getattr(torch, fp8)
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    file = next((source / "transformer").glob("*.safetensors"))
    stored = {"scaled_fp8": torch.empty(0, dtype=dtype)}
    expected = {}
    for name, array in mx.load(str(file)).items():
        weight = torch.from_numpy(np.array(array))
        if weight.ndim != 2 or not name.endswith(".weight"):
            stored[name] = expected[name] = weight
            continue
        stem = name.removesuffix("weight")
        largest = weight.abs().amax(1, keepdim=True) if by_row else weight.abs().amax()
        scale = largest / 400
        stored[name] = (weight / scale).to(dtype)
        stored[f"{stem}{suffix}"] = scale
        stored[f"{stem}scale_input"] = torch.ones(1)
        expected[name] = stored[name].to(torch.float32) * scale
    save_file(stored, file)
    out = convert(source, tmp_path / "out", "float32")
    arrays = {name: mx.array(weight.numpy()) for name, weight in expected.items()}
    assert same(weights_in(out / "transformer"), arrays)


def test_scales_without_their_weight_are_refused(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    file = next((source / "transformer").glob("*.safetensors"))
    weights = mx.load(str(file))
    mx.save_safetensors(str(file), {**weights, "patch_embed.scale_weight": mx.array(0.5)})
    with pytest.raises(mlxvid.WeightsError) as error:
        convert(source, tmp_path / "out")
    assert_states(error.value, f"patch_embed.scale_weight in {file}", "FP8", "16 or 32 bits")


@pytest.mark.parametrize(
    ("name", "value"), [("quantize", 3), ("quantize", True), ("quantize_text", 5)]
)
def test_bits_that_no_weight_has(name, value, tiny_folder, tmp_path):
    with pytest.raises(mlxvid.SettingError) as error:
        convert(tiny_folder, tmp_path / "out", **{name: value})
    assert_states(error.value, f"`{name}`", repr(value), "4 or 8")
