"""The form for an import: what to import, the name of the new model, and its weights."""

from __future__ import annotations

import re
from collections.abc import Callable
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

from mlxvid.gui.core.own_models import OwnModels
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.theme import faint_label, set_role

from .source_look import SourceLook

DTYPES = [
    ("bfloat16 (usual)", "bfloat16"),
    ("float16", "float16"),
    ("float32 (twice the size)", "float32"),
]
BITS = [("Off", None), ("8 bits: half the size", 8), ("4 bits: a quarter of the size", 4)]
TEXT_BITS = [("Same as model", None), ("Off", "none"), ("8 bits", "8"), ("4 bits", "4")]
FILES = "Checkpoints (*.safetensors *.pth *.pt *.bin *.ckpt);;All files (*)"


class ImportDialog(QDialog):
    """Ask what to import, and how; into a folder of its own, so that no model is replaced.

    chosen: the new folder, the model's name, and the command's arguments.
    """

    chosen = Signal(Path, str, list)

    def __init__(self, own: OwnModels, parent: QWidget | None = None):
        super().__init__(parent)
        self._own = own
        self._refusal = ""
        self._free = Path()
        self.setWindowTitle("Import a Checkpoint")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        about = faint_label(
            "Make a model of an original release, or of a folder in the Diffusers layout. "
            "The checkpoint is not changed, and no code in it is run."
        )
        about.setWordWrap(True)
        self.source = _text_field("Source", "File, folder, or owner/name on the hub")
        self.source.textChanged.connect(self._take_source)
        self.kind = faint_label()
        self.kind.setWordWrap(True)
        self.kind.setAccessibleName("What it is")
        self.name = _text_field("Name", "As it is listed")
        self.name.textChanged.connect(self._suggest_folder)
        self.target = _text_field("New folder", "")
        self.look = SourceLook(self)
        self.look.begun.connect(lambda: self._show_kind("Looking at it…"))
        self.look.recognised.connect(self._recognise)
        self.look.refused.connect(self._refuse_source)
        self.dtype = choice("Weight type", DTYPES)
        self.bits = choice("Quantize model", BITS, "Saves memory; it does not make clips faster")
        self.text_bits = choice("Quantize text encoder", TEXT_BITS)
        self.error = QLabel()
        self.error.setWordWrap(True)
        set_role(self.error, "danger")
        self.error.hide()
        self.use_free = QPushButton()
        self.use_free.setAutoDefault(False)
        self.use_free.clicked.connect(self._take_free_name)
        self.use_free.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.import_button = buttons.addButton("Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.import_button.setDefault(True)
        set_role(self.import_button, "primary")
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        form = self._form = QFormLayout(self)
        form.setContentsMargins(20, 20, 20, 16)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        file = _button("File…", "Choose a file", self._choose_file)
        folder = _button("Folder…", "Choose a folder", self._choose_folder)
        target = _button("Choose…", "Choose the new folder", self._choose_target)
        form.addRow(about)
        form.addRow("From", _row(self.source, file, folder))
        form.addRow("", self.kind)
        form.addRow("Name", self.name)
        form.addRow("Folder", _row(self.target, target))
        form.addRow("Weight type", self.dtype)
        form.addRow("Quantize model", self.bits)
        form.addRow("Quantize text encoder", self.text_bits)
        form.addRow(self.error)
        form.addRow("", self.use_free)
        form.addRow(buttons)
        form.setRowVisible(self.kind, False)
        form.setRowVisible(self.use_free, False)
        self.setMinimumWidth(560)
        self.finished.connect(lambda _: self.look.stop())

    # --- the source -------------------------------------------------------------------------------

    def _choose_file(self) -> None:
        self._choose("Choose a Checkpoint", QFileDialog.FileMode.ExistingFile, self.source)

    def _choose_folder(self) -> None:
        self._choose("Choose a Checkpoint's Folder", QFileDialog.FileMode.Directory, self.source)

    def _choose_target(self) -> None:
        self._choose("Choose the New Folder", QFileDialog.FileMode.Directory, self.target)

    def _choose(self, title: str, mode: QFileDialog.FileMode, field: QLineEdit) -> None:
        dialog = QFileDialog(self, title, field.text() or str(Path.home()))
        dialog.setFileMode(mode)
        if mode is QFileDialog.FileMode.ExistingFile:
            dialog.setNameFilters(FILES.split(";;"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda chosen: self._take(field, chosen))
        dialog.open()

    def _take(self, field: QLineEdit, chosen: str) -> None:
        field.setText(chosen)
        field.setModified(True)

    def _take_source(self, source: str) -> None:
        """Look at another source, and suggest a name, unless the user has typed one."""
        source = source.strip()
        self._refusal = ""
        self._form.setRowVisible(self.kind, False)
        self.look.look_at(source)
        if not self.name.isModified():
            path = Path(source.rstrip("/"))
            self.name.setText(path.stem if path.is_file() else path.name)

    def _recognise(self, title: str) -> None:
        self._show_kind(f"It is {title}.")

    def _refuse_source(self, sentence: str) -> None:
        self._refusal = sentence
        self._show_kind(sentence, "warning")

    def _show_kind(self, text: str, role: str = "faint") -> None:
        set_role(self.kind, role)
        self.kind.setText(text)
        self._form.setRowVisible(self.kind, True)
        self._grow()

    # --- the new model ----------------------------------------------------------------------------

    def _suggest_folder(self, name: str) -> None:
        """A free folder of the model's name, until the user types another."""
        if not self.target.isModified():
            folder = _folder_name(name)
            free = self._own.free_folder(self._own.place / folder) if folder else ""
            self.target.setText(str(free))

    def _accept(self) -> None:
        source = self.source.text().strip()
        target = self.target.text().strip()
        if not source or not target:
            self._refuse("Choose the checkpoint to import, and a folder for the new model.")
            return
        if self._refusal:
            self._refuse("There is no model to import in it: choose another file or folder.")
            return
        folder = Path(target).expanduser()
        if not self._own.is_free(folder):
            self._refuse(f"{folder} is taken.", self._own.free_folder(folder))
            return
        arguments = [source, "--out", str(folder), "--dtype", self.dtype.currentData()]
        if self.bits.currentData():
            arguments += ["--quantize", str(self.bits.currentData())]
        if self.text_bits.currentData():
            arguments += ["--quantize-text", self.text_bits.currentData()]
        self.chosen.emit(folder, self.name.text().strip() or folder.name, arguments)
        self.accept()

    def _refuse(self, text: str, free: Path | None = None) -> None:
        """Say what is wrong; free: a folder to take instead."""
        self.error.setText(text)
        self.error.show()
        self._form.setRowVisible(self.use_free, free is not None)
        if free is not None:
            self._free = free
            self.use_free.setText(f"Use {free.name}")
        self._grow()

    def _take_free_name(self) -> None:
        self._take(self.target, str(self._free))
        self.error.hide()
        self._form.setRowVisible(self.use_free, False)

    def _grow(self) -> None:
        """Make room for what is said in the form."""
        height = self._form.totalHeightForWidth(self.width())
        self.resize(self.width(), max(self.height(), height))


def _folder_name(name: str) -> str:
    """A model's name as a folder's, without what a file system could take for something else."""
    return re.sub(r"[^\w.+ -]+", "-", name).strip(" .-")


def _text_field(name: str, hint: str) -> QLineEdit:
    field = QLineEdit()
    field.setAccessibleName(name)
    field.setPlaceholderText(hint)
    return field


def _button(text: str, name: str, clicked: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setAccessibleName(name)
    button.setAutoDefault(False)
    button.clicked.connect(lambda: clicked())
    return button


def _row(field: QLineEdit, *buttons: QPushButton) -> QWidget:
    """A field and the buttons that fill it."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(field, 1)
    for button in buttons:
        layout.addWidget(button)
    row.setFocusProxy(field)
    return row
