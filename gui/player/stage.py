"""The stage, in the middle of the window: one clip, two compared, or previews of the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.clip_facts import facts_of
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.progress_text import progress_text
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.icons import icon

from .clip_view import ClipView
from .compare_view import CompareView
from .inspector import Inspector
from .player import Player
from .progress_strip import ProgressStrip
from .transport import button, name_action

COMPARED = 2
# What stands over the last preview of a clip that ended early.
_ENDS = {State.FAILED: "Failed", State.INTERRUPTED: "Interrupted"}


class Stage(QWidget):
    """Show what the user opens, and previews of the clip being made until they look away.

    use_frame, message and warning are the player's.
    """

    use_frame = Signal(str, Path)
    message = Signal(str)
    warning = Signal(str)

    def __init__(self, database: Database, runner: Runner, stills: Path):
        super().__init__()
        self._database = database
        self._runner = runner
        self._watching = True
        self._badge = ""
        self._playheads: dict[QWidget, Playhead] = {}  # of the pages that others have added
        # The latest preview, while none is shown.
        self._unseen: tuple[Any, float, str] | None = None
        self._previewed: dict[str, Any] = {}  # the settings of the clip whose preview is shown
        self.player = Player(stills)
        self.compare = CompareView()
        self.strip = ProgressStrip(runner)
        self._pages = QStackedWidget()
        self.inspector = Inspector()
        self.player.beside.addWidget(self.inspector)
        self.inspector.hide()
        self._pages.addWidget(self.player)
        self._pages.addWidget(self._with_done_button(self.compare))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self.strip)
        self.info = QAction(icon("info"), "Clip Info", self)
        self.info.setCheckable(True)
        self.info.setShortcut(QKeySequence("Ctrl+I"))
        name_action(self.info, "Clip Info")
        self.info.toggled.connect(self.inspector.setVisible)
        self.info.toggled.connect(self._inspect)
        self.addAction(self.info)
        self.player.transport.add(button(self.info))
        self.player.viewed.connect(self._inspect)
        self.player.use_frame.connect(self.use_frame)
        self.player.message.connect(self.message)
        self.player.warning.connect(self.warning)
        self.compare.message.connect(self.message)
        # Their keys work in all of the window; a text field takes them first.
        self._shuttle = [
            self._action("Play or Pause", "Space", self._play_or_press),
            self._action("Play Backward", "J", lambda: self._playhead.shuttle(-1)),
            self._action("Stop", "K", lambda: self._playhead.pause()),
            self._action("Play Forward", "L", lambda: self._playhead.shuttle(1)),
        ]
        self.strip.watch.connect(self.watch)
        self.strip.set_watched(True)
        runner.started.connect(self._begin)
        runner.progressed.connect(self._note_progress)
        runner.previewed.connect(self._show_preview)
        runner.saved.connect(self._show_saved)
        runner.ended.connect(lambda job: self._leave(_ENDS.get(job.state, "Stopped")))

    @property
    def pictures(self) -> list[QWidget]:
        """Where pictures are; one of them is shown."""
        return [self.player.canvas, self.compare.canvas]

    def add_page(self, page: QWidget, playhead: Playhead) -> None:
        """Make room for what else is shown in place of a clip, on a playhead of its own."""
        self._pages.addWidget(page)
        self._playheads[page] = playhead

    def show_page(self, page: QWidget) -> None:
        """Show a page that was added."""
        self._look_away()
        self._pages.setCurrentWidget(page)

    @property
    def view(self) -> ClipView:
        """The player or the comparison, whichever is shown."""
        return self.compare if self.comparing else self.player

    def actions_for_menu(self) -> list[QAction]:
        """The actions on what is in view, for the window's menu."""
        actions = self.view.actions_for_menu()
        actions.remove(self.view.transport.play)  # which the first of the shuttle's is too
        return [*self._shuttle, *actions]

    def _action(self, text: str, key: str, then: Callable[[], None]) -> QAction:
        made = QAction(text, self)
        made.setShortcut(QKeySequence(key))
        made.triggered.connect(lambda: then())
        self.addAction(made)
        return made

    def _play_or_press(self) -> None:
        """Play or pause wherever the focus is; a control that Space presses is pressed."""
        focus = QApplication.focusWidget()
        if isinstance(focus, QAbstractButton):
            focus.click()
        elif isinstance(focus, QComboBox):
            focus.showPopup()
        else:
            self._playhead.toggle()

    @property
    def _playhead(self) -> Playhead:
        """That of what is in view."""
        shown = [head for page, head in self._playheads.items() if page.isVisible()]
        return shown[0] if shown else self.view.playhead

    # --- what is in view --------------------------------------------------------------------------

    def open_clip(self, number: int) -> None:
        """Show a clip of the gallery."""
        clip = self._database.clip(number)
        if clip is not None:
            self.open(clip.path)

    def open(self, path: Path) -> None:
        """Show a file; a clip that is being made continues out of view."""
        self._look_away()
        self._pages.setCurrentIndex(0)
        self.player.open(path)

    def open_compare(self, numbers: list[int]) -> None:
        """Show two clips of the gallery side by side."""
        clips = [clip for clip in map(self._database.clip, numbers) if clip is not None]
        if len(clips) == COMPARED:
            self._look_away()
            self._pages.setCurrentIndex(1)
            self.compare.open([clip.path for clip in clips])
            self.compare.setFocus()

    def close_compare(self) -> None:
        """Return to the single clip."""
        self._pages.setCurrentIndex(0)
        self.player.setFocus()

    @property
    def alone(self) -> bool:
        """Whether a single clip is in view, or none: no comparison, and no page of others."""
        return not self.comparing and self._pages.currentWidget() not in self._playheads

    @property
    def comparing(self) -> bool:
        return self._pages.currentIndex() == 1

    def set_welcome(self, page: QWidget) -> None:
        """Have a page for when there is nothing to see."""
        self._welcome = page
        self._pages.addWidget(page)

    def greet(self, nothing: bool) -> None:
        """Show that page, where there is nothing else, or the player again."""
        if nothing and self.alone:
            self.player.clear()
            self._pages.setCurrentWidget(self._welcome)
        elif not nothing and self._pages.currentWidget() is self._welcome:
            self._pages.setCurrentIndex(0)

    def follow(self) -> None:
        """Show previews of the clip being made once there are any, and clips that are done."""
        self._watching = True
        self.strip.set_watched(True)
        self._pages.setCurrentIndex(0)

    def watch(self) -> None:
        """Show the clip that is being made instead of the one in view."""
        self.follow()
        if self._unseen is not None:
            self._show(*self._unseen)
        elif self._runner.current is not None and self.player.path is not None:
            self.player.clear("The first preview appears after a few steps.")

    # --- previews ---------------------------------------------------------------------------------

    def _look_away(self) -> None:
        self._watching = self._runner.current is None
        self.strip.set_watched(self._watching)

    def _begin(self, job: Job) -> None:
        self._badge = ""
        self._unseen = None

    def _note_progress(self, job: Job, event: dict[str, Any]) -> None:
        self._badge = progress_text(event).split(" · ")[0]

    def _show_preview(self, frames: Any, fps: float) -> None:
        if self._watching:
            self._show(frames, fps, self._badge)
        else:
            self._unseen = (frames, fps, self._badge)

    def _show(self, frames: Any, fps: float, badge: str) -> None:
        self._unseen = None
        job = self._runner.current
        self._previewed = job.settings if job is not None else {}
        self.player.show_frames(frames, fps, badge)

    def _show_saved(self, number: int, path: Path) -> None:
        if self._watching:
            self.player.open(path)
        else:
            self._leave("Done")

    def _leave(self, badge: str) -> None:
        """End the previews in the player, if it shows any."""
        self._unseen = None
        if self.player.path is None:
            self.player.leave_frames(badge)

    # --- what is known of it ----------------------------------------------------------------------

    def _inspect(self) -> None:
        """Tell of what is in view, if anybody looks: a clip, or the one that is being made."""
        if not self.info.isChecked():
            return
        reel = self.player.reel
        if reel.path is None:
            settings = self._previewed if reel.count else {}
            self.inspector.show_facts(facts_of(settings), settings)
            return
        row = self._database.clip_at(reel.path)
        settings = reel.facts.settings if reel.facts else {}
        seconds = self._database.seconds_of(row.job) if row and row.job is not None else None
        created = row.created if row else None
        facts = facts_of(settings, reel.facts, reel.path, created, seconds)
        self.inspector.show_facts(facts, settings)

    def _with_done_button(self, view: QWidget) -> QWidget:
        page = QWidget()
        title = QLabel("Comparing Two Clips")
        title.setProperty("role", "heading")
        done = QPushButton("Done")
        done.setToolTip("Close the comparison (Esc)")
        done.clicked.connect(self.close_compare)
        head = QHBoxLayout()
        head.setContentsMargins(16, 6, 8, 6)
        head.addWidget(title, 1)
        head.addWidget(done)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(view, 1)
        return page
