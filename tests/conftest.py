"""What many tests share: a tiny model folder, and a cache that is not the user's."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import signal

import pytest

from tests.models.factored.tiny import write_model

# A shell starts background jobs with Ctrl-C ignored, and so would be the programs that tests start
# in one.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A folder with a tiny random factored model."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny(tiny_folder):
    """The tiny model's pipeline."""
    return mlxvid.load(str(tiny_folder))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Kept latents go to the test's own folder."""
    monkeypatch.setenv("MLXVID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
