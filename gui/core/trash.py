"""The system's trash and its file manager."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QFile, QProcess, QStandardPaths, QUrl
from PySide6.QtGui import QDesktopServices

from mlxvid.errors import MediaError

ON_MAC = sys.platform == "darwin"
FILE_MANAGER = "Finder" if ON_MAC else "File Manager"


def move_to_trash(path: Path) -> Path:
    """Move a file or folder to the trash and return its place there.

    Raises :class:`MediaError` where the system refuses.
    """
    file = QFile(str(path))
    if not file.moveToTrash():
        raise MediaError(
            f"{path} can't be moved to the trash: check the permissions of its folder, or delete "
            "it there."
        )
    return Path(file.fileName())


def show_in_file_manager(path: Path) -> None:
    """Open a file's folder, with the file selected where the system can do that.

    Raises :class:`MediaError` if there is no such file.
    """
    if not path.exists():
        raise MediaError(f"There is no file {path}: it was moved or deleted.")
    if ON_MAC:
        QProcess.startDetached("open", ["-R", str(path)])
        return
    sender = QStandardPaths.findExecutable("dbus-send")
    if not sender or not _show_item(sender, path):
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))


def _show_item(sender: str, path: Path) -> bool:
    """Ask the file manager, by freedesktop.org's interface; returns whether it was asked."""
    url = bytes(QUrl.fromLocalFile(str(path)).toEncoded().data()).decode()
    place = url.replace(",", "%2C")  # a comma would begin another file
    method = "org.freedesktop.FileManager1"
    arguments = [
        "--session",
        f"--dest={method}",
        "--type=method_call",
        "/org/freedesktop/FileManager1",
    ]
    started, _ = QProcess.startDetached(
        sender, [*arguments, f"{method}.ShowItems", f"array:string:{place}", "string:"]
    )
    return started
