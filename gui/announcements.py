"""What the runner reports, as notices: in words, and with a button for what can be done."""

from __future__ import annotations

from PySide6.QtCore import QObject

from .database import Database
from .jobs import Job, State
from .notices import Notice, NoticeBar
from .progress_text import duration
from .queue_panel import QueuePanel
from .runner import Runner

_SILENT, _PAUSED = "silent", "paused"


class Announcements(QObject):
    """Listens to the runner, and speaks through the bar."""

    def __init__(
        self,
        bar: NoticeBar,
        runner: Runner,
        queue: QueuePanel,
        database: Database,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._bar, self._runner, self._queue, self._database = bar, runner, queue, database
        runner.ended.connect(self._tell_end)
        runner.halted.connect(self._tell_halt)
        runner.silent.connect(self._tell_silence)
        runner.noted.connect(self.tell)
        runner.progressed.connect(lambda *_: bar.take_back(_SILENT))
        runner.changed.connect(self._follow_pause)
        database.message.connect(self.warn)

    def tell(self, text: str) -> None:
        """Something to know."""
        self._bar.show_notice(Notice(text))

    def warn(self, text: str) -> None:
        """Something that is wrong."""
        self._bar.show_notice(Notice(text, wrong=True))

    def welcome_back(self) -> None:
        """Offer to go on with what the last session left: nothing begins by itself, since it may be
        why that session ended.
        """
        jobs = self._database.jobs()
        broken = [job for job in jobs if job.state is State.INTERRUPTED]
        waiting = [job for job in jobs if job.state is State.WAITING]
        parts = [f"{_clips(len(broken))} interrupted"] if broken else []
        parts += [f"{_clips(len(waiting))} waiting"] if waiting else []
        if parts:
            label = "Resume" if broken else "Go On"
            text = f"The last session left {' and '.join(parts)}."
            self._bar.show_notice(
                Notice(text, [(label, lambda: self._go_on(broken))], name=_PAUSED)
            )

    def tell_paused(self) -> None:
        """A clip was added to a queue that rests, or waits in it again."""
        self._bar.show_notice(
            Notice(
                "The queue is paused: the clip waits.",
                [("Go On", lambda: self._go_on([]))],
                name=_PAUSED,
            )
        )

    def _go_on(self, broken: list[Job]) -> None:
        for job in broken:
            self._runner.resume(job.id)
        self._runner.pause(False)

    def _follow_pause(self) -> None:
        if not self._runner.paused:
            self._bar.take_back(_PAUSED)

    def _tell_end(self, job: Job) -> None:
        if job.state is State.INTERRUPTED:
            self._bar.show_notice(
                Notice(
                    job.message,
                    [("Resume", lambda: self._resume(job)), self._edit(job)],
                    wrong=True,
                )
            )
        elif job.state is State.FAILED:
            self._bar.show_notice(Notice(job.message, [self._edit(job)], wrong=True))

    def _resume(self, job: Job) -> None:
        self._runner.resume(job.id)
        if self._runner.paused:
            self.tell_paused()

    def _edit(self, job: Job) -> tuple[str, object]:
        return "Edit", lambda: self._queue.edit_job(job.id)

    def _tell_halt(self, text: str) -> None:
        self._bar.show_notice(
            Notice(text, [("Go On", lambda: self._go_on([]))], wrong=True, name=_PAUSED)
        )

    def _tell_silence(self, seconds: int) -> None:
        text = f"The generator has not said a word for {duration(seconds)}: it may hang, or be busy with a long step."
        self._bar.show_notice(
            Notice(
                text,
                [("Stop It", self._runner.stop_worker), ("Keep Waiting", self._wait)],
                wrong=True,
                name=_SILENT,
            )
        )

    def _wait(self) -> None:
        self._runner.wait_longer()


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"
