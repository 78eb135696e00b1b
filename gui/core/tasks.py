"""Work away from the GUI thread: decoding, saving, looking at files. Results come back as signals
in the thread that asked.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import av
from PySide6.QtCore import QCoreApplication, QObject, QThread, QThreadPool, Signal, SignalInstance

from mlxvid.errors import CancelledError, MlxvidError

from .messages import shown

# The most ms to wait for a thread when the app ends: what is being read whole, such as a GIF, can't
# be interrupted.
PATIENCE = 3000


class Task(QObject):
    """One piece of work. Every signal carries the task, so that what comes late from one that was
    given up can be told apart.
    """

    stepped = Signal(object, object)  # the task, what the work handed to step()
    done = Signal(object, object)  # the task, what the work returned
    failed = Signal(object, str)  # the task, one sentence for the user
    ended = Signal(object)  # the task, whatever came of it

    def __init__(self, work: Callable[[Task], Any]):
        super().__init__()
        self._work = work
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop; it does at its next check()."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def check(self) -> None:
        """For the work to call often: raises CancelledError if nobody wants its result any more."""
        if self.cancelled:
            raise CancelledError("Cancelled.")

    def step(self, value: Any) -> None:
        """For the work to tell how far it is."""
        self._tell(self.stepped, value)

    def run(self) -> None:
        """Do the work, in the thread that calls; what a file or the machine can get wrong becomes
        `failed`.
        """
        try:
            self.check()
            result = self._work(self)
        except CancelledError:
            pass
        except MlxvidError as error:
            self._tell(self.failed, shown(error))
        except MemoryError:
            self._tell(
                self.failed,
                "There is not enough memory for this clip: close other clips or programs.",
            )
        except (OSError, av.FFmpegError) as error:
            self._tell(
                self.failed,
                f"This can't be done ({error.strerror or error}): look after the file and the disk.",
            )
        else:
            self._tell(self.done, result)
        finally:
            self._tell(self.ended)

    def _tell(self, signal: SignalInstance, *values: Any) -> None:
        with suppress(RuntimeError):  # the application has ended meanwhile, and with it this object
            signal.emit(self, *values)


class Tasks(QObject):
    """Runs tasks in at most `threads` threads of its own, so that a long task elsewhere doesn't
    keep these waiting.
    """

    def __init__(self, threads: int, parent: QObject | None = None):
        super().__init__(parent)
        app = QCoreApplication.instance()
        # The application's child: a pool that is destroyed waits for its threads, which only the
        # application does without Python's lock.
        self._pool = QThreadPool(app)
        self._pool.setMaxThreadCount(threads)
        self._pool.setThreadPriority(QThread.Priority.LowPriority)  # the window comes first
        self._open: set[Task] = set()
        # Whatever way the app ends, no thread may be left that tells things to what is being
        # destroyed.
        app.aboutToQuit.connect(self.finish)
        atexit.register(_finish, self._pool, self._open)

    def task(self, work: Callable[[Task], Any]) -> Task:
        """`work(task)`, for start(). The slots that its signals are connected to are called in
        their objects' threads.
        """
        return Task(work)

    def start(self, task: Task) -> None:
        """Begin a task, as soon as a thread is free."""
        self._open.add(task)
        task.ended.connect(self._forget)
        self._pool.start(task.run)

    def run(
        self,
        work: Callable[[Task], Any],
        *,
        stepped: Callable[[Task, Any], None] | None = None,
        done: Callable[[Task, Any], None] | None = None,
        failed: Callable[[Task, str], None] | None = None,
        ended: Callable[[Task], None] | None = None,
    ) -> Task:
        """A task for `work(task)`, connected and begun. The slots are methods of QObjects, and
        called in their threads.
        """
        task = self.task(work)
        for signal, slot in (
            (task.stepped, stepped),
            (task.done, done),
            (task.failed, failed),
            (task.ended, ended),
        ):
            if slot is not None:
                signal.connect(slot)
        self.start(task)
        return task

    def stop(self) -> None:
        """Cancel everything, and wait for nothing."""
        for task in self._open:
            task.cancel()

    def finish(self) -> None:
        """Cancel everything, and wait until the threads have noticed."""
        _finish(self._pool, self._open)

    def _forget(self, task: Task) -> None:
        self._open.discard(task)


def _finish(pool: QThreadPool, tasks: set[Task]) -> None:
    for task in tasks:
        task.cancel()
    pool.waitForDone(PATIENCE)
