"""Work that goes on in smaller pieces where macOS stopped the GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import mlx.core as mx

from mlxvid.layers import bounds
from mlxvid.metal_errors import metal_error

log = logging.getLogger("mlxvid")

Result = TypeVar("Result")


def in_smaller_pieces(work: Callable[[], Result]) -> Result:
    """What `work` returns.

    Where the GPU fails in a way that smaller pieces may mend, the work is done again with half of
    the bound for an evaluation, and then with a quarter; each time a line is logged. `work` begins
    where it can: at the last good step, or anew. Pieces don't change what is computed, but for the
    last bit of a sum here and there, and for the blending of tiles.
    """
    while True:
        try:
            return work()
        except RuntimeError as error:
            kind = metal_error(str(error))
            if kind is None or not kind.transient or not bounds.halve():
                raise
            log.warning("%s; the run goes on by itself, in smaller pieces.", kind.happened)
            mx.clear_cache()
