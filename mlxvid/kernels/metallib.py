"""MLX's own Metal kernels, by the names in its compiled library.

MLX falls back without a word where a kernel is missing, and its fallback for attention holds all
scores. The names say what an installed MLX has, and on Linux what a wheel for macOS has.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

# Names as the library's function table has them: each ends in a zero byte.
_NAME = re.compile(rb"(?<![A-Za-z0-9_])[a-z][A-Za-z0-9_]{7,160}(?=\x00)")
# MLX's tiled attention (mlx/backend/metal/kernels/steel/attn): "bd" is the size of a head.
_ATTENTION = re.compile(r"steel_attention_(float32|float16|bfloat16)_.*_bd(\d+)_")
# The kernels for the matrix units of an M5, which only wheels for macOS 26 have.
_MATRIX_UNITS = "_nax"


def installed_metallib() -> Path | None:
    """The compiled kernels of the installed MLX; None where it has none, as on Linux."""
    spec = importlib.util.find_spec("mlx")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        path = Path(folder) / "lib" / "mlx.metallib"
        if path.is_file():
            return path
    return None


def kernel_names(metallib: bytes) -> frozenset[str]:
    """The names of the kernels in a compiled library, which may be 200 MB."""
    return frozenset(name.decode("ascii") for name in _NAME.findall(metallib))


def fused_head_sizes(names: frozenset[str]) -> dict[str, frozenset[int]]:
    """The sizes of heads for which attention over many queries is one kernel, by type."""
    sizes: dict[str, set[int]] = {}
    for found in filter(None, map(_ATTENTION.match, names)):
        dtype, size = found.groups()
        sizes.setdefault(dtype, set()).add(int(size))
    return {dtype: frozenset(found) for dtype, found in sizes.items()}


def has_matrix_units(names: frozenset[str]) -> bool:
    """Whether there are kernels for the matrix units of an M5."""
    return any(_MATRIX_UNITS in name for name in names)
