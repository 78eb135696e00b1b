"""A source with a component to break, and what every refusal has in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid.convert import convert
from mlxvid.errors import MlxvidError, WeightsError

from .contents import assert_states

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def source(tiny_folder, tmp_path) -> Path:
    """A model whose VAE has lost its weights."""
    folder = tmp_path / "source"
    shutil.copytree(tiny_folder, folder)
    (folder / "vae" / WEIGHTS).unlink()
    return folder


@pytest.fixture
def valid_weights(tiny_folder) -> dict[str, mx.array]:
    """The VAE's own weights."""
    return dict(mx.load(str(tiny_folder / "vae" / WEIGHTS)))


@pytest.fixture
def refused(source, tmp_path, caplog) -> Callable[..., None]:
    """Asserts that converting `source` raises a sentence with all `facts`, and writes nothing.

    VAE stands for the VAE's folder in them, SOURCE for the model's.
    """
    caplog.set_level("INFO", "mlxvid")

    def check(
        *facts: str, error: type[MlxvidError] = WeightsError, dtype: str = "bfloat16"
    ) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(error) as caught:
            convert(source, tmp_path / "out", dtype)
        message = str(caught.value).replace(str(source / "vae"), "VAE")
        assert_states(message.replace(str(source), "SOURCE"), *facts)
        assert all(note.startswith(("Recognised: ", "Kept in float32")) for note in caplog.messages)
        assert sorted(tmp_path.rglob("*")) == before

    return check
