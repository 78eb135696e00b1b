"""LoRAs as they are asked for, found and read; broken files are refused in one sentence."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json

import numpy as np
import pytest

from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.weights.lora import Lora, find_lora, parse_lora
from mlxvid.weights.lora_file import read_lora
from tests.facts import facts

from .lora_tensors import no_hub, random, read, written


@pytest.mark.parametrize(
    ("tensors", "fact"),
    [
        ({"a.diff": np.array([1, np.nan], np.float32)}, "no finite numbers in a.diff"),
        ({"a.alpha": np.array(np.inf, np.float32)}, "no finite numbers in a.alpha"),
        # As quantized weights come.
        ({"a.diff": np.ones((2, 2), np.uint8)}, "integers in a.diff (uint8)"),
        ({"a.lora_A.weight": np.ones((2, 2), np.int8)}, "integers in a.lora_A.weight (int8)"),
        ({}, "no tensors"),
    ],
)
def test_values_that_no_lora_can_have(tensors, fact, tmp_path):
    file = written(tmp_path / "a.safetensors", tensors)
    with pytest.raises(WeightsError) as error:
        read(file)
    assert str(file) in str(error.value) and fact in str(error.value)


@pytest.mark.parametrize("harm", ["cut", "not one", "empty"])
def test_files_that_are_damaged(harm, tmp_path):
    file = written(tmp_path / "a.safetensors", {"a.diff": random(100)})
    whole = file.read_bytes()
    damaged = {"cut": whole[:-100], "not one": b"PK\x03\x04" + bytes(60), "empty": b""}
    file.write_bytes(damaged[harm])
    with pytest.raises(WeightsError, match=facts(file, "download it again")):
        read(file)


def test_an_alpha_among_the_tensors_wins(tmp_path):
    tensors = {"a.lora_A.weight": random(3, 4), "a.alpha": np.float32(6)}
    metadata = {"lora_adapter_metadata": '{"lora_alpha": 99}'}
    file = written(tmp_path / "a.safetensors", tensors, metadata)
    assert read(file)["a.alpha"].item() == 6


@pytest.mark.parametrize(
    "settings",
    [
        "[1]",
        "{",
        '{"lora_alpha": "x"}',
        '{"lora_alpha": NaN}',
        '{"lora_alpha": 1, "alpha_pattern": {"other": 2}}',
    ],
)
def test_settings_that_are_none(settings, tmp_path):
    file = written(
        tmp_path / "a.safetensors",
        {"a.lora_A.weight": random(3, 4), "a.lora_B.weight": random(5, 3)},
        {"lora_adapter_metadata": settings},
    )
    with pytest.raises(WeightsError, match=f"settings kept with {file}"):
        read(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style.safetensors", Lora("style.safetensors")),
        ("style.safetensors@0.5", Lora("style.safetensors", None, 0.5)),
        ("style.safetensors@-1e-1", Lora("style.safetensors", None, -0.1)),
        ("owner/repo", Lora("owner/repo")),
        ("owner/repo:sub/file.safetensors", Lora("owner/repo", "sub/file.safetensors")),
        ("owner/repo:file.safetensors@2", Lora("owner/repo", "file.safetensors", 2.0)),
        # What is there is meant, whatever its name.
        ("there/a@2", Lora("there/a@2")),
        ("there/a@2@0.5", Lora("there/a@2", None, 0.5)),
        ("there/b:c.safetensors", Lora("there/b:c.safetensors")),
        ("there/b:c.safetensors@0.5", Lora("there/b:c.safetensors", None, 0.5)),
        ("there/d:e:f.safetensors@0.5", Lora("there/d:e", "f.safetensors", 0.5)),
    ],
)
def test_parse(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there" / "d:e").mkdir(parents=True)
    for name in ("a@2", "b:c.safetensors"):
        (tmp_path / "there" / name).touch()
    assert parse_lora(text) == expected
    assert parse_lora(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "@1", ":file@1", "repo:", "repo:@1"])
def test_parse_nothing(text):
    with pytest.raises(SettingError, match="names no LoRA") as error:
        parse_lora(text)
    assert repr(text) in str(error.value) and "`loras`" in str(error.value)


@pytest.mark.parametrize("text", ["a@b", "a@", "a@nan", "a@inf", "a@1e999", "a@1e300", "a@-1001"])
def test_parse_scales_that_are_none(text):
    with pytest.raises(SettingError, match="no finite scale") as error:
        parse_lora(text)
    assert repr(text) in str(error.value) and "`loras`" in str(error.value)


def test_where_a_lora_is_found(tmp_path):
    folder = tmp_path / "loras"
    asked = []
    (folder / "sub").mkdir(parents=True)
    one = written(folder / "one.safetensors", {"a.diff": random(1)})
    two = written(folder / "sub" / "two.safetensors", {"b.diff": random(1)})

    def download(repo, file):
        asked.append((repo, file))
        return two

    def names(*lora):
        return list(read_lora(find_lora(Lora(*lora), download)))

    assert names(str(one)) == names(str(folder)) == ["a.diff"]
    assert names(str(folder), "sub/two.safetensors") == ["b.diff"]
    assert not asked
    assert names("owner/repo", "two.safetensors") == names("owner/repo.x") == ["b.diff"]
    assert asked == [("owner/repo", "two.safetensors"), ("owner/repo.x", None)]
    assert names("owner/repo/sub/two.safetensors") == ["b.diff"]
    assert asked[-1] == ("owner/repo", "sub/two.safetensors")


def test_a_path_with_a_mistake_is_not_only_a_repositorys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def download(repo, file):
        raise ModelNotFoundError(f"The hub has no model {repo!r}.")

    with pytest.raises(ModelNotFoundError, match=facts("no file loras/sub/x.pt here", "'loras/")):
        find_lora(Lora("loras/sub/x.pt"), download)


def test_a_local_lora_is_found_again_from_anywhere(tmp_path, monkeypatch):
    folder = tmp_path / "loras"
    folder.mkdir()
    written(folder / "a.safetensors", {"a.diff": random(1)})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(folder)
    file = f"{folder}/a.safetensors"
    for text, expected in (
        ("a.safetensors", file),
        ("../loras/a.safetensors@0.5", f"{file}@0.5"),
        ("~/loras:a.safetensors", f"{folder}:a.safetensors"),
        (".", str(folder)),
    ):
        found = find_lora(parse_lora(text), no_hub)
        assert str(found) == expected
        assert found.files == (folder / "a.safetensors",)
        assert find_lora(parse_lora(expected), no_hub).files == found.files
    hub = find_lora(parse_lora("owner/repo:x.safetensors@2"), lambda *asked: folder)
    assert str(hub) == "owner/repo:x.safetensors@2.0"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["a.safetensors", "._a.safetensors", ".DS_Store"], ["a.safetensors"]),
        (["adapter_model.bin", "._adapter_model.bin", "README.md"], ["adapter_model.bin"]),
        (["Style.SAFETENSORS", "README.md"], ["Style.SAFETENSORS"]),
        (["pytorch_lora_weights.safetensors", "step-500.safetensors"], [0]),
        (["adapter_model.safetensors", "adapter_model.bin", "optimizer.bin"], [0]),
        (["a.pt"], ["a.pt"]),
        (["last.ckpt", "notes.txt"], ["last.ckpt"]),
    ],
)
def test_the_file_in_a_folder(files, chosen, tmp_path):
    for name in files:
        (tmp_path / name).touch()
    chosen = [files[name] if isinstance(name, int) else name for name in chosen]
    assert find_lora(Lora(str(tmp_path)), no_hub).files == tuple(tmp_path / name for name in chosen)


def test_a_lora_in_shards(tmp_path):
    for number, key in ((1, "a.diff"), (2, "b.diff")):
        written(tmp_path / f"a-0000{number}-of-00002.safetensors", {key: random(1)})
    shards = {"a.diff": "a-00001-of-00002.safetensors", "b.diff": "a-00002-of-00002.safetensors"}
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": shards}))
    assert read(tmp_path).keys() == {"a.diff", "b.diff"}
    assert [file.name for file in find_lora(Lora(str(tmp_path)), no_hub).files] == sorted(
        shards.values()
    )


@pytest.mark.parametrize(
    ("source", "file", "fact"),
    [
        ("{folder}", None, "{folder} has 2 files that a LoRA can be in: a.safetensors, b.safe"),
        ("{folder}/empty", None, "{folder}/empty has no .safetensors file"),
        ("here/x/a.safetensors", None, "There is no LoRA 'here/x/a.safetensors'"),
        ("a\0b", None, "There is no LoRA"),
        ("x" * 5000, None, "There is no LoRA"),
        ("{folder}", "c", "{folder} has no file c"),
        ("{folder}/a.safetensors", "c", "There is no LoRA '{folder}/a.safetensors:c'"),
        ("loras/x.safetensors", None, "There is no LoRA 'loras/x.safetensors'"),
        ("x", None, "There is no LoRA 'x'"),
        ("../x/y", None, "There is no LoRA '../x/y'"),
    ],
)
def test_where_there_is_none(source, file, fact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "here"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        written(tmp_path / f"{name}.safetensors", {"a.diff": random(1)})
    with pytest.raises(ModelNotFoundError) as error:
        find_lora(Lora(source.format(folder=tmp_path), file), no_hub)
    assert fact.format(folder=tmp_path) in str(error.value)
    assert "FILE_OR_REPO[:file][@scale]" in str(error.value)
