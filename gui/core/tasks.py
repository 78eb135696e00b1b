"""Work outside the GUI thread; results come back as signals in the thread that asked."""

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

# Milliseconds to wait for a thread when the app ends: reading a GIF, for one, can't be interrupted.
PATIENCE = 3000


class Task(QObject):
    """One piece of work.

    Every signal carries the task, so that late signals of a cancelled one can be recognised.
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
        """For the work to call often: raises :class:`CancelledError` after :meth:`cancel`."""
        if self.cancelled:
            raise CancelledError("Cancelled.")

    def step(self, value: Any) -> None:
        """For the work to report progress."""
        self._emit(self.stepped, value)

    def run(self) -> None:
        """Do the work in the calling thread; errors of files and of the machine become `failed`."""
        try:
            self.check()
            result = self._work(self)
        except CancelledError:
            pass
        except MlxvidError as error:
            self._emit(self.failed, shown(error))
        except MemoryError:
            self._emit(
                self.failed,
                "There is not enough memory for this clip: close other clips or programs.",
            )
        except (OSError, av.FFmpegError) as error:
            reason = error.strerror or error
            self._emit(self.failed, f"This failed ({reason}): check the file and the disk.")
        else:
            self._emit(self.done, result)
        finally:
            self._emit(self.ended)

    def _emit(self, signal: SignalInstance, *values: Any) -> None:
        with suppress(RuntimeError):  # the application has ended, and with it this object
            signal.emit(self, *values)


class Tasks(QObject):
    """Runs tasks in at most `threads` threads of its own."""

    def __init__(self, threads: int, parent: QObject | None = None):
        super().__init__(parent)
        app = QCoreApplication.instance()
        assert app is not None  # objects with signals come after it
        # The application's child: a pool that is destroyed waits for its threads, which only the
        # application does without Python's lock.
        self._pool = QThreadPool(app)
        self._pool.setMaxThreadCount(threads)
        self._pool.setThreadPriority(QThread.Priority.LowPriority)  # the window comes first
        self._open: set[Task] = set()
        # However the app ends, no thread may be left that emits to what is being destroyed.
        app.aboutToQuit.connect(self.finish)
        atexit.register(_finish, self._pool, self._open)

    def task(self, work: Callable[[Task], Any]) -> Task:
        """A task for `work(task)`, not started yet."""
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
        """Start a task for `work(task)`; the slots are QObjects' methods, run in their threads."""
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
        """Cancel everything, and wait until the threads have ended."""
        _finish(self._pool, self._open)

    def _forget(self, task: Task) -> None:
        self._open.discard(task)


def _finish(pool: QThreadPool, tasks: set[Task]) -> None:
    for task in tasks:
        task.cancel()
    pool.waitForDone(PATIENCE)
