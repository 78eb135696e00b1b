"""The form for an import: the flags of python -m mlxvid.convert."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.theme import faint_label, set_role

DTYPES = [
    ("bfloat16 (usual)", "bfloat16"),
    ("float16", "float16"),
    ("float32 (twice the size)", "float32"),
]
BITS = [("Off", None), ("8 bits: half the size", 8), ("4 bits: a quarter of the size", 4)]
TEXT_BITS = [("Same as model", None), ("Off", "none"), ("8 bits", "8"), ("4 bits", "4")]


class ImportDialog(QDialog):
    """Ask what to import, and how; into a folder of its own, so that no model is replaced.

    chosen: the new folder, and the command's arguments.
    """

    chosen = Signal(Path, list)

    def __init__(self, models: Collection[str], parent: QWidget | None = None):
        """`models`: the folders of the models that are listed, also of imports under way."""
        super().__init__(parent)
        self._models = models
        self.setWindowTitle("Import a Checkpoint")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        about = faint_label(
            "Convert an original release, or a folder in the Diffusers layout, into a model that "
            "mlxvid can load. The checkpoint is not changed, and no code in it is run."
        )
        about.setWordWrap(True)
        self.source = _text_field("Source", "Folder, or owner/name on the hub")
        self.target = _text_field("New folder", "")
        self.source.textChanged.connect(self._suggest)
        self.dtype = choice("Weight type", DTYPES)
        self.bits = choice("Quantize model", BITS, "Saves memory; it does not make clips faster")
        self.text_bits = choice("Quantize text encoder", TEXT_BITS)
        self.error = QLabel()
        self.error.setWordWrap(True)
        set_role(self.error, "danger")
        self.error.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.import_button = buttons.addButton("Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.import_button.setDefault(True)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        form = self._form = QFormLayout(self)
        form.setContentsMargins(20, 20, 20, 16)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(about)
        form.addRow("From", self._with_button(self.source, "Choose the source"))
        form.addRow("To", self._with_button(self.target, "Choose the new folder"))
        form.addRow("Weight type", self.dtype)
        form.addRow("Quantize model", self.bits)
        form.addRow("Quantize text encoder", self.text_bits)
        form.addRow(self.error)
        form.addRow(buttons)
        self.setMinimumWidth(520)

    def _with_button(self, field: QLineEdit, name: str) -> QWidget:
        button = QPushButton("Choose…")
        button.setAccessibleName(name)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._choose(field, name))
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(field, 1)
        layout.addWidget(button)
        row.setFocusProxy(field)
        return row

    def _choose(self, field: QLineEdit, name: str) -> None:
        dialog = QFileDialog(self, name, field.text() or str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(field.setText)
        dialog.open()

    def _suggest(self, source: str) -> None:
        """Name the new folder after the source, until the user types another."""
        if not self.target.isModified():
            name = Path(source.strip().rstrip("/")).name
            free = self._free_folder(data_folder() / "models" / name)
            self.target.setText(str(free) if name else "")

    def _free_folder(self, folder: Path) -> Path:
        """`folder`, or the first of folder-2, folder-3… that no model has."""
        names = (f"{folder.name}-{number}" for number in itertools.count(2))
        others = (folder.with_name(name) for name in names)
        return next(place for place in itertools.chain([folder], others) if self._is_free(place))

    def _is_free(self, folder: Path) -> bool:
        """Whether nothing is in a folder, nor is about to be."""
        empty = not folder.exists() or folder.is_dir() and not any(folder.iterdir())
        return empty and str(folder.resolve()) not in self._models

    def _accept(self) -> None:
        source = self.source.text().strip()
        target = self.target.text().strip()
        if not source or not target:
            self._refuse("Choose the checkpoint to import, and a folder for the new model.")
            return
        folder = Path(target).expanduser()
        if not self._is_free(folder):
            name = self._free_folder(folder).name
            self._refuse(f"{folder} is taken: choose another folder, such as {name}.")
            return
        arguments = [source, "--out", str(folder), "--dtype", self.dtype.currentData()]
        if self.bits.currentData():
            arguments += ["--quantize", str(self.bits.currentData())]
        if self.text_bits.currentData():
            arguments += ["--quantize-text", self.text_bits.currentData()]
        self.chosen.emit(folder, arguments)
        self.accept()

    def _refuse(self, text: str) -> None:
        self.error.setText(text)
        self.error.show()
        self._grow()

    def _grow(self) -> None:
        """Make room for the error below the form."""
        height = self._form.totalHeightForWidth(self.width())
        self.resize(self.width(), max(self.height(), height))


def _text_field(name: str, hint: str) -> QLineEdit:
    field = QLineEdit()
    field.setAccessibleName(name)
    field.setPlaceholderText(hint)
    return field
