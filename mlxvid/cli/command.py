"""The way a command ends: exit codes, signals, and standard streams that can't be written."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, Protocol

from mlxvid import machines
from mlxvid.errors import CancelledError, MachinesError, MlxvidError
from mlxvid.progress import note_pause

from .flags import spelled_as_flags

EXIT_ERROR = 2
EXIT_BROKEN_PIPE = 141
# A signal's number is added, as shells do.
EXIT_SIGNAL = 128
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Main(Protocol):
    """A command: takes its arguments, by default those of the process; returns the exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


def run(main: Callable[[Sequence[str] | None], int | None]) -> Main:
    """Decorate a command's ``main(argv=None)``: it returns the exit code, and no mistake of the
    user's becomes a traceback.

    :class:`MlxvidError` is one line on standard error and 2. SIGINT (Ctrl-C), SIGTERM and SIGHUP
    raise KeyboardInterrupt in it and are 130, 143 and 129; :class:`CancelledError` is 130. Streams
    that can't be written end nothing: afterwards, a reader of our output that went away, as in
    ``… | head``, is 141, and a full disk one line and 2. With ``--progress json`` the last line on
    standard output is the event of a command that ended early.
    """

    @functools.wraps(main)
    def command(argv: Sequence[str] | None = None) -> int:
        as_json = _asks_for_json(sys.argv[1:] if argv is None else argv)
        with _streams() as output, _signals() as signals:
            try:
                code = main(argv) or 0
            except (Exception, KeyboardInterrupt) as error:
                code = _ended_early(error, signals, as_json)
                if machines.is_waiting():  # as it ends, Python would abort
                    os._exit(output.end(code))
            except SystemExit as end:  # --help
                raise SystemExit(output.end(int(end.code or 0))) from None
            return output.end(code)

    return command


def _ended_early(error: BaseException, signals: _Signals, as_json: bool) -> int:
    """Say why the command ended; returns the exit code. Raises what is no mistake of the user's."""
    stopped = isinstance(error, (CancelledError, KeyboardInterrupt))
    latents = getattr(error, "latents_path", None)
    lost = error if isinstance(error, MachinesError) else None
    code = EXIT_ERROR
    message = str(error)
    if stopped or signals.received is not None:
        code = EXIT_SIGNAL + (signals.received or signal.SIGINT)
        # Whatever else a signal has led to, such as an import that failed, is not the reason.
        message = message if stopped or latents or lost else ""
        if not message and isinstance(error.__context__, MachinesError):
            lost = error.__context__  # the signal came while this was dealt with
        message = message or str(lost or "Stopped.")
        # mlx.launch ends the others with the one, or through ssh with the other.
        if signals.received in (signal.SIGTERM, signal.SIGHUP) and lost is None:
            lost = machines.lost_one()
            message = f"{lost.reason}. {message}" if lost else message
        facts = {"event": "cancelled"}
    else:
        facts = {"event": "error", "kind": type(error).__name__}
    if isinstance(error, MemoryError):
        message = "The memory is full: close other programs, or give smaller pictures or clips."
    if as_json and isinstance(error, MlxvidError):
        facts["sentence"] = message  # for programs that call settings otherwise
    message = spelled_as_flags(message)
    if not machines.is_first():
        if getattr(error, "shared", False):
            return 0  # or mlx.launch would end the first one, which tells it
        # Of a lost machine only the second one tells, since that may be the first.
        is_told = machines.number() != 2 if lost else stopped
        if machines.joined() and is_told and not latents:
            return code
        message = f"Machine {machines.number()}: {message}"
        as_json = False
    if as_json:
        facts["message"] = message
        if latents:
            facts["latents"] = latents
        print(json.dumps(facts), flush=True)
    if code == EXIT_ERROR and not isinstance(error, (MlxvidError, MemoryError)):
        raise error
    print(message, file=sys.stderr, flush=True)
    return code


def _asks_for_json(argv: Sequence[str]) -> bool:
    pairs = itertools.pairwise(argv)
    return "--progress=json" in argv or ("--progress", "json") in pairs


# --- signals -------------------------------------------------------------------------------------


class _Signals:
    """The signals that a command got. received: the first one's number."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._count = 0

    def stop(self, number: int, frame: Any) -> None:
        """The first raises KeyboardInterrupt. The second doesn't, since it would come into what the
        first one left to be done; the third ends the process at once.
        """
        self._count += 1
        if self._count == 1:
            self.received = number
            raise KeyboardInterrupt
        if self._count > 2:
            os._exit(EXIT_SIGNAL + number)


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Take the signals that stop a command, but for those that whoever started it has ignored, as
    ``nohup`` does; and note that it goes on after Ctrl-Z.
    """
    signals = _Signals()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other may
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):
                before[number] = handler
                signal.signal(number, signals.stop)
        before[signal.SIGCONT] = signal.signal(signal.SIGCONT, lambda *_: note_pause())
    try:
        yield signals
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)


# --- standard streams ----------------------------------------------------------------------------


class LastingStream:
    """A text stream that takes everything: where it can't be written, the rest goes nowhere.

    stream: itself. error: why it could not be written.
    """

    def __init__(self, stream: Any):
        self.stream = stream
        self.error: Exception | None = None

    def write(self, text: str) -> int:
        self._try(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def end(self, code: int) -> int:
        """Write what is left; returns the exit code of a command that would end with `code`."""
        self.flush()
        if self.error is None:
            return code
        with suppress(OSError, ValueError):
            # The interpreter flushes once more as it ends: let that go nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        if isinstance(self.error, BrokenPipeError):
            return code or EXIT_BROKEN_PIPE
        reason = getattr(self.error, "strerror", None) or self.error
        print(
            f"Standard output can't be written ({reason}), so lines are missing there; files are "
            "made all the same.",
            file=sys.stderr,
            flush=True,
        )
        return code or EXIT_ERROR

    def _try(self, action: Callable[..., Any], *arguments: str) -> None:
        if self.error is None:
            try:
                action(*arguments)
            except (OSError, ValueError) as error:  # ValueError: somebody closed it
                self.error = error


@contextmanager
def _streams() -> Iterator[LastingStream]:
    """Standard streams that last as long as the command; yields its output."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115  as long as the process
    output = LastingStream(_escaping(sys.stdout if machines.is_first() else None))
    errors = LastingStream(_escaping(sys.stderr))
    with redirect_stdout(output), redirect_stderr(errors):  # type: ignore[type-var]
        yield output
        if errors.error is not None:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), errors.stream.fileno())


def _escaping(stream: Any) -> Any:
    """The stream, or one that goes nowhere; it writes out what its encoding doesn't have."""
    if stream is None:
        stream = open(os.devnull, "w")  # noqa: SIM115  as long as the process
    if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream
