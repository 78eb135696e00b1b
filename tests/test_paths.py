"""What is no regular file is refused before it is opened, at every door, and nothing waits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mlxvid
from mlxvid.catalog import card_of
from mlxvid.errors import MediaError, MlxvidError, ModelNotFoundError, WeightsError
from mlxvid.hub import hub_cache_folder
from mlxvid.json_files import read_json
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.images import read_image
from mlxvid.paths import require_regular
from mlxvid.run.checkpoint import run_settings
from mlxvid.run.latents import read_latents
from mlxvid.text.tokenizer import JsonTokenizer, read_sentencepiece
from mlxvid.weights.lora import Lora
from mlxvid.weights.lora_file import read_lora
from mlxvid.weights.reading import read_weights
from mlxvid.weights.tensors import mapped


def waited(number, frame):
    raise AssertionError("It waits for a pipe that nobody writes to.")


@pytest.fixture(autouse=True)
def no_wait():
    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path) -> Path:
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path / "pipe.png"


def test_what_passes(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link", "missing", "\0", "\ud800"):
        require_regular(tmp_path / name)


def test_what_does_not(tmp_path, pipe, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path has at most 104 letters
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        kinds = {
            "folder.png": "a folder",
            "pipe.png": "a named pipe",
            "link.png": "a named pipe",
            "s.png": "a socket",
            "/dev/zero": "a device",
            "/dev/tty": "a device",
        }
        for name, kind in kinds.items():
            with pytest.raises(WeightsError, match=f"{name} is {kind}, not a file"):
                require_regular(name, WeightsError)


@pytest.mark.parametrize("read", [read_image, Clip.load, read_settings])
def test_pictures_and_clips(tmp_path, pipe, read):
    (tmp_path / "link.mp4").symlink_to("/dev/zero")
    for path, kind in ((pipe, "pipe"), (tmp_path / "link.mp4", "device"), ("/dev/zero", "device")):
        with pytest.raises(MediaError, match=kind):
            read(path)
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(MediaError, match="loop.png can't be read"):
        read(tmp_path / "loop.png")


@pytest.mark.parametrize("name", ["b.png", "settings.json"])
def test_folders_of_frames(tmp_path, name):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / name)
    with pytest.raises(MediaError, match=f"{name} is a named pipe"):
        Clip.load(tmp_path)


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        mapped,
        read_sentencepiece,
        read_latents,
        run_settings,
        lambda path: JsonTokenizer.load(path, 8, "<pad>"),
        lambda path: read_lora(Lora(str(path), files=(path,))),
    ],
)
def test_models_loras_and_latents(pipe, read):
    with pytest.raises(MlxvidError, match="pipe.png"):
        read(pipe)


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_weights(tmp_path, name):
    part = tmp_path / "transformer"
    part.mkdir()
    os.mkfifo(part / name)
    with pytest.raises(WeightsError, match="has no weights"):
        read_weights(part)


def test_models_on_another_disk_are_found_by_name(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MLXVID_MODELS", str(tmp_path))
    shutil.copytree(tiny_folder, tmp_path / "my model")
    assert mlxvid.load("my model").name == str((tmp_path / "my model").resolve())
    assert card_of("my model").folder == tmp_path / "my model"
    for name in ("my", "../my model"):
        with pytest.raises(ModelNotFoundError):
            card_of(name)


def test_downloads_go_to_the_folder_for_models(tmp_path, monkeypatch):
    ordinary = hub_cache_folder()
    monkeypatch.setenv("MLXVID_MODELS", str(tmp_path))
    assert hub_cache_folder() == tmp_path
    monkeypatch.setenv("MLXVID_MODELS", "")
    assert hub_cache_folder() == ordinary
