"""Where models come from and go to: sources, folders in the way, full and forbidden disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from unittest.mock import create_autospec

import mlx.core as mx
import pytest

import mlxvid
from mlxvid import hub
from mlxvid.convert import convert
from mlxvid.convert.__main__ import main
from mlxvid.progress import Watch

from .contents import assert_states, bytes_in, dtypes_in, weights_in


def test_a_model_is_replaced_but_nothing_else_is(tiny_folder, tmp_path):
    out = convert(tiny_folder, tmp_path / "out", "float16")
    assert convert(tiny_folder, out, "float32") == out
    assert dtypes_in(out / "vae") == {mx.float32}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear")
    for taken in (tmp_path / "mine", tmp_path / "mine" / "diary.txt"):
        with pytest.raises(mlxvid.MediaError) as error:
            convert(tiny_folder, taken, "float16")
        assert_states(error.value, f"{taken} ", "no model", "another folder")
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]


def test_source_and_destination_must_be_apart(tiny_folder, tmp_path):
    source = shutil.copytree(tiny_folder, tmp_path / "models" / "source")
    for out in (source, source / "out", source / ".." / "source", tmp_path / "models"):
        with pytest.raises(mlxvid.SettingError) as error:
            convert(source, out)
        assert_states(error.value, f"{out.resolve()} overlaps", "outside")
    assert bytes_in(source) == bytes_in(tiny_folder)


def test_a_hub_repository_is_downloaded_with_pytorchs_files_too(tiny_folder, tmp_path, monkeypatch):
    download = create_autospec(hub.download, return_value=tiny_folder)
    monkeypatch.setattr(hub, "download", download)
    assert main(["someone/video", "--out", str(tmp_path / "out"), "--revision", "abc"]) == 0
    repo, revision, patterns, watch = download.call_args.args
    assert (repo, revision) == ("someone/video", "abc")
    assert isinstance(watch, Watch)
    assert {"*.json", "*.safetensors", "*.model", "*.bin", "*.pth", "*.pt"} <= set(patterns)
    assert (tmp_path / "out" / "model_index.json").is_file()


def test_a_name_of_the_catalog_is_a_source(tmp_path):
    out = convert("mini", tmp_path / "out", "float16")
    clip = mlxvid.load(str(out)).generate("a red ball", seed=1, steps=1, frames=1)
    assert clip.frames.shape == (1, 96, 96, 3)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_too_small_is_refused_before_beginning(tiny_folder, small_disk):
    (small_disk / "filler").write_bytes(bytes(900_000))
    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, small_disk / "out", "float32")
    needed = 0
    for name in ("vae", "text_encoder", "transformer"):
        needed += sum(array.nbytes for array in weights_in(tiny_folder / name).values())
    facts = (f"{small_disk / 'out'} ", f"{needed / 1e6:.1f} MB", "0.1 MB free", "another disk")
    assert_states(error.value, *facts)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_disk_that_fills_up_on_the_way(tiny_folder, small_disk):
    def fill(progress):
        free = shutil.disk_usage(small_disk).free
        (small_disk / "filler").write_bytes(bytes(max(0, free - 20_000)))

    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, small_disk / "out", "float16", on_progress=fill)
    assert_states(error.value, f"{small_disk / 'out'} ", "No space left on device")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    assert convert(tiny_folder, small_disk / "out", "float16").is_dir()


def test_a_folder_that_can_not_be_made(tiny_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(mlxvid.MediaError) as error:
        convert(tiny_folder, tmp_path / "file" / "out")
    assert_states(error.value, f"{tmp_path / 'file' / 'out'} ", "Not a directory")
