"""Several machines that share a run, each a process that ``mlx.launch`` has started.

They talk through ``mlx.core.distributed`` alone. A process that was started in any other way is
alone, and nothing here is called in its steps. Machines are numbered from 1 in messages, and by
their rank, from 0, here.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import MachinesError

if TYPE_CHECKING:
    import mlx.core as mx

WAYS = ("takes", "guidance", "layers")
"""How a run is shared: whole clips, the passes of guidance, or each of the network's layers."""

# Seconds in which another machine answers: a pass of the largest clips takes an hour, and machines
# differ. One that is gone is told of at once by its connection.
PATIENCE = 4 * 3600.0
# And in which a connection tells that it is gone.
MOMENT = 1.0


def started() -> bool:
    """Whether ``mlx.launch`` has started this process as one of several."""
    if "MLX_RANK" not in os.environ:
        return False
    hosts = os.environ.get("MLX_HOSTFILE")
    if hosts is not None:  # of one machine alone it is blank
        return not Path(hosts).is_file() or bool(Path(hosts).read_text(encoding="utf-8").strip())
    return "MLX_JACCL_COORDINATOR" in os.environ or os.environ.get("MLX_WORLD_SIZE", "1") != "1"


def is_first() -> bool:
    """Whether this is the machine that shows progress and writes files: the only or first one."""
    return not started() or os.environ["MLX_RANK"] == "0"


def number() -> int:
    """This machine's, from 1."""
    return int(os.environ.get("MLX_RANK", 0)) + 1


@cache
def here() -> Machines:
    """This machine among the others. Waits until all of them are there; only where
    :func:`started`.

    Raises :class:`MachinesError` where they can't be reached.
    """
    import mlx.core as mx

    try:
        with _ended_by_signals():
            return Machines(mx.distributed.init(strict=True))
    except RuntimeError as error:
        raise MachinesError(
            f"Machine {number()} can't reach the others ({error}): see that they are on, and that "
            "the addresses in the host file are theirs."
        ) from error


def joined() -> bool:
    """Whether this machine has met the others."""
    return here.cache_info().currsize > 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have signals end the process at once: MLX lets Python hear of none while it waits for the
    others, and nothing is begun yet.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(one)
            if handler not in (signal.SIG_IGN, None):
                before[one] = handler
                signal.signal(one, signal.SIG_DFL)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Shared:
    way: str | None = None


def share(way: str | None) -> None:
    """Share the runs of this process with the other machines, in one of :data:`WAYS`, from now on;
    None: in none. All machines are to call it alike.

    Raises :class:`MachinesError` where there are no others.
    """
    if way is not None and not started():
        raise MachinesError("There are no other machines: start the program with mlx.launch.")
    _Shared.way = way


def sharing(*ways: str) -> Machines | None:
    """The machines, where runs are shared in one of these ways."""
    return here() if _Shared.way in ways else None


def lost_one() -> MachinesError | None:
    """An error about another machine that is gone, if one is. To be asked at a process's end, when
    nothing else is to be exchanged any more.
    """
    return here().lost_within(MOMENT) if joined() else None


def is_waiting() -> bool:
    """Whether something is asked of the other machines that they haven't answered."""
    return joined() and here().is_waiting


def lost_by(error: Exception) -> MachinesError | None:
    """An error about a lost machine, in place of what it led to; None for any other error."""
    if isinstance(error, MachinesError):
        return error if error.reason is not None else None
    is_lost = any(backend in str(error) for backend in ("[ring]", "[jaccl]"))
    return here().lost() if is_lost and joined() else None


class Machines:
    """The machines of a run, seen from one of them.

    What they exchange they ask for in the same order. rank: of this one; size: how many there are.
    """

    def __init__(self, group: Any):
        self.group = group
        self.rank: int = group.rank()
        self.size: int = group.size()
        self._asked: queue.Queue[mx.array] = queue.Queue()
        self._answers: queue.Queue[mx.array | RuntimeError] = queue.Queue()
        self._idle = threading.Event()
        self._idle.set()
        # Of its own, so that Ctrl-C and the end of patience are heard while others are waited for.
        threading.Thread(target=self._serve, daemon=True).start()
        # Python aborts where a thread returns from MLX while the process is ending.
        atexit.register(self._idle.wait, MOMENT)

    @property
    def name(self) -> str:
        """What messages call this one."""
        return self.name_of(self.rank)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that shows progress and writes files."""
        return self.rank == 0

    @property
    def is_waiting(self) -> bool:
        """Whether the others haven't answered what this one asked them."""
        return not self._idle.is_set()

    def name_of(self, rank: int) -> str:
        """What messages call a machine, at their beginning."""
        return f"Machine {rank + 1} of {self.size}"

    def gathered(self, x: mx.array, patience: float | None = PATIENCE) -> mx.array:
        """The arrays of all machines, which have the same shape and type: [size, *shape].

        patience: seconds to wait for the others; None: as long as it takes. Raises
        :class:`MachinesError` where one of them is lost.
        """
        import mlx.core as mx

        row = x[None]
        mx.eval(row)  # by the thread that made it
        self._ask(row)
        try:
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            raise self.lost("has not answered for hours") from None
        if isinstance(answer, RuntimeError):
            raise self.lost() from answer
        return answer

    def from_first(self, x: mx.array) -> mx.array:
        """The first machine's array."""
        return self.gathered(x)[0]

    def every(self, flag: bool) -> bool:
        """Whether it is true on every machine."""
        import mlx.core as mx

        return bool(self.gathered(mx.array(flag)).all())

    def told(self, value: Any, patience: float | None = PATIENCE) -> list[Any]:
        """The JSON-able values of all machines."""
        import mlx.core as mx

        text = np.frombuffer(json.dumps(value).encode(), np.uint8)
        lengths = np.array(self.gathered(mx.array(len(text)), patience)).tolist()
        padded = np.zeros(max(lengths), np.uint8)
        padded[: len(text)] = text
        rows = np.array(self.gathered(mx.array(padded)))
        return [
            json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)
        ]

    def lost_within(self, seconds: float) -> MachinesError | None:
        """Whether another machine is found to be gone in that time. Nothing can be exchanged
        afterwards.
        """
        import mlx.core as mx

        row = mx.array([0])
        mx.eval(row)
        if self._idle.is_set():
            self._ask(row)
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        return self.lost() if isinstance(answer, RuntimeError) else None

    def lost(self, how: str = "was lost") -> MachinesError:
        """An error that names the machine that is gone, as far as that is known; its `reason` has
        no more than that.
        """
        name = self.name_of(1 - self.rank) if self.size == 2 else "Another machine"
        error = MachinesError(
            f"{name} {how}: start the command again, with all machines or on this one alone."
        )
        error.reason = f"{name} {how}"
        return error

    def _ask(self, row: mx.array) -> None:
        self._idle.clear()
        self._asked.put(row)

    def _serve(self) -> None:
        """Gather what is asked for, one after the other, and answer."""
        import mlx.core as mx

        while True:
            x = self._asked.get()
            try:
                answer = mx.distributed.all_gather(x, group=self.group)
                mx.eval(answer)
                self._answers.put(answer)
            except RuntimeError as error:
                self._answers.put(error)
            self._idle.set()
