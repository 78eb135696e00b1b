"""A pipeline kept loaded, taking requests as JSON lines and answering with events: what the desktop
app talks to (docs/worker.md).
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from .cli import parser as cli
from .cli.console import notes
from .cli.events import as_json, told
from .cli.reporter import Reporter
from .cli.requests import lines, parse, switch
from .errors import CancelledError, SettingError
from .model.machine import this_machine
from .model.settings import check_json, loading
from .run.complete import check_making
from .run.jobs import check_targets, require_fit, save, with_length
from .run.repeat import keyframes_of
from .run.sources import changed_sources
from .version import __version__

if TYPE_CHECKING:
    from mlxvid.run.pipeline import Pipeline


Outcome = tuple[str, dict[str, Any]]
"""The event that ends a job, and its facts."""


def serve(requests: TextIO, events: TextIO) -> int:
    """Answer `requests` until they end or "quit" comes; returns the exit code. Never raises for
    what a client sends.
    """
    worker = Worker(events)
    try:
        # Whatever a library prints must not land among the events.
        with (
            contextlib.redirect_stdout(sys.stderr),
            notes(worker.note),
        ):
            worker.emit("ready", mlxvid=__version__, protocol=1, machine=asdict(this_machine()))
            threading.Thread(target=worker.listen, args=(requests,), daemon=True).start()
            worker.run()
    except BrokenPipeError:
        worker.gone = True
    return cli.EXIT_BROKEN_PIPE if worker.gone else 0


@dataclass(eq=False)
class _Job:
    """One request that waits or is being worked on. Jobs are told apart by themselves, not by their
    ids, which a client may use again.
    """

    request: dict
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def id(self) -> Any:
        return self.request.get("id")


class _Jobs:
    """The jobs that wait or run: added to and cancelled by the listening thread, taken and finished
    by the working one.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[_Job | None] = queue.Queue()
        self._open: list[_Job] = []
        self._lock = threading.Lock()

    def put(self, request: dict) -> None:
        job = _Job(request)
        with self._lock:
            self._open.append(job)
        self._queue.put(job)

    def close(self) -> None:
        """No more will come."""
        self._queue.put(None)

    def get(self) -> _Job | None:
        """The next job, waited for; None where there are no more."""
        return self._queue.get()

    def cancel(self, wanted: Any) -> bool:
        """Cancel the jobs with this id (None: all of them); whether there are any."""
        with self._lock:
            jobs = [job for job in self._open if wanted is None or job.id == wanted]
        for job in jobs:
            job.cancel.set()
        return bool(jobs)

    def finish(self, job: _Job) -> None:
        with self._lock:
            self._open.remove(job)


class Worker:
    """One thread listens, so that "cancel" is heard at once; the other does the work."""

    def __init__(self, events: TextIO):
        self._events, self._lock = events, threading.Lock()
        self._jobs = _Jobs()
        self.gone = (
            False  # whether nobody reads the events any more, and with that the reason to go on
        )
        self._current: _Job | None = None
        self._pipe: Pipeline | None = None
        self._wanted: dict[str, Any] = {}
        self._loaded: dict[str, Any] = {}

    def emit(self, event: str, **facts: Any) -> None:
        """Write one event as a line."""
        line = as_json({"event": event, **facts}) + "\n"
        with self._lock:
            try:
                self._events.write(line)
                self._events.flush()
            except OSError as error:  # a full disk too: nobody can read the events
                raise BrokenPipeError from error

    def note(self, text: str) -> None:
        """What the library says of the job that is being done."""
        self.emit("note", id=self._current.id if self._current else None, text=text)

    def listen(self, requests: TextIO) -> None:
        """Read requests until they end; what is no request is answered with an error and nothing
        else happens.
        """
        try:
            for line in lines(requests):
                try:
                    request = parse(line)
                    if request["op"] == "quit":
                        self._jobs.cancel(None)
                        break
                    self._take(request)
                except BrokenPipeError:
                    raise
                except Exception as error:
                    self.emit("error", id=None, **told(error))
        except BrokenPipeError:
            self.gone = True
            self._jobs.cancel(None)
        finally:
            self._jobs.close()

    def _take(self, request: dict) -> None:
        if request["op"] != "cancel":
            self._jobs.put(request)
        elif not self._jobs.cancel(request.get("id")):
            wanted = request.get("id")
            text = f"There is no job {json.dumps(wanted)} to cancel."
            self.emit("note", id=wanted, text=text)

    def run(self) -> None:
        """Do the jobs in their order."""
        while (job := self._jobs.get()) is not None:
            self._current = job
            event, facts = self._do(job)
            self._current = None
            # First, so that a client that has heard of the end can't cancel it any more.
            self._jobs.finish(job)
            self.emit(event, id=job.id, **facts)

    def _do(self, job: _Job) -> Outcome:
        try:
            if job.cancel.is_set():
                raise CancelledError("Cancelled before it began.")
            return getattr(self, f"_{job.request['op']}")(job)
        except CancelledError as error:
            return "cancelled", _kept(error)
        except KeyboardInterrupt as stop:  # the worker ends, but not without a word on its job
            self.emit("cancelled", id=job.id, **_kept(stop))
            raise
        except BrokenPipeError:
            raise
        except Exception as error:  # it ends this job, never the worker
            return "error", {**told(error), **_kept(error)}

    def _load(self, job: _Job) -> Outcome:
        """Have the asked-for model in memory."""
        request = job.request
        self._wanted = {name: request[name] for name in loading() if request.get(name) is not None}
        pipe = self._ready(job)
        card = pipe.model.card
        return "loaded", {
            "model": pipe.name,
            "defaults": asdict(card.defaults),
            "multiples": card.geometry.multiples,
            "samplers": card.samplers,
            "takes": sorted(card.takes),
            "needs": sorted(card.needs),
            "attention_modes": card.attention_modes,
        }

    def _ready(self, job: _Job) -> Pipeline:
        """The pipeline last asked for. Where it could not be loaded the next job meets the same
        error, not the model before.
        """
        from .run.load import load

        if self._pipe is None or self._wanted != self._loaded:
            check_json(self._wanted, "The requests")
            self._pipe = None  # the old one's memory is given back before the new one needs it
            reporter = Reporter(self.emit, job.id, previews=False)
            self._pipe = load(**self._wanted, on_progress=reporter, cancel=job.cancel)
            self._pipe.keeps_unsaved = True
            self._loaded = self._wanted
        return self._pipe

    def _generate(self, job: _Job) -> Outcome:
        """Make one clip and save it."""
        from .layers import bounds

        request = job.request
        given = request.get("settings", {})
        settings = {name: value for name, value in given.items() if value is not None}
        check_making(settings)
        if not isinstance(request.get("output"), str) or "prompt" not in settings:
            raise SettingError(
                'A generate request needs "output" (a path) and settings with a `prompt`.'
            )
        check_json(settings, "The settings")
        settings["keyframes"] = keyframes_of(settings.get("keyframes", {}))
        force = switch(request, "force")
        resume = switch(request, "resume")
        previews = switch(request, "previews")
        keep = {name: switch(request, name, True) for name in ("metadata", "overwrite")}
        digests = request.get("digests", {})
        if not isinstance(digests, dict):
            raise SettingError('"digests" are those in the settings of a clip, by path.')
        smaller = switch(request, "smaller_pieces")
        pipe = self._ready(job)
        card = pipe.model.card
        check_targets(
            [request["output"]], {**self._wanted, **settings}, overwrite=keep["overwrite"]
        )
        with_length(settings, None, card, [request["output"]])
        if not force:
            require_fit(card, self._loaded, settings)
        for note in changed_sources({**self._wanted, **settings}, digests, "the first clip"):
            self.note(note)
        start = time.monotonic()
        reporter = Reporter(self.emit, job.id, previews)
        with bounds.of_one_run():
            if smaller:
                bounds.halve()
            clip = pipe.generate(
                **settings,
                resume=resume,
                previews=previews,
                on_progress=reporter,
                cancel=job.cancel,
            )
        save(clip, request["output"], reporter, job.cancel, **keep)
        return "saved", {
            "path": request["output"],
            "seed": clip.settings["seed"],
            "seconds": round(time.monotonic() - start, 2),
            "settings": clip.settings,
        }


def _kept(error: BaseException) -> dict[str, Any]:
    """Where the latents of the run that it ended are, if they were kept; and the reason alone."""
    facts = {
        "latents": getattr(error, "latents_path", None),
        "reason": getattr(error, "reason", None),
    }
    return {name: fact for name, fact in facts.items() if fact}
