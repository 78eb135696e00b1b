"""What many tests share: a tiny model folder, a cache that is not the user's, the quick tier."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import logging
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.models.tiny import write_model

# What `scripts/test --quick` leaves out: paths of modules and folders.
THOROUGH = [
    line
    for line in (ROOT / "tests" / "thorough.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]

# A shell starts background jobs with Ctrl-C ignored, and so would be the programs that tests start
# in one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark the tests of the modules in `THOROUGH`."""
    places = [ROOT / place for place in THOROUGH]
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random model."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny(tiny_folder: Path) -> mlxvid.Pipeline:
    """The tiny model's pipeline."""
    return mlxvid.load(str(tiny_folder))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for kept latents."""
    monkeypatch.setenv("MLXVID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def own_log_level() -> Iterator[None]:
    """What a test makes the log tell, as the app does, ends with it."""
    log = logging.getLogger("mlxvid")
    level = log.level
    yield
    log.setLevel(level)
