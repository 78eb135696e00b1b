"""Notices about what the runner reports, with buttons for what can be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog

from mlxvid.errors import FAULT
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.file_names import free_path
from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.progress_text import duration
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.notices import Notice, NoticeAction, NoticeBar

# Names by which a notice is withdrawn once it no longer holds.
_SILENT = "silent"
_PAUSED = "paused"
_LIBRARY = "library"
_UNKEPT = "unkept"
_DONE = "done"


class Announcements(QObject):
    """Listen to the runner and the library, and show notices in the bar.

    edit: shows the settings of a job, given its id. resumed: jobs to resume. show_job: the id of a
    job to look at. show_log, report: the log is to be shown, a problem to be reported.
    """

    resumed = Signal(list)
    show_job = Signal(int)
    show_log = Signal()
    report = Signal()

    def __init__(
        self,
        bar: NoticeBar,
        runner: Runner,
        database: Database,
        preferences: Preferences,
        edit: Callable[[int], None],
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._bar = bar
        self._preferences = preferences
        self._runner = runner
        self._database = database
        self._edit_job = edit
        runner.ended.connect(self._report_end)
        runner.halted.connect(self._report_halt)
        runner.silent.connect(self._report_silence)
        runner.noted.connect(self.inform)
        runner.progressed.connect(lambda *_: bar.withdraw(_SILENT))
        runner.changed.connect(self._follow_pause)
        database.message.connect(self._report_library)

    def inform(self, text: str) -> None:
        """Show a message that needs no answer."""
        self._bar.show_notice(Notice(text))

    def warn(self, text: str) -> None:
        """Show that something is wrong."""
        self._bar.show_notice(Notice(text, wrong=True))

    def welcome_back(self) -> None:
        """Offer to resume what the last session left.

        Nothing starts by itself: an unfinished clip may be the reason why that session ended.
        """
        jobs = [job for job in self._database.jobs() if job.message != PAUSED]
        interrupted = [job for job in jobs if job.state is State.INTERRUPTED]
        waiting = [job for job in jobs if job.state is State.WAITING]
        parts = []
        if interrupted:
            parts.append(f"{_clips(len(interrupted))} interrupted")
        if waiting:
            parts.append(f"{_clips(len(waiting))} waiting")
        if parts:
            label = "Resume" if interrupted else "Resume Queue"
            text = f"The last session left {' and '.join(parts)}."
            self._offer_resume(text, label, interrupted)

    def report_crash(self) -> None:
        """Say that the last session ended unexpectedly."""
        self._offer_report("mlxvid ended unexpectedly.")

    def report_fault(self) -> None:
        """Say that the app itself has made a mistake."""
        text = "Something went wrong in mlxvid itself: what you did last may not be done."
        self._offer_report(text)

    def _offer_report(self, text: str) -> None:
        actions: list[NoticeAction] = [
            ("Show Log", self.show_log.emit),
            ("Report a Problem…", self.report.emit),
        ]
        self._bar.show_notice(Notice(text, actions, wrong=True))

    def report_unkept(self, leave: Callable[[], None]) -> None:
        """Say why the window stays, although it was to close."""
        folder = self._database.path.parent
        text = f"What you typed can't be kept in {folder}: make room on its disk, then quit again."
        actions: list[NoticeAction] = [("Quit Anyway", leave)]
        self._bar.show_notice(Notice(text, actions, wrong=True, name=_UNKEPT))

    def report_found(self, count: int, folder: Path) -> None:
        """Say that clips have come into the gallery that no queue has made."""
        self.inform(f"{_clips(count)} found in {folder} came into the gallery.")

    def report_download(self, fetching: Fetching, name: str, sentence: str) -> None:
        """Say that the download of a model failed, for which clips wait or which was asked for."""
        again: NoticeAction = ("Try Again", lambda: fetching.again(name))
        self._bar.show_notice(Notice(sentence, [again], wrong=True, name=f"download {name}"))

    def report_paused(self) -> None:
        """Say that a clip waits because the queue is paused, unless it is said why it is."""
        if any(notice.name == _PAUSED and notice.wrong for notice in self._bar.notices):
            return
        self._offer_resume("The queue is paused, so the clip waits.", "Resume Queue", [])

    def _offer_resume(
        self, text: str, label: str, interrupted: list[Job], wrong: bool = False
    ) -> None:
        actions: list[NoticeAction] = [(label, lambda: self._resume_queue(interrupted))]
        if str(self._preferences.clips_folder) in text:
            actions.insert(0, ("Choose Folder…", lambda: self._choose_folder(text)))
        self._bar.show_notice(Notice(text, actions, wrong=wrong, name=_PAUSED))

    def _choose_folder(self, halt: str) -> None:
        """Have clips saved in another folder, and resume the queue; `halt`: said until then."""
        dialog = QFileDialog(self._bar, "Folder for Clips", str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._take_folder)
        dialog.rejected.connect(lambda: self._report_halt(halt))
        dialog.open()

    def _take_folder(self, folder: str) -> None:
        self._preferences.clips_folder = Path(folder)
        self._runner.pause(False)

    def _resume_queue(self, interrupted: list[Job]) -> None:
        if interrupted:
            self.resumed.emit(interrupted)
        self._runner.pause(False)

    def _follow_pause(self) -> None:
        if not self._runner.paused:
            self._bar.withdraw(_PAUSED)

    def _report_end(self, job: Job) -> None:
        if job.state in (State.INTERRUPTED, State.FAILED) and job.message != PAUSED:
            notice = Notice(job.message, self._ways_on(job), wrong=True, name=_name(job))
            self._bar.show_notice(notice)

    def report_done(self, made: int, failed: list[Job]) -> None:
        """Say once how a queue went in which clips failed, in place of a notice for each.

        Those of clips that could not be saved stay.
        """
        if not failed or made + len(failed) < 2:
            return
        for job in failed:
            if job.number not in self._runner.unsaved:
                self._bar.withdraw(_name(job))
        show = ("Show", lambda: self.show_job.emit(failed[0].number))
        text = f"{made} made, {len(failed)} failed."
        self._bar.show_notice(Notice(text, [show], wrong=True, name=_DONE))

    def _ways_on(self, job: Job) -> list[NoticeAction]:
        """What can be done about a job that ended early."""
        if job.number in self._runner.unsaved:
            return [
                ("Save Again", lambda: self._resume(job)),
                ("Save Elsewhere…", lambda: self._save_elsewhere(job)),
            ]
        edit: NoticeAction = ("Edit…", lambda: self._edit_job(job.number))
        if job.state is State.INTERRUPTED or job.resume:
            return [("Resume", lambda: self._resume(job)), edit]
        if job.message.startswith(FAULT):
            return [("Report a Problem…", self.report.emit), edit]
        return [edit]

    def _save_elsewhere(self, job: Job) -> None:
        name = free_path(job.settings, Path.home(), self._preferences.file_names)
        dialog = QFileDialog(self._bar, "Save Elsewhere", str(name), "Clip (*.mp4)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("mp4")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(
            lambda file: self._runner.save_elsewhere(job.number, Path(file))
        )
        dialog.rejected.connect(lambda: self._report_end(job))
        dialog.open()

    def _resume(self, job: Job) -> None:
        self.resumed.emit([job])
        if self._runner.paused:
            self.report_paused()

    def _report_library(self, text: str) -> None:
        halts = [notice for notice in self._bar.notices if notice.name == _PAUSED]
        if not any(self._is_of_library(notice.text) for notice in halts):
            self._bar.show_notice(Notice(text, wrong=True, name=_LIBRARY))

    def _is_of_library(self, text: str) -> bool:
        """Whether it says that the library can't be written."""
        return str(self._database.path) in text

    def _report_halt(self, text: str) -> None:
        if self._is_of_library(text):  # one notice is enough: this one says what comes of it
            self._bar.withdraw(_LIBRARY)
        self._offer_resume(text, "Resume Queue", [], wrong=True)

    def _report_silence(self, seconds: int) -> None:
        text = (
            f"The generator has not responded for {duration(seconds)}: "
            "it may hang, or be busy with a long step."
        )
        actions: list[NoticeAction] = [
            ("Stop", self._runner.stop_worker),
            ("Keep Waiting", self._runner.wait_longer),
        ]
        self._bar.show_notice(Notice(text, actions, wrong=True, name=_SILENT))


def _name(job: Job) -> str:
    """The name of the notice about a job's end."""
    return f"ended {job.number}"


def _clips(count: int) -> str:
    return f"{count} clip{'' if count == 1 else 's'}"
