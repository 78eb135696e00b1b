"""What must be set before MLX is first used: its environment, BLAS and malloc on Linux."""

from __future__ import annotations

import os

from . import _blas, _malloc

# On GPUs with matrix units (M5) MLX multiplies float32 with ten bits of mantissa unless this is 0
# (MLX's documentation, "Precision"). The VAEs' 3x3 convolutions go through Winograd's products,
# which make of that an error of two per cent. Half precision keeps its fast products either way.
TF32 = "MLX_ENABLE_TF32"


def prepare() -> None:
    """Have float32 products computed in float32; on Linux by a fast BLAS, and memory kept.

    What the user has put in the environment stands. Any number of calls; MLX takes the
    environment's values when it first needs them.
    """
    os.environ.setdefault(TF32, "0")
    _blas.preload()
    _malloc.keep_memory()


def float32_is_exact() -> bool:
    """Whether products of float32 keep all their bits on every GPU."""
    return os.environ.get(TF32) == "0"
