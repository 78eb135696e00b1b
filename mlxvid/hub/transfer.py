"""Bytes from a server to this disk: several files at once, resumed, and stopped within a second.

huggingface_hub throws a broken transfer's bytes away, and a model's files have gigabytes each; so
this fetches them into the places that its cache has for them, and leaves everything else to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlxvid.errors import CancelledError, WeightsError

if TYPE_CHECKING:
    from mlxvid.progress import Watch

# Files fetched at once: one connection seldom fills a line.
THREADS = 4
# Requests in a row without a new byte after which a transfer is given up.
TRIES = 5
# Seconds between two requests.
PAUSE = 1.0
# Seconds without a byte after which a connection is given up.
TIMEOUT = 10.0
# Seconds between two reports.
POLL = 0.2
# Bytes hashed between two reports.
HASHED_AT_ONCE = 1 << 22
# The ending of a file that is not all here yet.
PART = ".incomplete"


@dataclass(frozen=True)
class Transfer:
    """A file to fetch.

    `url`: where it comes from; `size`: in bytes; `blob`: where it goes, named after its SHA-256 or
    its Git hash (SHA-1).
    """

    url: str
    size: int
    blob: Path

    @property
    def part(self) -> Path:
        """Where its bytes gather until all of them are there."""
        return self.blob.with_name(self.blob.name + PART)

    @property
    def here(self) -> int:
        """How many of its bytes are on the disk."""
        for path in (self.blob, self.part):
            try:
                return min(path.stat().st_size, self.size)
            except OSError:
                continue
        return 0


def fetch_all(transfers: Iterable[Transfer], headers: Mapping[str, str], watch: Watch) -> None:
    """Fetch all of them.

    `watch` sees the stage "download", in MB of all these files, and can stop it: what is here by
    then stays. Raises :class:`CancelledError` from `watch`, :class:`WeightsError` for bytes that
    are not those promised, and what the network or the disk raise.
    """
    transfers = sorted(transfers, key=lambda transfer: transfer.size)
    total = megabytes(sum(transfer.size for transfer in transfers))
    crew = Crew(lambda transfer, stop: fetch(transfer, headers, stop), transfers)
    reported = min(total, _megabytes_here(transfers))
    watch.begin("download", total, reported)
    with crew:
        while not crew.wait(POLL):
            # The last one is reported when everything is checked.
            here = min(total - 1, _megabytes_here(transfers))
            watch.done(count=max(here - reported, 0))
            reported = max(here, reported)
    watch.done(count=total - reported)


def _megabytes_here(transfers: Iterable[Transfer]) -> int:
    return int(sum(transfer.here for transfer in transfers) / 1e6)


def megabytes(size: int) -> int:
    """Bytes in MB, rounded up, and never none: the length of a stage."""
    return max(1, -(-size // 10**6))


class Crew:
    """Threads that work off a list of transfers.

    Leaving the context stops them, and doesn't wait for one that hangs in the network.
    """

    def __init__(
        self, work: Callable[[Transfer, threading.Event], None], transfers: Iterable[Transfer]
    ):
        self._work = work
        self._transfers = iter(list(transfers))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        # Daemons: the interpreter ends without them too.
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._join(POLL)

    def wait(self, seconds: float) -> bool:
        """Whether everything is done, after `seconds` at most; raises what went wrong."""
        self._join(seconds)
        if self._error is not None:
            raise self._error
        return not any(thread.is_alive() for thread in self._threads)

    def _join(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                transfer = next(self._transfers, None)
            if transfer is None:
                return
            try:
                self._work(transfer, self._stop)
            except BaseException as error:  # it is raised again where somebody waits
                self._error = self._error or error
                self._stop.set()


def fetch(transfer: Transfer, headers: Mapping[str, str], stop: threading.Event) -> None:
    """Fetch what is missing of one file, check all of it, and give it its name."""
    if transfer.blob.exists():
        return
    transfer.blob.parent.mkdir(parents=True, exist_ok=True)
    with transfer.part.open("ab") as part:
        _lock(part, stop)
        if transfer.blob.exists():  # another process was quicker
            return
        # The second time for all of it: what was kept of an earlier transfer may be at fault.
        for _ in range(2):
            _receive_all(transfer, part, headers, stop)
            if has_checksum(transfer.part, transfer.blob.name, lambda _: _check_stop(stop)):
                os.replace(transfer.part, transfer.blob)
                return
            part.truncate(0)
    raise WeightsError(f"{transfer.url} arrives damaged; download it later, or by another network.")


def _check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise CancelledError("Stopped.")


def _lock(part: BinaryIO, stop: threading.Event) -> None:
    """Wait until no other process fetches the same file, and keep others from doing so."""
    while True:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            stop.wait(POLL)
            _check_stop(stop)


def _receive_all(
    transfer: Transfer, part: BinaryIO, headers: Mapping[str, str], stop: threading.Event
) -> None:
    """Ask for what is missing until nothing is, or until trying again is of no use."""
    from huggingface_hub.errors import HTTPError

    tries = TRIES
    while (before := _size(part)) != transfer.size:
        try:
            _receive(transfer, part, headers, stop)
        except HTTPError as error:
            tries = TRIES if _size(part) > before else tries - 1
            if not tries or not _is_temporary(error):
                raise
            stop.wait(PAUSE)
            _check_stop(stop)


def _receive(
    transfer: Transfer, part: BinaryIO, headers: Mapping[str, str], stop: threading.Event
) -> None:
    """Make one request for what is missing at the end of the part, and write it as it comes.

    Raises :class:`WeightsError` for another length.
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status

    received = _size(part)
    if received > transfer.size:
        part.truncate(0)
        received = 0
    asked = {"Accept-Encoding": "identity", **headers}
    if received:
        asked["Range"] = f"bytes={received}-"
    with get_session().stream("GET", transfer.url, headers=asked, timeout=TIMEOUT) as response:
        hf_raise_for_status(response)
        if received and response.status_code != 206:  # a server that sends all of it again
            part.truncate(0)
            received = 0
        for data in response.iter_bytes():
            _check_stop(stop)
            part.write(data)
            part.flush()  # what is reported, and what a later run finds, is what is on the disk
            received += len(data)
    if received > transfer.size:
        part.truncate(0)
    if received != transfer.size:
        raise WeightsError(
            f"{transfer.url} has {received} bytes where {transfer.size} were promised; "
            "download it again."
        )


def _size(part: BinaryIO) -> int:
    return os.fstat(part.fileno()).st_size


def _is_temporary(error: Exception) -> bool:
    """Whether trying again may help.

    After a broken connection, or a server that is busy or fails; not after a refusal.
    """
    response = getattr(error, "response", None)
    return response is None or response.status_code in (408, 429) or response.status_code >= 500


def has_checksum(path: Path, checksum: str, on_bytes: Callable[[int], None]) -> bool:
    """Whether a file's content has this SHA-256, or this SHA-1 as Git takes it.

    `on_bytes` is called with the number of bytes read since the last call, and may raise.
    """
    if len(checksum) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while data := file.read(HASHED_AT_ONCE):
            digest.update(data)
            on_bytes(len(data))
    return digest.hexdigest() == checksum
