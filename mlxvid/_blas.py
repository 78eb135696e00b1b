"""Lets MLX's CPU backend on Linux multiply matrices with OpenBLAS.

`mlx-cpu` from PyPI is linked with the unoptimised reference BLAS. SciPy's wheels bring along an
OpenBLAS that chooses its kernels by the processor it runs on. With it float32 matrix products, and
the convolutions that MLX turns into them, run 10 to 30 times faster. macOS has Metal and
Accelerate: nothing is done there.

Its functions are named `scipy_cblas_sgemm` and so on, where `libmlx.so` asks for `cblas_sgemm`, so
loading it is not enough. A shared library calls another's function through a slot that the dynamic
linker fills. The linker's table of them (`DT_JMPREL`; System V ABI, chapter 5; the same on x86-64
and arm64) says which slot is `cblas_sgemm`'s, and the address of OpenBLAS's function is written
there. Only MLX's own calls change: PyTorch and others in the same process keep the BLAS that they
came with.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SWITCH = "MLXVID_OPENBLAS"
PREFIX = "scipy_"
# All the BLAS functions that MLX calls; its LAPACK calls (linear algebra that no model here uses)
# stay as they are.
FUNCTIONS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")

# What says and sets how many threads a product takes.
THREADS = ("openblas_get_num_threads", "openblas_set_num_threads")

_RTLD_DI_LINKMAP = 2
_DT_NULL, _DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_JMPREL = 0, 2, 5, 6, 23
_RELOCATION_BYTES, _SYMBOL_BYTES = 24, 24


# A thread of OpenBLAS that has nothing to do waits so long for more, 2 to this power of cycles,
# before it leaves its core to others: a tenth of a millisecond rather than 20.
_PATIENCE = "18"
_openblas: ctypes.CDLL | None = None
_threads = 1


class _LinkMap(ctypes.Structure):
    """The public beginning of glibc's `struct link_map`: where a library was loaded, and its
    dynamic section.
    """

    _fields_ = [
        ("address", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
        ("dynamic", ctypes.c_uint64),
    ]


def preload() -> bool:
    """Point MLX's matrix products at OpenBLAS; any number of calls, before or after the first
    `import mlx.core`.

    Returns True if MLX now uses OpenBLAS, False where that can't be: another system than Linux on
    x86-64 or arm64 with glibc, `MLXVID_OPENBLAS=0` in the environment, SciPy's OpenBLAS or a
    `libmlx.so` that asks for those functions not found. MLX then works as it would have, only
    slower.
    """
    if sys.platform != "linux" or os.environ.get(SWITCH) == "0":
        return False
    if platform.machine() not in ("x86_64", "aarch64") or not hasattr(
        ctypes.CDLL(None), "gnu_get_libc_version"
    ):
        return False
    # The hash in the name changes with the release. libscipy_openblas64_-*.so, NumPy's, takes
    # 64-bit sizes where MLX passes 32-bit ones.
    openblas_path = _library("scipy", "../scipy.libs/libscipy_openblas-*.so")
    mlx_path = _library("mlx", "lib/libmlx.so")
    if openblas_path is None or mlx_path is None:
        return False
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _PATIENCE)
    try:
        openblas = ctypes.CDLL(str(openblas_path))
        mlx = ctypes.CDLL(str(mlx_path))
    except OSError:
        return False
    slots = {name: slot for name, slot in _call_slots(mlx) if name in FUNCTIONS}
    # A library linked with -z now has its slots made read-only once they are filled: writing there
    # would end the process.
    if set(slots) != set(FUNCTIONS) or not all(map(_writable, slots.values())):
        return False
    if not all(hasattr(openblas, PREFIX + name) for name in (*FUNCTIONS, *THREADS)):
        return False
    for name, slot in slots.items():
        function = ctypes.cast(getattr(openblas, PREFIX + name), ctypes.c_void_p).value
        ctypes.c_void_p.from_address(slot).value = function
    global _openblas, _threads
    if _openblas is None:
        _openblas = openblas
        _threads = openblas.scipy_openblas_get_num_threads()
    return True


def threads() -> int:
    """How many threads OpenBLAS takes for a product outside of :func:`one_thread`; 1 where MLX
    doesn't use it.
    """
    return _threads


@contextmanager
def one_thread() -> Iterator[None]:
    """Have OpenBLAS take one thread for each product, for callers that have many at once."""
    _take(1)
    try:
        yield
    finally:
        _take(_threads)


def _take(count: int) -> None:
    if _openblas is not None:
        _openblas.scipy_openblas_set_num_threads(count)


def _library(package: str, pattern: str) -> Path | None:
    """The first file that `pattern`, relative to an installed package's folder, fits; the package
    is found without being imported.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return next(
        (
            Path(found)
            for folder in folders or ()
            for found in sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
        ),
        None,
    )


def _call_slots(library: ctypes.CDLL) -> Iterator[tuple[str, int]]:
    """(name, address of the slot) of each function that a loaded library calls in another one."""
    found = ctypes.POINTER(_LinkMap)()
    if (
        ctypes.CDLL(None).dlinfo(
            ctypes.c_void_p(library._handle), _RTLD_DI_LINKMAP, ctypes.byref(found)
        )
        != 0
    ):
        return
    base, entry = found.contents.address, found.contents.dynamic
    tags: dict[int, int] = {}
    while (tag := _word(entry)) != _DT_NULL:
        tags[tag] = _word(entry + 8)
        entry += 16
    if not {_DT_PLTRELSZ, _DT_STRTAB, _DT_SYMTAB, _DT_JMPREL} <= tags.keys():
        return
    # glibc has added the load address to the addresses in this section already.
    strings, symbols, relocations = tags[_DT_STRTAB], tags[_DT_SYMTAB], tags[_DT_JMPREL]
    if min(strings, symbols, relocations) < base:
        return
    for relocation in range(relocations, relocations + tags[_DT_PLTRELSZ], _RELOCATION_BYTES):
        symbol = symbols + (_word(relocation + 8) >> 32) * _SYMBOL_BYTES
        name = ctypes.string_at(strings + ctypes.c_uint32.from_address(symbol).value)
        yield name.decode("ascii", "replace"), base + _word(relocation)


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _writable(address: int) -> bool:
    """Whether this process may write at `address`, by the kernel's own list."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, permissions = line.split()[:2]
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        if start <= address < end:
            return "w" in permissions
    return False
