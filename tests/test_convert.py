"""convert: a model folder in another type, all or nothing."""

from __future__ import annotations

import shutil

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid.convert import convert
from mlxvid.convert.__main__ import main


def test_a_converted_model_has_the_type_and_makes_nearly_the_same_clip(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "half", "float16")
    weights = mx.load(str(next((out / "transformer").glob("*.safetensors"))))
    assert {w.dtype for w in weights.values()} == {mx.float16}
    clips = [mlxvid.load(str(folder)).generate("a red ball", seed=1).frames.astype(int) for folder in (tiny_folder, out)]
    assert np.abs(clips[0] - clips[1]).max() <= 2


def test_everything_but_the_weights_is_carried_over_as_it_is(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "half", "bfloat16")
    for file in tiny_folder.rglob("*"):
        if file.is_file() and file.suffix != ".safetensors":
            assert (out / file.relative_to(tiny_folder)).read_bytes() == file.read_bytes()


def test_a_model_is_replaced_but_nothing_else_is(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "float16")
    assert convert(tiny_folder, out, "float32") == out
    assert next(iter(mx.load(str(next((out / "vae").glob("*.safetensors")))).values())).dtype == mx.float32
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    with pytest.raises(mlxvid.MediaError, match="holds something that is no model; choose another folder"):
        convert(tiny_folder, tmp_path / "mine", "float16")
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"


def test_a_damaged_source_leaves_nothing_behind(tiny_folder, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(tiny_folder, source)
    file = next((source / "vae").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(mlxvid.WeightsError, match="is damaged or cut short"):
        convert(source, tmp_path / "out", "float16")
    assert [p.name for p in tmp_path.iterdir() if p.name not in ("source", "cache")] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--out", "x"], "has no model_index.json; give the folder of a model in the Diffusers layout."),
        (["{tiny}", "--out", "x", "--dtype", "int3"], "There is no dtype 'int3'; use one of: float32, bfloat16, float16."),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(arguments, sentence, tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([a.format(tiny=tiny_folder) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.endswith(sentence + "\n") and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_the_command_converts_and_prints_where(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--dtype", "float16"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
