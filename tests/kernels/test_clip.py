"""A clip of the factored model with the emulated kernel equals the plain path's."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from tests.metal_emulator import emulated
from tests.models.factored.tiny import write_model


@pytest.fixture
def uncompiled():
    """Emulated kernels run when they are called, which mx.compile's tracing doesn't allow."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.usefixtures("compiler", "uncompiled")
def test_clip_with_emulated_kernels_equals_the_plain_path_s(tmp_path):
    pipe = mlxvid.load(str(write_model(tmp_path / "model")))
    plain = pipe.generate("a red ball", seed=3).frames.astype(np.int16)
    with emulated() as log:
        kernel = pipe.generate("a red ball", seed=3).frames.astype(np.int16)
    assert {name for name, *_ in log.log} == {
        "mlxvid_temporal_attention",
        "mlxvid_modulation",
        "mlxvid_added_modulation",
    }
    assert np.abs(plain - kernel).max() <= 1
