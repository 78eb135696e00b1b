"""The emulator needs a compiler: without g++ its tests are skipped."""

from __future__ import annotations

import pytest

from . import build


@pytest.fixture(autouse=True)
def compiler(request):
    if build.COMPILER is None and request.module.__name__.rsplit(".", 1)[-1] != "test_signature":
        pytest.skip(
            "the Metal emulator compiles kernels with g++ 11 or newer on Linux, and it isn't here"
        )
