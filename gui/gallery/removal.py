"""The question before clips leave the gallery."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from mlxvid.gui.core.clips_table import ClipRow

from .arrangement import title


def removal_question(rows: list[ClipRow], missing: bool, parent: QWidget) -> QMessageBox:
    """Ask once for all of these clips; `missing` says that none of them has a file.

    The box is to be opened, and sends `accepted` for yes.
    """
    one = len(rows) == 1
    what = f"“{_shortened(title(rows[0]))}”" if one else f"these {len(rows)} clips"
    if missing:
        verb = "Remove"
        question = f"Remove {what} from the gallery?"
        files = "Its file is" if one else "Their files are"
        comfort = f"{files} missing already; how to make {'it' if one else 'them'} is forgotten."
    else:
        verb = "Move to Trash"
        question = f"Move {what} to the Trash?"
        comfort = f"You can put {'it' if one else 'them'} back from there."
    box = QMessageBox(QMessageBox.Icon.NoIcon, verb, question, parent=parent)
    box.setInformativeText(comfort)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setDefaultButton(box.addButton(verb, QMessageBox.ButtonRole.AcceptRole))
    box.setEscapeButton(box.addButton(QMessageBox.StandardButton.Cancel))
    return box


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
