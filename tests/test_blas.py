"""MLX's matrix products run on OpenBLAS where they can, and give the same numbers; where they
can't, nothing else changes.

Each case is a process of its own: a library once loaded stays.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The module is loaded from its file, without the package, which would call preload() itself.
LOAD = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("blas", {str(ROOT / "mlxvid" / "_blas.py")!r})
blas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(blas)
"""
CHECK_PRODUCTS = """
import mlx.core as mx
import numpy as np
rng = np.random.default_rng(0)
worst = 0.0
for batch, m, k, n in [(1, 1, 1, 1), (1, 257, 129, 65), (3, 33, 131, 7), (1, 5, 1, 9)]:
    a, b = (rng.standard_normal(shape, np.float32) for shape in [(batch, m, k), (batch, k, n)])
    wanted = a.astype(np.float64) @ b
    transposed = mx.array(np.ascontiguousarray(b.swapaxes(1, 2))).swapaxes(1, 2)
    for second in (mx.array(b), transposed):
        product = mx.matmul(mx.array(a), second, stream=mx.cpu)
        worst = max(worst, np.abs(np.array(product) - wanted).max())
print("worst", worst)
"""
# Whether the slot through which libmlx calls cblas_sgemm holds an address inside SciPy's OpenBLAS,
# by the kernel's list of what is mapped.
CALLS_OPENBLAS = """
import ctypes
mlx = ctypes.CDLL(str(blas._library("mlx", "lib/libmlx.so")))
address = blas._word(dict(blas._call_slots(mlx))["cblas_sgemm"])
owner = ""
for line in open("/proc/self/maps"):
    start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
    if start <= address < end:
        owner = line.split()[-1]
print("owner", owner)
"""

linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="only MLX's Linux wheels lack a fast BLAS",
)


def run(code: str, **environment: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", LOAD + code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MLXVID_OPENBLAS": "1", **environment},
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


def value(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name)).removeprefix(name).strip()


@linux
@pytest.mark.parametrize(
    "before",
    ["", "import mlx.core as mx; mx.eval(mx.ones((8, 8)) @ mx.ones((8, 8)))\n"],
    ids=["first", "after mlx"],
)
def test_products_run_on_openblas_and_are_right(before):
    lines = run(
        before
        + "print('preload', blas.preload(), blas.preload())"
        + CHECK_PRODUCTS
        + CALLS_OPENBLAS
    )
    assert value(lines, "preload") == "True True"
    assert "libscipy_openblas" in value(lines, "owner")
    assert float(value(lines, "worst")) < 1e-4


@linux
def test_the_switch_leaves_mlx_as_it_was():
    lines = run(
        "print('preload', blas.preload())" + CHECK_PRODUCTS + CALLS_OPENBLAS, MLXVID_OPENBLAS="0"
    )
    assert value(lines, "preload") == "False"
    assert "openblas" not in value(lines, "owner")
    assert float(value(lines, "worst")) < 1e-4


@linux
def test_only_mlx_is_redirected():
    lines = run(
        "import ctypes; blas.preload(); "
        "print('global', hasattr(ctypes.CDLL(None), 'scipy_cblas_sgemm'))"
    )
    assert value(lines, "global") == "False"


@linux
def test_other_packages_are_not_imported_by_it():
    lines = run(
        "import sys; blas.preload(); "
        "print('imported', [n for n in ('scipy', 'numpy', 'mlx.core') if n in sys.modules])"
    )
    assert value(lines, "imported") == "[]"


@linux
@pytest.mark.parametrize("case", ["missing", "not a library", "without the functions"])
def test_an_openblas_that_does_not_serve_is_passed_over(tmp_path, case):
    """A scipy package found first, whose wheel brought something else along."""
    (tmp_path / "scipy").mkdir()
    (tmp_path / "scipy" / "__init__.py").touch()
    (tmp_path / "scipy.libs").mkdir()
    library = tmp_path / "scipy.libs" / "libscipy_openblas-12345678.so"
    if case == "not a library":
        library.write_bytes(b"\x7fELF, but no more")
    elif case == "without the functions":
        library.symlink_to(run("print(blas._library('mlx', 'lib/libmlx.so'))")[0])
    lines = run("print('preload', blas.preload())" + CHECK_PRODUCTS, PYTHONPATH=str(tmp_path))
    assert value(lines, "preload") == "False"
    assert float(value(lines, "worst")) < 1e-4


@linux
def test_read_only_slots_are_left_alone():
    """A libmlx linked with -z now would have them: made so here by the same system call."""
    lines = run(
        """
import ctypes, mmap
mlx = ctypes.CDLL(str(blas._library("mlx", "lib/libmlx.so")))
slots = dict(blas._call_slots(mlx))
for slot in sorted(slots[name] for name in blas.FUNCTIONS):
    page = slot & -mmap.PAGESIZE
    size = ctypes.c_size_t(mmap.PAGESIZE)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), size, mmap.PROT_READ) == 0
before = [blas._word(slots[name]) for name in blas.FUNCTIONS]
print("preload", blas.preload())
print("same", before == [blas._word(slots[name]) for name in blas.FUNCTIONS])
import os, sys
sys.stdout.flush()
os._exit(0)
"""
    )
    assert value(lines, "preload") == "False"
    assert value(lines, "same") == "True"


@pytest.mark.skipif(sys.platform == "linux", reason="about other systems")
def test_elsewhere_nothing_is_done():
    assert value(run("print('preload', blas.preload())"), "preload") == "False"
