"""The formats that a copy of a clip can have: as a menu, and as a dialog that asks for its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMenu, QWidget


@dataclass(frozen=True)
class Format:
    """name: for menus and the dialog; ending: of the file, "" for a folder."""

    name: str
    ending: str

    @property
    def filter(self) -> str:
        return f"{self.name} (*{self.ending})"


FORMATS = (
    Format("MP4 Video", ".mp4"),
    Format("Animated GIF", ".gif"),
    Format("WebM Video", ".webm"),
    Format("PNG Sequence", ""),
)


def fill_export_menu(menu: QMenu, chosen: Callable[[Format], None]) -> None:
    """One entry for each format, which calls `chosen(format)`."""
    for form in FORMATS:
        menu.addAction(f"{form.name}…").triggered.connect(lambda checked, form=form: chosen(form))


def ask_target(parent: QWidget, source: Path, form: Format) -> Path | None:
    """Ask where to save a copy of `source`; None where the user thought better of it. Another
    format's ending, typed there, wins.
    """
    start = source.with_name(f"{source.stem} copy{form.ending}")
    chosen, _ = QFileDialog.getSaveFileName(
        parent, f"Export as {form.name}", str(start), form.filter
    )
    if not chosen:
        return None
    path = Path(chosen)
    return (
        path
        if path.suffix.lower() in {one.ending for one in FORMATS if one.ending}
        else path.with_name(path.name + form.ending)
    )
