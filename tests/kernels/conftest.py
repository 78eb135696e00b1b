"""Tests that run kernels need the emulator's compiler; without it they are skipped and say so."""

from __future__ import annotations

import pytest

from ..metal_emulator.build import COMPILER


@pytest.fixture
def compiler():
    if COMPILER is None:
        pytest.skip("the Metal emulator compiles kernels with g++ on Linux, and it isn't here")
