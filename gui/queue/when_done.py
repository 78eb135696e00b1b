"""What follows when the queue is done: nothing, sleep, or quitting; once, and with a warning."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from mlxvid.gui.core.runner import Runner
from mlxvid.gui.core.sleep import CAN_SLEEP, sleep_now
from mlxvid.gui.widgets.notices import Notice, NoticeBar

from .tally import Tally

# Seconds between the warning and the deed.
WARNING = 30
_NOTICE = "when-done"


class Then(str, Enum):
    """What follows."""

    NOTHING = "nothing"
    SLEEP = "sleep"
    QUIT = "quit"


_LABELS = {Then.NOTHING: "Do Nothing", Then.SLEEP: "Sleep", Then.QUIT: "Quit mlxvid"}
_SUMMARY = {Then.NOTHING: "", Then.SLEEP: "sleeps when done", Then.QUIT: "quits when done"}
_WARNINGS = {
    Then.SLEEP: f"The queue is done: this Mac goes to sleep in {WARNING} seconds.",
    Then.QUIT: f"The queue is done: mlxvid quits in {WARNING} seconds.",
}
_DEEDS = {Then.SLEEP: "This Mac was not put to sleep", Then.QUIT: "mlxvid has not quit"}


class WhenDone(QObject):
    """A menu with the choice, which is Do Nothing again once it was used or thought better of.

    quit_: quits the app. busy: what is under way that quitting would end, such as "a clip is being
    exported"; then nothing is done. changed: the choice in words for the queue's summary.
    """

    changed = Signal(str)

    def __init__(
        self,
        tally: Tally,
        runner: Runner,
        bar: NoticeBar,
        quit_: Callable[[], object],
        busy: Callable[[], list[str]],
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._bar = bar
        self._busy = busy
        self._deeds = {Then.SLEEP: self._sleep, Then.QUIT: quit_}
        self.then = Then.NOTHING
        self.menu = QMenu("When Done")
        self.menu.setToolTipsVisible(True)
        group = QActionGroup(self)
        self.actions: dict[Then, QAction] = {}
        for then, label in _LABELS.items():
            action = self.menu.addAction(label)
            action.setCheckable(True)
            action.triggered.connect(partial(self.choose, then))
            group.addAction(action)
            self.actions[then] = action
        self.actions[Then.NOTHING].setChecked(True)
        if not CAN_SLEEP:
            self.actions[Then.SLEEP].setEnabled(False)
            self.actions[Then.SLEEP].setToolTip("mlxvid can send only a Mac to sleep")
        self._timer = QTimer(self, singleShot=True, interval=WARNING * 1000)
        self._timer.timeout.connect(self._act)
        tally.done.connect(self._warn)
        runner.started.connect(self._put_off)

    def choose(self, then: Then) -> None:
        """Have this follow when the queue is done next."""
        self.then = then
        self.actions[then].setChecked(True)
        self._put_off()
        self.changed.emit(_SUMMARY[then])

    def _warn(self) -> None:
        if self.then is not Then.NOTHING:
            cancel = ("Cancel", partial(self.choose, Then.NOTHING))
            self._bar.show_notice(Notice(_WARNINGS[self.then], [cancel], name=_NOTICE))
            self._timer.start()

    def _put_off(self) -> None:
        """Take the warning back; the choice stays for when the queue is done again."""
        self._timer.stop()
        self._bar.withdraw(_NOTICE)

    def _act(self) -> None:
        then = self.then
        closed = all(notice.name != _NOTICE for notice in self._bar.notices)
        self.choose(Then.NOTHING)
        if closed:  # its notice was closed, which is a no too
            return
        if self._busy():
            self._bar.show_notice(Notice(f"{_DEEDS[then]}, since {' and '.join(self._busy())}."))
        else:
            self._deeds[then]()

    def _sleep(self) -> None:
        if not sleep_now():
            text = "This Mac could not be put to sleep: choose Sleep in the Apple menu."
            self._bar.show_notice(Notice(text, wrong=True))
