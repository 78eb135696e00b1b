"""MLX's own kernels, from wherever MLX is installed, made ready for the emulator. None of their
text is kept in this repository.
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
    """A folder of MLX's kernel headers, rewritten for g++, to be given to the compiler as an
    include path.
    """
    texts = {
        path.relative_to(source): path.read_text()
        for kind in ("*.h", "*.metal")
        for path in sorted(source.rglob(kind))
    }
    rewritten = {path: to_cpp(text) for path, text in texts.items()}
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
