"""What else can be done with a model: the menu at its row, and under the button."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMenu

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.licences import page_of
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.trash import FILE_MANAGER, show_in_file_manager

from .manager import ModelManager
from .survey import ModelRow


def fill_menu(
    menu: QMenu,
    row: ModelRow,
    manager: ModelManager,
    rename: Callable[[], object],
    fail: Callable[[str], object],
) -> None:
    """Add what can be done with one model. fail: gets a sentence where it can't be done."""
    if row.folder is not None:
        menu.addAction("Rename", rename)
    if row.complete and row.repo is not None:
        verify = menu.addAction("Verify", partial(manager.verify, row))
        verify.setToolTip("Compare every file with its checksum")
    if row.folder is not None and row.folder.exists():
        menu.addAction(f"Show in {FILE_MANAGER}", partial(_show_folder, row.folder, fail))
    if row.repo is not None:
        menu.addAction("Open Its Page", partial(open_page, page_of(row.repo)))
    if row.folder is not None and row.made and row.begun is None:
        menu.addAction("Remove from List", partial(manager.unlist, row))


def _show_folder(folder: Path, fail: Callable[[str], object]) -> None:
    try:
        show_in_file_manager(folder)
    except MlxvidError as error:
        fail(shown(error))


def open_page(address: str) -> None:
    """Open a page in the browser."""
    QDesktopServices.openUrl(QUrl(address))
