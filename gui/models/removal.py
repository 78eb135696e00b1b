"""The question before a model is deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from .survey import ModelRow, size_text


def confirm_removal(
    row: ModelRow, rows: Sequence[ModelRow], then: Callable[[], None], parent: QWidget
) -> None:
    """Ask whether to let a model go, and do `then` if so. rows: all models."""
    to_trash = row.folder is not None
    label = "Move to Trash" if to_trash else "Delete"
    question = f"Move {row.title} to the Trash?" if to_trash else f"Delete {row.title}?"
    box = QMessageBox(QMessageBox.Icon.NoIcon, label, question, parent=parent)
    sentences = [f"It uses {size_text(row.disk_bytes)}."]
    if not to_trash:
        sentences.append("You can download it again.")
        others = [other.title for other in rows if _share_files(row, other)]
        if others:
            sentences.append(f"Files are shared with these, which lose them: {', '.join(others)}.")
    box.setInformativeText(" ".join(sentences))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    confirm = box.addButton(label, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
    confirm.clicked.connect(lambda: then())
    box.open()


def _share_files(row: ModelRow, other: ModelRow) -> bool:
    """Whether another model is here, with files of the same repositories."""
    if other.name == row.name or not other.disk_bytes or row.card is None or other.card is None:
        return False
    places = {place.repository for place in row.card.places}
    return any(place.repository in places for place in other.card.places)
