"""What to import, and how: the flags of python -m mlxvid.convert, as a form."""

from __future__ import annotations

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
    ("bfloat16 (as most models come)", "bfloat16"),
    ("float16", "float16"),
    ("float32 (twice the size)", "float32"),
]
BITS = [("As they are", None), ("8 bits: half the size", 8), ("4 bits: a quarter of the size", 4)]
TEXT_BITS = [("As the model's", None), ("As they are", "none"), ("8 bits", "8"), ("4 bits", "4")]


class ImportDialog(QDialog):
    """`chosen`: the folder to be, and the command's arguments."""

    chosen = Signal(Path, list)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWindowTitle("Import a Checkpoint")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        about = faint_label(
            "An original release or a folder in the Diffusers layout becomes a model that mlxvid loads. Nothing that a checkpoint contains "
            "is run, and it stays as it is."
        )
        about.setWordWrap(True)
        self.source = _line(
            "Source", "A folder, or a hub repository such as Wan-AI/Wan2.1-T2V-1.3B"
        )
        self.target = _line("New folder", "")
        self.source.textChanged.connect(self._suggest)
        self.dtype = choice("Type of the weights", DTYPES)
        self.bits = choice("Quantize the model", BITS, "To fit in memory, not for speed")
        self.text_bits = choice("Quantize the text encoder", TEXT_BITS)
        self.complaint = QLabel()
        self.complaint.setWordWrap(True)
        set_role(self.complaint, "danger")
        self.complaint.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.begin = buttons.addButton("Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.begin.setDefault(True)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.setContentsMargins(20, 20, 20, 16)
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(about)
        form.addRow("From", self._with_button(self.source, "Choose the source"))
        form.addRow("To", self._with_button(self.target, "Choose the new folder"))
        form.addRow("Weights in", self.dtype)
        form.addRow("Quantize", self.bits)
        form.addRow("Text encoder", self.text_bits)
        form.addRow(self.complaint)
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
        """A new folder named after the source, as long as nobody has typed another."""
        if not self.target.isModified():
            name = Path(source.strip().rstrip("/")).name
            self.target.setText(str(data_folder() / "models" / name) if name else "")

    def _accept(self) -> None:
        source, target = self.source.text().strip(), self.target.text().strip()
        if not source or not target:
            self.complaint.setText(
                "Say where the checkpoint is, and which folder the model is to be in."
            )
            self.complaint.show()
            self.resize(
                self.width(), max(self.height(), self.layout().totalHeightForWidth(self.width()))
            )
            return
        folder = Path(target).expanduser()
        arguments = [source, "--out", str(folder), "--dtype", self.dtype.currentData()]
        arguments += ["--quantize", str(self.bits.currentData())] if self.bits.currentData() else []
        arguments += (
            ["--quantize-text", self.text_bits.currentData()]
            if self.text_bits.currentData()
            else []
        )
        self.chosen.emit(folder, arguments)
        self.accept()


def _line(name: str, hint: str) -> QLineEdit:
    field = QLineEdit()
    field.setAccessibleName(name)
    field.setPlaceholderText(hint)
    return field
