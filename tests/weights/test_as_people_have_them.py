"""Models in folders as people have them: variants, averages, wrappers, and what is no model."""

from __future__ import annotations

import json
import shutil

import mlx.core as mx
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mlxvid
from mlxvid.catalog import card_of
from mlxvid.convert import convert
from mlxvid.errors import MlxvidError, ModelNotFoundError, WeightsError
from mlxvid.plan import plan
from tests.facts import facts

WEIGHTS = "diffusion_pytorch_model.safetensors"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'9' * 64}\nsize 5676\n"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "model")


@pytest.fixture
def weights(folder):
    """The transformer's tensors; its file is gone."""
    file = folder / "transformer" / WEIGHTS
    loaded = dict(mx.load(str(file)))
    mx.eval(loaded)
    file.unlink()
    return loaded


def frames_of(folder):
    return mlxvid.load(str(folder)).generate("a red ball", seed=1, steps=2).frames


@pytest.fixture
def same(folder, tiny):
    """Asserts that `folder` makes the clip of the model that it was copied from."""
    return lambda: np.array_equal(
        frames_of(folder), tiny.generate("a red ball", seed=1, steps=2).frames
    )


def as_torch(weights):
    return {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}


@pytest.mark.parametrize(
    ("shard", "index"),
    [
        ("diffusion_pytorch_model.bf16-0000{}-of-00002.safetensors", f"{WEIGHTS}.index.bf16.json"),
        ("diffusion_pytorch_model-0000{}-of-00002.fp16.safetensors", f"{WEIGHTS}.index.fp16.json"),
        ("diffusion_pytorch_model-0000{}-of-00002.safetensors", f"{WEIGHTS}.index.json"),
    ],
)
def test_a_variant_in_shards(shard, index, folder, weights, same):
    place = folder / "transformer"
    table = {}
    for n in (1, 2):
        part = {name: weights[name] for name in sorted(weights)[n - 1 :: 2]}
        mx.save_safetensors(str(place / shard.format(n)), part)
        table.update(dict.fromkeys(part, shard.format(n)))
    (place / index).write_text(json.dumps({"weight_map": table}))
    assert same()


def test_a_whole_file_comes_before_a_variant_in_shards(folder, same):
    place = folder / "transformer"
    (place / f"{WEIGHTS}.index.fp16.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    assert same()


@pytest.mark.parametrize("place", ["transformer_ema", "ema_transformer"])
def test_a_folder_with_the_average_is_taken(place, folder, weights, same, caplog):
    worse = {name: 0.1 * array for name, array in weights.items()}
    mx.save_safetensors(str(folder / "transformer" / WEIGHTS), worse)
    (folder / place).mkdir()
    mx.save_safetensors(str(folder / place / WEIGHTS), weights)
    assert same()
    assert any(place in note and "average" in note for note in caplog.messages)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.ema.safetensors", "model_ema.bin"])
def test_a_file_with_the_average(name, folder, weights, caplog, same):
    file = folder / "transformer" / name
    if name.endswith(".bin"):
        torch.save({"ema": as_torch(weights), "model": {"a": torch.ones(2)}}, file)
    else:
        mx.save_safetensors(str(file), weights)
        worse = {name: 0.1 * array for name, array in weights.items()}
        mx.save_safetensors(str(folder / "transformer" / WEIGHTS), worse)
    assert same()
    assert any("average" in note for note in caplog.messages)


@pytest.mark.parametrize("average", ["ema_model.", "model_ema."])
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_an_average_in_the_same_table(average, kind, folder, weights, same, caplog, tmp_path):
    dots = average == "ema_model."  # Lightning takes them out
    both = {f"model.{name}": 0.1 * array for name, array in weights.items()}
    for name, array in weights.items():
        both[average + (name if dots else name.replace(".", ""))] = array
    if kind == "torch":
        file = folder / "transformer" / "diffusion_pytorch_model.bin"
        torch.save({"state_dict": as_torch(both)}, file)
    else:
        mx.save_safetensors(str(folder / "transformer" / WEIGHTS), both)
    assert same()
    assert any("average" in note and "not model" in note for note in caplog.messages)
    caplog.clear()
    caplog.set_level("INFO", "mlxvid")
    convert(folder, tmp_path / "out")
    assert any(note.startswith("Taken: ") and "model" in note for note in caplog.messages)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model._fsdp_wrapped_module."])
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_words_before_every_name(prefix, kind, folder, weights, same):
    wrapped = {prefix + name: array for name, array in weights.items()}
    if kind == "torch":
        file = folder / "transformer" / "diffusion_pytorch_model.bin"
        torch.save({"state_dict": as_torch(wrapped)}, file)
    else:
        mx.save_safetensors(str(folder / "transformer" / WEIGHTS), wrapped)
    assert same()


FOREIGN_CONFIGS = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "torchao": {"quant_method": "torchao", "quant_type": "int8wo"},
    "GPTQ": {"quant_method": "gptq", "bits": 4},
    "'strange'": {"quant_method": "strange"},
}


@pytest.mark.parametrize("component", ["transformer", "text_encoder"])
@pytest.mark.parametrize("program", FOREIGN_CONFIGS)
def test_a_config_of_weights_that_another_program_quantized(program, component, folder):
    config = folder / component / "config.json"
    values = json.loads(config.read_text())
    values["quantization_config"] = FOREIGN_CONFIGS[program]
    config.write_text(json.dumps(values))
    for use in (mlxvid.load, card_of, plan):
        with pytest.raises(WeightsError, match=facts(component, "quantized by", program, "bits")):
            use(str(folder))


@pytest.mark.parametrize(
    ("end", "program"),
    [
        ("weight.absmax", "bitsandbytes"),
        ("weight.quant_state.bitsandbytes__nf4", "bitsandbytes"),
        ("qzeros", "GPTQ or AWQ"),
        ("wscales", "Nunchaku"),
        ("scale_weight", "scaled FP8"),
        ("weight_scale_2", "NVFP4"),
    ],
)
def test_names_of_weights_that_another_program_quantized(end, program, folder, weights):
    name = f"{min(weights).rpartition('.')[0]}.{end}"
    mx.save_safetensors(str(folder / "transformer" / WEIGHTS), {**weights, name: mx.ones(2)})
    for use in (mlxvid.load, plan):
        with pytest.raises(WeightsError, match=facts("transformer", program)):
            use(str(folder))


@pytest.mark.parametrize("kind", ["I8", "U8", "I64"])
def test_integers_are_no_weights(kind, folder, weights):
    name = next(name for name, array in weights.items() if array.ndim == 2)
    types = {"I8": mx.int8, "U8": mx.uint8, "I64": mx.int64}
    content = {**weights, name: (10 * weights[name]).astype(types[kind])}
    mx.save_safetensors(str(folder / "transformer" / WEIGHTS), content)
    for use in (mlxvid.load, plan):
        with pytest.raises(WeightsError, match=facts(WEIGHTS, "integers", kind.lower(), "bits")):
            use(str(folder))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.float64])
def test_types_that_are_converted_first_are_told_so(dtype, folder, weights):
    tensors = {name: tensor.to(dtype) for name, tensor in as_torch(weights).items()}
    save_file(tensors, folder / "transformer" / WEIGHTS)
    for use in (mlxvid.load, plan):
        with pytest.raises(WeightsError, match=facts(WEIGHTS, "converted before", "convert")):
            use(str(folder))
    made = mlxvid.load(str(convert(folder, folder.parent / "out"))).generate("a", steps=2)
    assert len(made.frames)


@pytest.mark.parametrize(
    ("content", "what"),
    [(POINTER, "Git LFS"), ("GGUF\3\0\0\0", "GGUF"), ("<!doctype html><p>", "web page")],
)
def test_what_stands_in_place_of_a_file(content, what, folder):
    (folder / "transformer" / WEIGHTS).write_text(content)
    for use in (mlxvid.load, plan):
        with pytest.raises(WeightsError, match=facts(f"transformer/{WEIGHTS}", what)):
            use(str(folder))


def test_a_tokenizer_is_missed_before_anything_is_read(folder):
    (folder / "tokenizer" / "spiece.model").unlink()
    with pytest.raises(WeightsError, match=facts("tokenizer/spiece.model", "missing", "download")):
        mlxvid.load(str(folder))


def test_an_original_release_names_convert(folder):
    (folder / "model_index.json").unlink()
    for use in (mlxvid.load, card_of, plan):
        with pytest.raises(WeightsError, match=facts(folder, "model_index.json", "mlxvid.convert")):
            use(str(folder))


def test_a_folder_around_a_model_names_the_model(folder):
    with pytest.raises(WeightsError, match=facts(folder.parent, "give", folder)):
        mlxvid.load(str(folder.parent))


def test_a_component_or_a_file_of_a_model_names_the_model(folder):
    for use in (mlxvid.load, card_of, plan):
        with pytest.raises(WeightsError, match=facts(folder / "vae", f"give {folder}.")):
            use(str(folder / "vae"))
    with pytest.raises(ModelNotFoundError, match=facts("is a file", f"give {folder}.")):
        mlxvid.load(str(folder / "transformer" / WEIGHTS))


@pytest.mark.parametrize(
    "name", ["file:///tmp/model", "https://huggingface.co/org/tiny", "hf://org/tiny"]
)
def test_a_url_says_what_to_give_instead(name, tmp_path):
    for use in (mlxvid.load, card_of, lambda url: convert(url, tmp_path / "out")):
        with pytest.raises(ModelNotFoundError, match=facts(name, "URL", "owner/name")):
            use(name)


@pytest.mark.parametrize("kind", [None, ["a"], ""])
def test_an_index_without_a_pipeline(kind, folder):
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
    with pytest.raises(WeightsError, match=facts("model_index.json", "names no pipeline")):
        mlxvid.load(str(folder))


def test_a_folder_of_the_hubs_cache_names_its_snapshot(folder, tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("9" * 40)
    folder.rename(tmp_path / "moved")
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "moved").rename(snapshot)
    with pytest.raises(WeightsError, match=facts("models--a--b", f"give {snapshot}.")):
        mlxvid.load(str(tmp_path / "models--a--b"))


@pytest.mark.parametrize("names", [["a.safetensors"], ["a.safetensors", "b.safetensors"]])
def test_a_folder_of_loras_says_where_they_go(names, tmp_path):
    place = tmp_path / "loras"
    place.mkdir()
    for name in names:
        (place / name).write_bytes(b"content")
    for use in (mlxvid.load, card_of):
        with pytest.raises(WeightsError, match=facts("loras", "`loras`")):
            use(str(place))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("wan2.1_t2v.safetensors", "mlxvid.convert"),
        ("model.pth", "mlxvid.convert"),
        ("wan-Q4_0.gguf", "GGUF"),
        ("my_lora.safetensors", "`loras`"),
        ("model_index.json", "give"),
    ],
)
def test_a_file_says_what_to_do_with_it(name, what, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / name).write_bytes(b"content")
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "here" / name), f"here/{name}"):
        for use in (mlxvid.load, card_of):
            with pytest.raises(ModelNotFoundError, match=facts(path, "is a file", what)):
                use(path)


@pytest.mark.parametrize("hidden", ["._model.safetensors", ".DS_Store", "._config.json"])
def test_hidden_files_are_not_seen(hidden, folder, same):
    for place in (folder, folder / "transformer", folder / "tokenizer"):
        (place / hidden).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert same()


def test_a_pickled_class_of_a_quantizer_is_named(folder, weights):
    file = folder / "transformer" / "diffusion_pytorch_model.bin"
    from tests.weights import crafted

    pickled = b"\x80\x02ctorchao.dtypes\nAffineQuantizedTensor\n."
    crafted.zip_file(file, pickled, {})
    with pytest.raises(MlxvidError, match=facts(file, "quantized by torchao")):
        mlxvid.load(str(folder))
