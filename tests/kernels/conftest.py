"""Tests that run kernels need the emulator's compiler; without it they are skipped and say so."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def compiler():
    if shutil.which("g++") is None:
        pytest.skip("g++ isn't installed, and the Metal emulator compiles kernels with it")
