"""LoRAs in every type and every kind of file that people keep them in."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.weights.lora import Lora
from mlxvid.weights.lora_file import notes
from tests.facts import facts

from .crafted import safetensors_file
from .lora_tensors import random, read

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file

KEYS = ("a.lora_A.weight", "a.lora_B.weight")
FLOATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def factors(dtype: str = "float32") -> dict:
    values = (random(2, 4), random(5, 2, seed=1))
    kind = getattr(torch, dtype)
    return {key: torch.tensor(value).to(kind) for key, value in zip(KEYS, values, strict=True)}


def assert_same(found, tensors) -> None:
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert np.array_equal(np.array(found[key].astype(mx.float32)), tensor.float().numpy())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_every_type(dtype, name, tmp_path):
    file = tmp_path / name
    tensors = factors(dtype)
    if name.endswith("pt"):
        torch.save(tensors, file)
    else:
        save_file(tensors, str(file))
    assert_same(read(file), tensors)


@pytest.mark.parametrize("scale", [2.0**-6, [[0.5], [2.0]]])
def test_fp8_with_scales(scale, tmp_path):
    tensors = factors("float8_e4m3fn")
    scales = torch.tensor(scale)
    kept = {**tensors, "a.lora_A.weight_scale": scales, "a.lora_B.scale_weight": torch.tensor(3.0)}
    save_file(kept, str(tmp_path / "a.safetensors"))
    found = read(tmp_path / "a.safetensors")
    expected = {KEYS[0]: tensors[KEYS[0]].float() * scales, KEYS[1]: tensors[KEYS[1]].float() * 3}
    assert_same(found, expected)


def test_fp8_that_has_lost_its_scales(tmp_path):
    tensors = factors("float8_e4m3fn")
    save_file({**tensors, "scaled_fp8": torch.zeros(2)}, str(tmp_path / "a.safetensors"))
    with pytest.raises(WeightsError, match=facts(KEYS[0], "no scale", "16 bits")):
        read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_integers_are_named(dtype, tmp_path):
    save_file(factors(dtype), str(tmp_path / "a.safetensors"))
    with pytest.raises(WeightsError, match=facts(KEYS[0], dtype, "16 or 32 bits")):
        read(tmp_path / "a.safetensors")


def test_a_type_that_nobody_reads(tmp_path):
    entry = {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}
    safetensors_file(tmp_path / "a.safetensors", {KEYS[0]: entry}, bytes(2))
    with pytest.raises(WeightsError, match=facts(KEYS[0], "a.safetensors", "F4", "get it in 16")):
        read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.pth", "a.ckpt", "a.safetensors"])
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_pytorch_whatever_they_are_called(name, legacy, tmp_path):
    tensors = factors()
    torch.save(tensors, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    assert_same(read(tmp_path / name), tensors)


def test_safetensors_called_otherwise_and_a_trainers_checkpoint(tmp_path):
    tensors = factors()
    save_file(tensors, str(tmp_path / "a.pt"))
    torch.save({"step": 500, "state_dict": tensors}, tmp_path / "b.ckpt")
    for name in ("a.pt", "b.ckpt"):
        assert_same(read(tmp_path / name), tensors)


def test_no_code_of_a_file_is_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return print, ("run",)

    torch.save({**factors(), "x": Hostile()}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=facts("a.pt", "print", "nothing of it was run")):
        read(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "a.safetensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a.safetensors"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "a.safetensors"),
        (b"PK\x03\x04" + bytes(60), "download it again"),
    ],
)
def test_what_is_no_lora_at_all(content, fact, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=fact) as error:
        read(tmp_path / "a.safetensors")
    assert "the model" not in str(error.value)


@pytest.mark.parametrize("table", ["lora", "lora_state_dict", "generator_lora"])
def test_tables_that_trainers_call_after_what_they_hold(table, tmp_path):
    content = {table: factors(), "step": 3, "optimizer": {"state": {0: torch.zeros(2)}}}
    torch.save(content, tmp_path / "a.pt")
    assert_same(read(tmp_path / "a.pt"), factors())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], ("no LoRA", "another")),
        ({"shadow_params": [torch.zeros(2)]}, ("no names", "saved beside it")),
    ],
)
def test_what_is_no_lora_is_not_called_a_model(content, words, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=facts("a.pt", *words)) as error:
        read(tmp_path / "a.pt")
    assert "model" not in str(error.value)


def found(file) -> Lora:
    return Lora(str(file), files=(file,))


@pytest.mark.parametrize("part", ["lora_B.weight", "alpha"])
def test_a_lora_that_changes_nothing_is_said_to(part, tmp_path):
    tensors = {**factors(), "a.alpha": torch.tensor(1.0)}
    save_file(tensors, tmp_path / "a.safetensors")
    assert not notes(found(tmp_path / "a.safetensors"))
    tensors[f"a.{part}"] *= 0
    save_file(tensors, tmp_path / "a.safetensors")
    (note,) = notes(found(tmp_path / "a.safetensors"))
    assert "a.safetensors changes nothing" in note
    tensors["b.diff"] = torch.ones(2)
    save_file(tensors, tmp_path / "a.safetensors")
    assert not notes(found(tmp_path / "a.safetensors"))


def test_an_average_of_a_lora_is_told_once(tmp_path, caplog):
    torch.save({"model": {"a": torch.ones(2)}, "ema": factors()}, tmp_path / "a.pt")
    (note,) = notes(found(tmp_path / "a.pt"))
    assert "average" in note and not caplog.messages
