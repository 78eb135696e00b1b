"""What tests of runs have in common."""

from __future__ import annotations

import pytest

import mlxvid
from mlxvid.run import checkpoint


@pytest.fixture
def every_step_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the checkpoint written after each step, however soon that is."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)


@pytest.fixture(scope="session")
def loaded_mini() -> mlxvid.Pipeline:
    return mlxvid.load("mini")


@pytest.fixture
def mini(loaded_mini: mlxvid.Pipeline) -> mlxvid.Pipeline:
    """The embedded model."""
    return loaded_mini


@pytest.fixture
def rows(mini: mlxvid.Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of conditions of each call of its network."""
    calls: list[int] = []
    predict = mini.model.predict

    def counting(x, *known):
        calls.append(len(x))
        return predict(x, *known)

    monkeypatch.setattr(mini.model, "predict", counting)
    return calls
