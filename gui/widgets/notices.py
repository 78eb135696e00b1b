"""Notices: a line over the picture that says something, and offers what can be done.

There is no dialog, and nothing that must be dismissed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from .icons import icon
from .theme import set_role

log = logging.getLogger("mlxvid.gui")

# Milliseconds until mere information disappears; problems stay.
LASTING = 8000


NoticeAction = tuple[str, Callable[[], None]]
"""The label of a button, and what it does."""


@dataclass(frozen=True)
class Notice:
    """One notice.

    actions: a label each, and what its button does. wrong: whether it reports a problem. name: by
    which it can be withdrawn.
    """

    text: str
    actions: Sequence[NoticeAction] = ()
    wrong: bool = False
    name: str = ""


class NoticeBar(QWidget):
    """Shows the latest notice; mere information never replaces a notice with actions."""

    def __init__(self) -> None:
        super().__init__()
        self._notice: Notice | None = None
        self._sign = _Sign()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._text.setAccessibleName("Message")
        self._text.setObjectName("notice-text")
        self._buttons: list[QPushButton] = []
        self._close = QToolButton()
        self._close.setIcon(icon("close"))
        self._close.setAccessibleName("Close message")
        self._close.setToolTip("Close")
        self._close.setObjectName("notice-close")
        self._close.clicked.connect(self.clear)
        self._foot = QHBoxLayout()
        self._middle = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._middle.addWidget(self._text, 1)
        self._middle.addLayout(self._foot)
        self._middle.setAlignment(self._foot, Qt.AlignmentFlag.AlignLeft)
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(14, 6, 8, 6)
        for layout in (self._foot, self._middle, row):
            layout.setSpacing(10)
        row.addWidget(self._sign)
        row.addLayout(self._middle, 1)
        row.addWidget(self._close)
        self._timer = QTimer(self, singleShot=True, interval=LASTING)
        self._timer.timeout.connect(self.clear)
        self.setProperty("role", "panel")
        self.setAutoFillBackground(True)
        self.hide()

    @property
    def notice(self) -> Notice | None:
        return self._notice

    def show_notice(self, notice: Notice) -> None:
        """Show a notice, and log it."""
        log.log(logging.WARNING if notice.wrong else logging.INFO, "%s", notice.text)
        informs = not notice.actions and not notice.wrong
        if informs and self._notice is not None and self._notice.actions:
            return
        self._notice = notice
        for button in self._buttons:
            self._foot.removeWidget(button)
            button.deleteLater()
        self._buttons = [self._button(*action) for action in notice.actions]
        for button in self._buttons:
            self._foot.addWidget(button)
        self._text.setText(notice.text)
        self._text.setAccessibleDescription(notice.text)
        self._sign.setVisible(notice.wrong)
        set_role(self._text, "warning" if notice.wrong else "")
        self._timer.stop()
        if informs:
            self._timer.start()
        self._row.activate()
        self._arrange()
        self.show()

    def withdraw(self, name: str) -> None:
        """Hide the notice of that name, which no longer holds."""
        if self._notice is not None and self._notice.name == name:
            self.clear()

    def clear(self) -> None:
        """Hide the notice."""
        self._notice = None
        self._timer.stop()
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        """Put the buttons beside a text of one line, and below a longer one."""
        buttons = self._foot.sizeHint().width() + self._middle.spacing()
        room = self._middle.geometry().width() - buttons
        fits = self._text.fontMetrics().horizontalAdvance(self._text.text()) <= room
        if fits or not self._buttons:
            self._middle.setDirection(QBoxLayout.Direction.LeftToRight)
        else:
            self._middle.setDirection(QBoxLayout.Direction.TopToBottom)

    def _button(self, label: str, then: Callable[[], None]) -> QPushButton:
        button = QPushButton(label)
        button.setObjectName("notice-action")
        button.clicked.connect(self.clear)
        button.clicked.connect(lambda: then())
        return button


class _Sign(QWidget):
    """The warning sign, in the text colour at the time of painting."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(18, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        icon("warning").paint(QPainter(self), self.rect())
