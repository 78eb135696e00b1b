"""What becomes of jobs, written down as soon as the library can be written."""

from __future__ import annotations

from collections.abc import Callable


class Records:
    """Keeps what could not be written. owed: that, by the ids of its jobs."""

    def __init__(self) -> None:
        self.owed: dict[int, Callable[[], bool]] = {}

    def write(self, number: int, write: Callable[[], bool]) -> bool:
        """Write down what became of a job, now or later; whether it could be done now."""
        done = write()
        if not done:
            self.owed[number] = write
        return done

    def write_owed(self) -> bool:
        """Write down what could not be written before; whether nothing is left of it."""
        for number, write in list(self.owed.items()):
            if not write():
                return False
            del self.owed[number]
        return True
