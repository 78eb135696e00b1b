"""The command run in this process, in an empty folder, with the tiny model."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlxvid.generate import main

Result = tuple[int, str, str]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(tiny_folder, here, capsys):
    """Run the command with these flags: (exit code, standard output, standard error).

    model: whether the tiny model is named.
    """

    def command(*flags: object, model: bool = True) -> Result:
        capsys.readouterr()
        named = ["--model", str(tiny_folder)] if model else []
        code = main([*named, *map(str, flags)])
        return code, *capsys.readouterr()

    yield command
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own


@pytest.fixture
def make(run) -> Callable[..., str]:
    """Make clips of a red ball, without bars: what is printed on standard output."""

    def command(*flags: object) -> str:
        code, out, err = run("--prompt", "a red ball", "--progress", "none", *flags)
        assert code == 0, err
        return out

    return command


@pytest.fixture
def again(run) -> Callable[..., None]:
    """Repeat a clip with these flags besides."""

    def command(source: str, *flags: object) -> None:
        code, _, err = run("--from", source, "--progress", "none", *flags, model=False)
        assert code == 0, err

    return command


@pytest.fixture
def refused(run) -> Callable[..., str]:
    """The one sentence of a run that fails, about flags and settings by their flags."""

    def command(*flags: object, model: bool = True) -> str:
        code, out, err = run(*flags, model=model)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert err.endswith((".\n", "?\n"))
        assert "`" not in err
        return err.strip()

    return command


@pytest.fixture
def picture(tmp_path) -> Callable[..., str]:
    """Paint a grey picture: its path."""

    def paint(name: str, value: int = 90) -> str:
        path = tmp_path / name
        Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(path)
        return str(path)

    return paint
