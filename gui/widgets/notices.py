"""Notices: lines over the picture that say something, and offer what can be done.

There is no dialog, and nothing that must be dismissed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .icons import icon, icon_side
from .theme import set_role

log = logging.getLogger("mlxvid.gui")

# Milliseconds until mere information disappears; problems stay.
LASTING = 8000
# Notices in view; the others wait below them.
MOST_SHOWN = 3


NoticeAction = tuple[str, Callable[[], None]]
"""The label of a button, and what it does."""


@dataclass(frozen=True)
class Notice:
    """One notice.

    actions: a label each, and what its button does. wrong: whether it reports a problem. name: by
    which it can be withdrawn. stays: it is closed by hand, though it needs no answer.
    """

    text: str
    actions: Sequence[NoticeAction] = ()
    wrong: bool = False
    name: str = ""
    stays: bool = False

    @property
    def informs(self) -> bool:
        """Whether it needs no answer, and reports no problem, so that it goes by itself."""
        return not self.actions and not self.wrong and not self.stays


class NoticeBar(QWidget):
    """A stack of notices, the newest on top; of mere information only the latest.

    A notice stays until it is closed, answered or withdrawn; information goes by itself. One with
    the name, or else the text, of an earlier one takes its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[_Row] = []  # the newest first
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._more = QLabel()
        self._more.setObjectName("notices-more")
        self._more.setProperty("role", "faint")
        self._more.setContentsMargins(14, 0, 14, 6)
        self._column.addWidget(self._more)
        self._timer = QTimer(self, singleShot=True, interval=LASTING)
        self._timer.timeout.connect(self._drop_information)
        self.setProperty("role", "notices")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.hide()

    @property
    def notices(self) -> list[Notice]:
        """All that stand, the newest first."""
        return [row.notice for row in self._rows]

    def show_notice(self, notice: Notice) -> None:
        """Show a notice, and log it."""
        log.log(logging.WARNING if notice.wrong else logging.INFO, "%s", notice.text)
        if notice.informs and any(_says(row.notice, notice) for row in self._rows):
            return
        for row in list(self._rows):
            same = row.notice.name == notice.name if notice.name else row.notice.text == notice.text
            if same or notice.informs and row.notice.informs:
                self._remove(row)
        row = _Row(notice)
        row.closed.connect(self._close)
        self._rows.insert(0, row)
        self._column.insertWidget(0, row)
        if notice.informs:
            self._timer.start()
        self._show_rows()

    def withdraw(self, name: str) -> None:
        """Remove the notice of that name, which no longer holds."""
        for row in [row for row in self._rows if row.notice.name == name]:
            self._close(row)

    def clear(self) -> None:
        """Remove all notices."""
        for row in list(self._rows):
            self._close(row)

    def _drop_information(self) -> None:
        for row in [row for row in self._rows if row.notice.informs]:
            self._close(row)

    def _close(self, row: _Row) -> None:
        self._remove(row)
        self._show_rows()

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _show_rows(self) -> None:
        for place, row in enumerate(self._rows):
            row.setVisible(place < MOST_SHOWN)
        hidden = len(self._rows) - MOST_SHOWN
        self._more.setText(f"and {hidden} more, shown when these are closed")
        self._more.setVisible(hidden > 0)
        self.setVisible(bool(self._rows))


def _says(standing: Notice, notice: Notice) -> bool:
    """Whether a notice that stays says the same as another, and more."""
    return not standing.informs and standing.text == notice.text


class _Row(QWidget):
    """One notice: its sign, its text, its buttons. closed: itself, once it was answered."""

    closed = Signal(object)

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self.notice = notice
        sign = _Sign()
        sign.setVisible(notice.wrong)
        self._text = QLabel(notice.text)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._text.setAccessibleName("Message")
        self._text.setAccessibleDescription(notice.text)
        self._text.setObjectName("notice-text")
        set_role(self._text, "warning" if notice.wrong else "")
        close = QToolButton()
        close.setIcon(icon("close"))
        close.setAccessibleName("Close message")
        close.setToolTip("Close")
        close.setObjectName("notice-close")
        close.clicked.connect(lambda: self.closed.emit(self))
        self._foot = QHBoxLayout()
        for action in notice.actions:
            self._foot.addWidget(self._button(*action))
        self._middle = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._middle.addWidget(self._text, 1)
        self._middle.addLayout(self._foot)
        self._middle.setAlignment(self._foot, Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 6, 8, 6)
        for layout in (self._foot, self._middle, row):
            layout.setSpacing(10)
        row.addWidget(sign)
        row.addLayout(self._middle, 1)
        row.addWidget(close)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        """Put the buttons beside a text of one line, and below a longer one."""
        buttons = self._foot.sizeHint().width() + self._middle.spacing()
        room = self._middle.geometry().width() - buttons
        fits = self._text.fontMetrics().horizontalAdvance(self._text.text()) <= room
        if fits or not self.notice.actions:
            self._middle.setDirection(QBoxLayout.Direction.LeftToRight)
        else:
            self._middle.setDirection(QBoxLayout.Direction.TopToBottom)

    def _button(self, label: str, then: Callable[[], None]) -> QPushButton:
        button = QPushButton(label)
        button.setObjectName("notice-action")
        button.clicked.connect(lambda: self.closed.emit(self))
        button.clicked.connect(lambda: then())
        return button


class _Sign(QWidget):
    """The warning sign, in the text colour at the time of painting."""

    def __init__(self) -> None:
        super().__init__()
        side = icon_side(self.font())
        self.setFixedSize(side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        icon("warning").paint(QPainter(self), self.rect())
