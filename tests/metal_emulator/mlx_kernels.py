"""MLX's own kernels, read from the installed MLX and rewritten for the emulator.

None of their text is kept in this repository.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

import mlx.core as mx

from . import build
from .translate import to_cpp

PREFIX = Path("mlx/backend/metal/kernels")
INSTALLED = Path(mx.__file__).parent / "include" / PREFIX
# rms_norm, layer_norm and rope are .metal files, which no wheel carries: point this at that folder
# of an MLX checkout to run them too.
CHECKOUT = os.environ.get("MLXVID_MLX_KERNELS")


@cache
def include_folder(source: Path = INSTALLED) -> Path:
    """An include folder of MLX's kernel headers, rewritten for g++."""
    rewritten = {}
    for path in [*sorted(source.rglob("*.h")), *sorted(source.rglob("*.metal"))]:
        rewritten[path.relative_to(source)] = to_cpp(path.read_text())
    key = hashlib.sha256(repr(sorted(rewritten.items())).encode()).hexdigest()[:16]
    folder = build.cache_folder() / f"mlx-{key}"
    for path, text in rewritten.items():
        target = folder / PREFIX / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.{os.getpid()}")
            partial.write_text(text)
            partial.replace(target)
    return folder
