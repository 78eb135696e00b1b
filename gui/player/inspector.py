"""The inspector: what made the clip in view, line by line, to read, copy and use again."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QGuiApplication, QIcon
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.clip_facts import Fact
from mlxvid.gui.widgets.fold import FoldButton
from mlxvid.gui.widgets.icons import icon, icon_side
from mlxvid.gui.widgets.theme import faint_label

NOTHING = "No clip is in view."
FOREIGN = "This film was not made with mlxvid, or its settings were left out."
# Settings whose texts are long.
_LONG = ("prompt", "negative_prompt")
# Characters of its font that it is wide, and that the label of a line has.
_WIDTH = 35
_LABEL = 11
# Milliseconds that a button says that it has copied.
_COPIED = 1200
# Long names break where people would break them.
_BREAKS = re.compile(r"(?<=[-_./\\])(?=\S)")


class Inspector(QWidget):
    """The lines on one clip. use_settings, use_prompt, use_seed: what of it is wanted again."""

    use_settings = Signal(dict)
    use_prompt = Signal(str)
    use_seed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._facts: list[Fact] | None = None
        self._settings: dict[str, Any] = {}
        self._rows: dict[str, _Row] = {}
        self._note = faint_label()
        self._note.setWordWrap(True)
        self._note.setObjectName("inspector-note")
        self._more = QWidget()
        self._fold = FoldButton("More", self._more)
        self._lines = QVBoxLayout()
        self._folded = QVBoxLayout(self._more)
        for layout in (self._lines, self._folded):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(14, 12, 6, 12)
        column.setSpacing(4)
        column.addWidget(self._note)
        column.addLayout(self._lines)
        column.addWidget(self._fold)
        column.addWidget(self._more)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setProperty("role", "panel")
        area.setAccessibleName("Clip Info")
        area.setWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        layout.addLayout(self._buttons())
        self.setFixedWidth(_WIDTH * self.fontMetrics().averageCharWidth())
        self.show_facts([], {})

    def _buttons(self) -> QGridLayout:
        self._use = QPushButton("Use These Settings")
        self._use.clicked.connect(lambda: self.use_settings.emit(self._settings))
        self._prompt = QPushButton("Use Prompt")
        self._prompt.clicked.connect(lambda: self.use_prompt.emit(self._settings["prompt"]))
        self._seed = QPushButton("Use Seed")
        self._seed.setToolTip("Keep this seed for the next clips")
        self._seed.clicked.connect(lambda: self.use_seed.emit(self._settings["seed"]))
        grid = QGridLayout()
        grid.setContentsMargins(14, 8, 14, 12)
        grid.setSpacing(8)
        grid.addWidget(self._use, 0, 0, 1, 2)
        grid.addWidget(self._prompt, 1, 0)
        grid.addWidget(self._seed, 1, 1)
        return grid

    def show_facts(self, facts: list[Fact], settings: dict[str, Any]) -> None:
        """Show the lines on a clip, and its settings' buttons; nothing changes for the same."""
        if facts == self._facts:
            return
        self._facts = facts
        self._settings = settings
        for row in self._rows.values():
            row.hide()
        for fact in facts:
            row = self._rows.get(fact.name) or _Row(stacked=fact.name in _LONG)
            self._rows[fact.name] = row
            row.show_fact(fact)
            (self._folded if fact.folded else self._lines).addWidget(row)
            row.show()
        self._fold.setVisible(any(fact.folded for fact in facts))
        self._more.setVisible(self._fold.isVisibleTo(self) and self._fold.isChecked())
        self._note.setText(FOREIGN if facts else NOTHING)
        self._note.setVisible(not settings)
        self._use.setEnabled("model" in settings and "prompt" in settings)
        self._prompt.setEnabled(isinstance(settings.get("prompt"), str))
        self._seed.setEnabled(isinstance(settings.get("seed"), int))


class _Row(QWidget):
    """One line: what it is, what it says, and a button that copies it, seen under the mouse."""

    def __init__(self, stacked: bool) -> None:
        """stacked: what it says stands below what it is, as long texts do."""
        super().__init__()
        self._fact: Fact | None = None
        self._label = QLabel()
        self._label.setProperty("role", "faint")
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._copy = _CopyButton()
        self._copy.clicked.connect(self._copy_text)
        top = Qt.AlignmentFlag.AlignTop
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        grid.addWidget(self._label, 0, 0, top)
        if stacked:
            grid.addWidget(self._text, 1, 0, 1, 3)
            grid.setContentsMargins(0, 0, 0, 6)
        else:
            self._label.setWordWrap(True)
            self._label.setFixedWidth(_LABEL * self._label.fontMetrics().averageCharWidth())
            grid.addWidget(self._text, 0, 1, top)
        grid.addWidget(self._copy, 0, 2, top)
        grid.setColumnStretch(1, 1)

    def show_fact(self, fact: Fact) -> None:
        self._fact = fact
        self._label.setText(fact.label)
        self._text.setText(_BREAKS.sub("\u200b", fact.text))
        self._text.setAccessibleName(fact.label)
        self._text.setObjectName(f"fact-{fact.name}")
        self._copy.setAccessibleName(f"Copy {fact.label}")
        self._copy.setToolTip(f"Copy {fact.label}")
        self._copy.setObjectName(f"copy-{fact.name}")

    def _copy_text(self) -> None:
        assert self._fact is not None
        QGuiApplication.clipboard().setText(self._fact.copied)
        self._copy.say_copied()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._copy.show_icon(True)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._copy.show_icon(self._copy.hasFocus())
        super().leaveEvent(event)


class _CopyButton(QToolButton):
    """A button that keeps its place while its icon is hidden."""

    def __init__(self) -> None:
        super().__init__()
        side = round(0.8 * icon_side(self.font()))
        self.setIconSize(QSize(side, side))
        self.setFixedSize(QSize(side + 8, side + 8))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_icon(self, seen: bool) -> None:
        self.setIcon(icon("copy") if seen else QIcon())

    def say_copied(self) -> None:
        """Show a tick for a moment."""
        self.setIcon(icon("check"))
        QTimer.singleShot(_COPIED, self, partial(self.show_icon, self.underMouse()))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.show_icon(True)
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.show_icon(False)
        super().focusOutEvent(event)
