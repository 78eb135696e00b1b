"""Files that a process is at, told from those that a dead one left.

A process holds its file by a lock of the system's (``flock``) on the file itself, which ends with
the process however that ends. Threads hold files from each other too.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

_OPEN = os.O_RDWR | os.O_CLOEXEC
_CREATE = _OPEN | os.O_CREAT | os.O_EXCL


class Hold:
    """A file or folder that is in use until this is released or dropped, or the process ends."""

    def __init__(self, descriptor: int):
        self._close = weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        """Others may take it."""
        self._close()


def create(path: Path, folder: bool = False) -> Hold:
    """A new, empty file or folder that is held from its first moment.

    Raises OSError where there is one or none can be made.
    """
    while True:
        if folder:
            path.mkdir()
            descriptor = _opened(path)
        else:
            descriptor = os.open(path, _CREATE, 0o666)
        hold = Hold(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            return hold
        if _is_at(path, descriptor):
            return hold
        # Between the two lines somebody took it for a dead process's, and removed it.


def take(path: Path, unsure: bool = True) -> Hold | None:
    """A hold on a file or folder that nobody is at; None where somebody is, or where it is gone.

    unsure: whether it is taken on a file system without locks, where nobody can know.
    """
    try:
        descriptor = _opened(path)
    except OSError:
        return None
    hold = Hold(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        hold.release()
        return None
    except OSError:
        return hold if unsure else None
    return hold if _is_at(path, descriptor) else None  # None: replaced or removed meanwhile


def wait_for(folder: Path) -> Hold:
    """A hold on a folder, waited for; for the moment in which its files are exchanged."""
    descriptor = _opened(folder)
    hold = Hold(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass
    return hold


def is_free(path: Path) -> bool:
    """Whether nobody is at the file that is at `path`."""
    hold = take(path)
    if hold is None:
        return False
    hold.release()
    return True


def _opened(path: Path) -> int:
    if path.is_dir():
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.open(path, _OPEN)  # networked file systems lock only what may be written
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
