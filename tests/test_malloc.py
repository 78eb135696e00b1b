"""What MLX frees on Linux stays with the process, up to a bound; the environment's own settings
stand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[1] / "mlxvid" / "_malloc.py"
LOAD = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("malloc", {str(FILE)!r})
malloc = importlib.util.module_from_spec(spec)
spec.loader.exec_module(malloc)
"""
# Pages that the kernel gives for ten arrays of 16 MB, one after another, after the first two.
FAULTS = """
import resource
import mlx.core as mx
mx.set_default_device(mx.cpu)
x = mx.ones((2**22,))
for _ in range(2):
    mx.eval(x + 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    mx.eval(x + 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 10 * 2**24 // 4096

linux = pytest.mark.skipif(sys.platform != "linux", reason="about glibc")


def run(code: str, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    result = subprocess.run(
        [sys.executable, "-c", LOAD + code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@linux
def test_arrays_get_the_memory_of_those_before():
    kept, faults = run("print(malloc.keep_memory())" + FAULTS)
    assert kept == "True"
    assert int(faults) < PAGES / 20


@linux
def test_the_environment_stands():
    assert run("print(malloc.keep_memory())", MALLOC_ARENA_MAX="2") == ["False"]


@pytest.mark.skipif(sys.platform == "linux", reason="about other systems")
def test_elsewhere_nothing_is_done():
    assert run("print(malloc.keep_memory())") == ["False"]
