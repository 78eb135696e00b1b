"""The formats in which a clip can be exported: a menu, and a dialog that asks for a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget


@dataclass(frozen=True)
class Format:
    """One format.

    name: for menus and the dialog. suffix: of the file, "" for a folder.
    """

    name: str
    suffix: str

    @property
    def filter(self) -> str:
        return f"{self.name} (*{self.suffix})"


FORMATS = (
    Format("MP4 Video", ".mp4"),
    Format("Animated GIF", ".gif"),
    Format("WebM Video", ".webm"),
    Format("ProRes 422 HQ", ".mov"),
    Format("PNG Sequence", ""),
)


def fill_export_menu(menu: QMenu, chosen: Callable[[Format], None]) -> None:
    """Add one entry for each format, which calls `chosen(format)`."""
    for form in FORMATS:
        _connect(menu.addAction(f"{form.name}…"), form, chosen)


def _connect(entry: QAction, form: Format, chosen: Callable[[Format], None]) -> None:
    entry.triggered.connect(lambda: chosen(form))


def ask_target(parent: QWidget, source: Path, form: Format) -> Path | None:
    """Ask where to save a copy of `source`; None if the user cancels.

    The suffix of another format, typed there, wins.
    """
    start = source.with_name(f"{source.stem} copy{form.suffix}")
    chosen, _ = QFileDialog.getSaveFileName(
        parent, f"Export as {form.name}", str(start), form.filter
    )
    if not chosen:
        return None
    path = Path(chosen)
    suffixes = {known.suffix for known in FORMATS if known.suffix}
    if path.suffix.lower() in suffixes:
        return path
    return path.with_name(path.name + form.suffix)
