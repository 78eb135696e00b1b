"""One run at a time in a process, from whatever thread it is asked for.

Two runs at once would need the memory of two, and two threads that evaluate the same lazy array end
the process.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar, cast

from mlxvid.errors import CancelledError
from mlxvid.layers import bounds
from mlxvid.progress import STOPPED, Cancel

# Seconds after which a run that waits for another asks again whether it is still wanted.
PATIENCE = 0.05
MOMENT = 0.1

P = ParamSpec("P")
Result = TypeVar("Result")

_turn = threading.RLock()


@contextmanager
def turn(cancel: Cancel | None = None) -> Iterator[None]:
    """Wait until no other thread is at a run; what is in the block is then the only one.

    Within a turn the same thread may take another. Raises :class:`CancelledError` as soon as
    `cancel` is set while it waits.
    """
    while not _turn.acquire(timeout=PATIENCE):
        if cancel is not None and cancel.is_set():
            raise CancelledError(STOPPED)
    try:
        note_thread()
        with bounds.of_one_run():
            yield
    finally:
        _turn.release()


def one_at_a_time(method: Callable[P, Result]) -> Callable[P, Result]:
    """A method that takes its turn; a keyword `cancel` ends its waiting."""

    @functools.wraps(method)
    def in_turn(*args: P.args, **kwargs: P.kwargs) -> Result:
        with turn(cast("Cancel | None", kwargs.get("cancel"))):
            return method(*args, **kwargs)

    return in_turn


def note_thread() -> None:
    """To be called by every thread that uses MLX: the process then ends in an orderly way."""
    if threading.current_thread() is not threading.main_thread():
        _end_late()


@functools.cache
def _end_late() -> None:
    """Have the process wait a moment at its end, once all threads are through.

    Python counts a thread as ended while MLX is still clearing up its stream, and MLX aborts a
    process that ends in that moment.
    """
    atexit.register(time.sleep, MOMENT)
