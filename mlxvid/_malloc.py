"""Has the C library keep the memory of large arrays on Linux.

MLX's CPU backend takes the memory of each array from `malloc`. glibc asks the system for that of
large ones and gives it back with each, and what comes back is new pages, each of which the kernel
clears when it is first touched: for what only reads and writes memory that takes more time than
the work itself. Here what is free stays with the process, up to a bound.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of mallopt (glibc's malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# Arrays from this size on come from the system one by one, as before: 64 MiB.
LARGEST = 2**26
# What is free at the end of the heap and stays: 256 MiB.
KEPT = 2**28


def keep_memory() -> bool:
    """Keep what is freed; False where that can't be, or the environment sets malloc itself."""
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    # One heap, since arrays are freed by other threads than those that asked for them.
    chosen = [(_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, KEPT), (_ARENA_MAX, 1)]
    return all([library.mallopt(parameter, value) for parameter, value in chosen])
