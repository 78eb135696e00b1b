"""Kernels run in the emulator, which needs a compiler; without it their tests are skipped."""

from __future__ import annotations

import pytest

from tests.metal_emulator.build import COMPILER


@pytest.fixture
def compiler():
    if COMPILER is None:
        pytest.skip(
            "the Metal emulator compiles kernels with g++ 11 or newer on Linux, and it isn't here"
        )
