"""Signals while machines share layers: MLX waits for the others within an evaluation, where Python
hears of none, and where one of them is gone it may wait for ever.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("mlxvid")

# Seconds in which an evaluation ends that isn't stuck (layers/bounds.py).
GRACE = 10.0
SIGNALLED = 128


@contextmanager
def ended_by_signals(message: str) -> Iterator[None]:
    """Have a signal that isn't answered within :data:`GRACE` end the process, after a line with the
    message. In the main thread, which alone hears of signals; in others nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    answered = threading.Event()

    def watch() -> None:
        number = os.read(reading, 1)  # nothing where the pipe is closed
        if number and not answered.wait(GRACE):
            log.error(message)
            os._exit(SIGNALLED + number[0])
        os.close(reading)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        answered.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
