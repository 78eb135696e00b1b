"""What many tests share: a tiny model folder, a cache that is not the user's, the quick tier."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import ROOT
from tests.models.tiny import write_model

# Modules and folders that `scripts/test --quick` leaves out: those that take more than about two
# seconds and are not about what is changed most often. `scripts/test --durations=30` finds more.
THOROUGH = (
    "tests/convert/test_convert.py",
    "tests/convert/layouts",
    "tests/gui/test_build_app.py",
    "tests/gui/test_flow.py",
    "tests/gui/test_gallery.py",
    "tests/gui/test_models.py",
    "tests/gui/test_window.py",
    "tests/hub/test_hub.py",
    "tests/kernels/test_mutants.py",
    "tests/kernels/test_temporal_attention.py",
    "tests/layers/test_autoencoder_kl.py",
    "tests/media/test_clip.py",
    "tests/metal_emulator/test_faults.py",
    "tests/models/latte/test_pipeline.py",
    "tests/models/opensora/test_options.py",
    "tests/models/opensora/test_pipeline.py",
    "tests/models/opensora/test_vae.py",
    "tests/models/wan/test_pipeline.py",
    "tests/models/wan/test_transformer.py",
    "tests/models/wan/test_vae.py",
    "tests/models/wan/test_vae_parity.py",
    "tests/models/wan/test_wan.py",
    "tests/run/test_attention_costs.py",
    "tests/run/test_checkpoint.py",
    "tests/schedulers/test_parity.py",
    "tests/worker",
    "tests/weights/test_load.py",
)

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
