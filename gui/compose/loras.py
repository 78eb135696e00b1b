"""The list of LoRAs, each with a strength."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.drops import files_in
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.fields import decimal
from mlxvid.gui.widgets.icons import icon

_ENDING = ".safetensors"
# owner/name[:file], as mlxvid.weights.lora reads it; importing that module would load MLX.
_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+(?<!\.safetensors)(:[\w./ -]+)?")
# What stands around the name in the address of its page.
_ADDRESS = re.compile(r"^(https?://)?(www\.)?(huggingface\.co|hf\.co)/|[?#].*$|/tree/main.*$")
_FILE_PAGE = re.compile(r"/(blob|resolve)/main/")


def loras_in(mime: QMimeData) -> list[Path]:
    """The files that were dropped or copied and may be LoRAs."""
    return [path for path in files_in(mime) if path.suffix.lower() == _ENDING]


class LorasBox(QWidget):
    """Rows of LoRAs, in the command line's notation: FILE@STRENGTH.

    changed: the list or a strength. added: one that the user adds, as a file or a repository.
    message: why one can't be added.
    """

    changed = Signal()
    added = Signal(str)
    message = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)
        self._rows: list[_Row] = []
        self._add = QPushButton(icon("add"), "Add LoRA")
        self._add.setObjectName("add_lora")
        self._add.setToolTip(
            "Choose a .safetensors file, drop one here, or name one on Hugging Face"
        )
        places = QMenu(self._add)
        places.addAction("From a File…", self._choose)
        places.addAction("From the Hub…", self._ask)
        self._add.setMenu(places)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._layout.addWidget(self._add, 0, Qt.AlignmentFlag.AlignLeft)

    def value(self) -> list[str]:
        return [row.text() for row in self._rows]

    def set_value(self, loras: list[str]) -> None:
        for row in list(self._rows):
            self._remove(row)
        for text in loras:
            self._append(*_parts(text))

    def add_file(self, path: Path) -> None:
        """Add a file, at full strength."""
        if path.suffix.lower() != _ENDING:
            self.message.emit(f"{path.name} is no LoRA: choose a {_ENDING} file.")
        else:
            self._append(str(path), 1.0)
            self.added.emit(str(path))

    def add_repository(self, text: str) -> None:
        """Add one from the hub, by name or address, which the worker downloads when it is first
        used.
        """
        text = _FILE_PAGE.sub(":", _ADDRESS.sub("", text)).rstrip("/")
        if _ON_HUB.fullmatch(text):
            self._append(text, 1.0)
            self.added.emit(text)
        else:
            self.message.emit(
                f"{text!r} is no name of a LoRA on the hub: give owner/name, or owner/name:file "
                "where it has several files."
            )

    def _append(self, source: str, strength: float) -> None:
        row = _Row(source, strength)
        row.strength.valueChanged.connect(self.changed)
        row.remove.clicked.connect(lambda: self._remove(row))
        self._layout.insertWidget(len(self._rows), row)
        self._rows.append(row)
        self.changed.emit()

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()
        self.changed.emit()

    def _choose(self) -> None:
        dialog = QFileDialog(self, "Add LoRA", "", f"LoRAs (*{_ENDING})")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self._add_files)
        dialog.open()

    def _add_files(self, files: list[str]) -> None:
        for file in files:
            self.add_file(Path(file))

    def _ask(self) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle("From the Hub")
        dialog.setLabelText("The name of a LoRA on Hugging Face, as owner/name or owner/name:file:")
        dialog.setOkButtonText("Add")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(lambda text: self.add_repository(text.strip()))
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if loras_in(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        for path in files_in(event.mimeData()):
            self.add_file(path)


class _Row(QWidget):
    """One LoRA: its name, its strength, and a button that removes it."""

    def __init__(self, source: str, strength: float):
        super().__init__()
        self._source = source
        stem = Path(source).stem
        name = ElidedLabel(stem, Qt.TextElideMode.ElideMiddle)
        self.strength = decimal(f"Strength of {stem}", -4.0, 4.0, 2, 0.05, "1 is its full strength")
        self.strength.setObjectName("lora_strength")
        self.strength.setValue(strength)
        self.strength.setFixedWidth(self.strength.sizeHint().width() + 8)
        self.remove = QToolButton()
        self.remove.setObjectName("remove_lora")
        self.remove.setIcon(icon("close"))
        self.remove.setAccessibleName(f"Remove {stem}")
        self.remove.setToolTip("Remove")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(name, 1)
        layout.addWidget(self.strength)
        layout.addWidget(self.remove)

    def text(self) -> str:
        return f"{self._source}@{self.strength.value():g}"


def _parts(text: str) -> tuple[str, float]:
    """The parts of FILE@STRENGTH; an @ that no number follows belongs to the name."""
    source, _, strength = text.rpartition("@")
    try:
        return (source, float(strength)) if source else (text, 1.0)
    except ValueError:
        return text, 1.0
