"""What the app has to say: a line over the picture, with what can be done about it. No dialog,
nothing that must be clicked away.
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

# What is only to be known goes away by itself after so many milliseconds; what is wrong stays.
LASTING = 8000


@dataclass(frozen=True)
class Notice:
    """A sentence, what can be done (label, what happens), whether something is wrong, and a name by
    which it can be taken back.
    """

    text: str
    actions: Sequence[tuple[str, Callable[[], None]]] = ()
    wrong: bool = False
    name: str = ""


class NoticeBar(QWidget):
    """Shows the latest notice. One that only informs never covers one that asks for something."""

    def __init__(self) -> None:
        super().__init__()
        self._notice: Notice | None = None
        self._sign = _Sign()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._text.setAccessibleName("Message")
        self._buttons: list[QPushButton] = []
        self._close = QToolButton()
        self._close.setIcon(icon("close"))
        self._close.setAccessibleName("Close message")
        self._close.setToolTip("Close")
        self._close.clicked.connect(self.clear)
        self._foot = QHBoxLayout()
        self._middle = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._middle.addWidget(self._text, 1)
        self._middle.addLayout(self._foot)
        self._middle.setAlignment(self._foot, Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
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
        log.log(logging.WARNING if notice.wrong else logging.INFO, "%s", notice.text)
        if (
            self._notice is not None
            and self._notice.actions
            and not notice.actions
            and not notice.wrong
        ):
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
        if not notice.actions and not notice.wrong:
            self._timer.start()
        self.layout().activate()
        self._arrange()
        self.show()

    def take_back(self, name: str) -> None:
        """What the notice of that name said is no longer so."""
        if self._notice is not None and self._notice.name == name:
            self.clear()

    def clear(self) -> None:
        self._notice = None
        self._timer.stop()
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        """The buttons stand beside a text of one line, and below a longer one."""
        room = (
            self._middle.geometry().width() - self._foot.sizeHint().width() - self._middle.spacing()
        )
        beside = self._text.fontMetrics().horizontalAdvance(self._text.text()) <= room
        direction = QBoxLayout.Direction
        self._middle.setDirection(
            direction.LeftToRight if beside or not self._buttons else direction.TopToBottom
        )

    def _button(self, label: str, then: Callable[[], None]) -> QPushButton:
        button = QPushButton(label)
        button.clicked.connect(self.clear)
        button.clicked.connect(lambda: then())
        return button


class _Sign(QWidget):
    """The sign that something is wrong, in the colour that the app has when it is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(18, 18)

    def paintEvent(self, event: QPaintEvent) -> None:
        icon("warning").paint(QPainter(self), self.rect())
