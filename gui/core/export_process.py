"""The process that exports clips: python -m mlxvid.gui.core.export_process.

Requests come as JSON lines on standard input, one after the other (:mod:`.export_client`); events
go to standard output. Where the input ends, the work stops at the next frame, and the process ends.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

import av

from mlxvid.errors import CancelledError, MlxvidError
from mlxvid.media.containers import too_large

from .copies import Source, save_copy
from .messages import shown
from .recipes import Recipe
from .sheet_clip import save_sheet, unpacked_sheet

# How far the window, and the worker, come before it.
NICENESS = 5


def main(arguments: Sequence[str] = ()) -> int:
    """Do what standard input asks until it ends; returns the exit code."""
    with suppress(OSError):
        os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the window's
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    events = sys.stdout
    with redirect_stdout(sys.stderr), suppress(BrokenPipeError):
        Exporter(events).serve(sys.stdin.buffer)
    return 0


class Exporter:
    """One thread listens, so that the input's end is heard at once; the other works."""

    def __init__(self, events: TextIO):
        self._events = events
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        self._ended = threading.Event()

    def serve(self, requests: Iterable[bytes]) -> None:
        """Do the requests, and answer each with one event at its end. Raises BrokenPipeError where
        nobody reads them.
        """
        threading.Thread(target=self._listen, args=(requests,), daemon=True).start()
        while (line := self._requests.get()) is not None:
            self._emit(**self._answer(json.loads(line)))

    def _listen(self, requests: Iterable[bytes]) -> None:
        for line in requests:
            self._requests.put(line)
        self._ended.set()
        self._requests.put(None)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request; returns the event that ends it."""
        try:
            self._check()
            _OPERATIONS[request["op"]](request, self._check, self._report)
        except CancelledError:
            return {"event": "cancelled"}
        except MlxvidError as error:
            message = shown(error)
        except MemoryError:
            message = shown(too_large(request["target"]))
        except BrokenPipeError:
            raise
        except (OSError, av.FFmpegError) as error:
            reason = error.strerror or error
            message = f"{request['target']} failed ({reason}): check the clip's file and the disk."
        else:
            return {"event": "exported"}
        return {"event": "failed", "message": message}

    def _check(self) -> None:
        if self._ended.is_set():
            raise CancelledError("Cancelled.")

    def _report(self, done: int, count: int) -> None:
        self._check()
        self._emit(event="exporting", done=done, count=count)

    def _emit(self, **event: Any) -> None:
        try:
            self._events.write(json.dumps(event) + "\n")
            self._events.flush()
        except OSError as error:
            raise BrokenPipeError from error


Check = Callable[[], None]
Report = Callable[[int, int], None]


def _copy(request: dict[str, Any], check: Check, report: Report) -> None:
    facts = {**request["source"], "path": Path(request["source"]["path"])}
    save_copy(Source(**facts), Path(request["target"]), Recipe(**request["recipe"]), check, report)


def _sheet(request: dict[str, Any], check: Check, report: Report) -> None:
    save_sheet(unpacked_sheet(request), Path(request["target"]), check, report)


_OPERATIONS: dict[str, Callable[[dict[str, Any], Check, Report], None]] = {
    "copy": _copy,
    "sheet": _sheet,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
