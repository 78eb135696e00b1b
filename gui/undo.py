"""Undo and Redo: of the text field that has the focus, or else of the window."""

from __future__ import annotations

from PySide6.QtCore import QMetaObject, QObject
from PySide6.QtGui import QAction, QKeySequence, QTextDocument, QUndoStack
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPlainTextEdit, QWidget

Key = QKeySequence.StandardKey


class UndoActions(QObject):
    """The two entries of a menu, which say what they would do while it is open.

    The keys reach a text field before the menu; the mouse reaches it through these.
    """

    def __init__(self, menu: QMenu, stack: QUndoStack, parent: QObject):
        super().__init__(parent)
        self._stack = stack
        self.undo = QAction("Undo", parent)
        self.redo = QAction("Redo", parent)
        self.undo.setShortcuts(Key.Undo)
        self.redo.setShortcuts(Key.Redo)
        self.undo.triggered.connect(self._undo)
        self.redo.triggered.connect(self._redo)
        menu.addActions([self.undo, self.redo])
        menu.aboutToShow.connect(self._name)
        menu.aboutToHide.connect(self._enable)

    def _undo(self) -> None:
        if not (_able("undo") and _call("undo")):
            self._stack.undo()

    def _redo(self) -> None:
        if not (_able("redo") and _call("redo")):
            self._stack.redo()

    def _name(self) -> None:
        stack = self._stack
        in_text = _able("undo")
        self.undo.setText("Undo" if in_text else f"Undo {stack.undoText()}".strip())
        self.undo.setEnabled(in_text or stack.canUndo())
        in_text = _able("redo")
        self.redo.setText("Redo" if in_text else f"Redo {stack.redoText()}".strip())
        self.redo.setEnabled(in_text or stack.canRedo())

    def _enable(self) -> None:
        """A disabled action would have no keys, whatever comes onto the stack."""
        self.undo.setEnabled(True)
        self.redo.setEnabled(True)


def _able(slot: str) -> bool:
    """Whether the widget that has the focus is text with something to undo, or redo."""
    widget: QWidget | None = QApplication.focusWidget()
    text: object = widget.document() if isinstance(widget, QPlainTextEdit) else widget
    if not isinstance(text, (QTextDocument, QLineEdit)):
        return False
    return text.isUndoAvailable() if slot == "undo" else text.isRedoAvailable()


def _call(slot: str) -> bool:
    widget = QApplication.focusWidget()
    return widget is not None and bool(QMetaObject.invokeMethod(widget, slot))
