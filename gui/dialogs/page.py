"""What the pages of the Settings window are made of: rows of a form, and folders to choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import faint_label

_FIXED = "mlxvid was started with this folder: start it without to choose another."


class Page(QWidget):
    """One page: labels at the left, what they name at the right."""

    def __init__(self) -> None:
        super().__init__()
        self._form = QFormLayout(self)
        self._form.setContentsMargins(20, 20, 20, 20)
        self._form.setHorizontalSpacing(16)
        self._form.setVerticalSpacing(12)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def add_row(self, label: str, field: QWidget) -> None:
        """Add a row; label: "" for what has its text in itself."""
        self._form.addRow(label, field)

    def add_note(self) -> ElidedLabel:
        """Add a line below the last row for a faint word about it, empty as yet."""
        note = ElidedLabel("", Qt.TextElideMode.ElideMiddle)
        note.setFont(faint_label().font())
        note.setProperty("role", "faint")
        self._form.addRow("", note)
        return note


class FolderRow(QWidget):
    """A folder, and what changes it; below them, why nothing does.

    title: of the dialog that asks for another. choose: takes the chosen one. reset: goes back to
    the usual one; None where there is no other way back than choosing.
    """

    def __init__(
        self,
        name: str,
        title: str,
        choose: Callable[[Path], None],
        reset: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._choose = choose
        self._folder = Path()
        self._label = ElidedLabel("", Qt.TextElideMode.ElideMiddle)
        self._label.setAccessibleName(name)
        self.choose = button("Choose…", f"Choose: {name}", self._ask)
        buttons = [self.choose]
        self.reset = button("Reset", f"Reset: {name}", reset or self._ask)
        if reset is not None:
            buttons.append(self.reset)
        self.fixed = faint_label(_FIXED)
        self.fixed.setObjectName("fixed")
        self.fixed.hide()
        row = QWidget()
        lay_out(row, self._label, *buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(row)
        column.addWidget(self.fixed)

    def show_folder(
        self, folder: Path, more: str = "", fixed: bool = False, resets: bool = False
    ) -> None:
        """Show the folder that is in use.

        more: a word about it. fixed: no choice here changes it. resets: it is not the usual one.
        """
        self._folder = folder
        self._label.setText(f"{short(folder)}{more}")
        self.fixed.setVisible(fixed)
        self.choose.setEnabled(not fixed)
        self.reset.setEnabled(resets and not fixed)

    def _ask(self) -> None:
        dialog = QFileDialog(self, self._title, str(self._folder))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda folder: self._choose(Path(folder)))
        dialog.open()


def button(text: str, name: str, clicked: Callable[[], None]) -> QPushButton:
    """A button; name: for screen readers, of what it does."""
    made = QPushButton(text)
    made.setAccessibleName(name)
    made.clicked.connect(lambda: clicked())
    return made


def lay_out(widget: QWidget, *parts: QWidget) -> None:
    """Put parts side by side; the first takes what room there is."""
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    for stretch, part in zip((1, *(0 for _ in parts)), parts, strict=False):
        row.addWidget(part, stretch)


def short(path: Path) -> str:
    """A path with the home folder as ~."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def show_in_files(folder: Path) -> None:
    """Open a folder in the system's file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
