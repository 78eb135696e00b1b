"""What the runner reports, as notices: in words, and with a button for what can be done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.progress_text import duration
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.notices import Notice, NoticeBar

_SILENT, _PAUSED = "silent", "paused"


class Announcements(QObject):
    """Listens to the runner, and speaks through the bar. edit: shows a job's settings, by its id."""

    def __init__(
        self,
        bar: NoticeBar,
        runner: Runner,
        database: Database,
        edit: Callable[[int], None],
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._bar, self._runner, self._database = bar, runner, database
        self._edit_job = edit
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
        return "Edit", lambda: self._edit_job(job.id)

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
