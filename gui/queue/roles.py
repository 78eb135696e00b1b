"""What the models of the queue and of the history answer beside Qt's own roles."""

from __future__ import annotations

from PySide6.QtCore import Qt

JOB = Qt.ItemDataRole.UserRole
# The worker's latest `progress` event for it, {} where it doesn't run.
PROGRESS = Qt.ItemDataRole.UserRole + 1
# How far it is, or what became of it, on one line.
LINE = Qt.ItemDataRole.UserRole + 2
# A QImage, or None.
PICTURE = Qt.ItemDataRole.UserRole + 3
# Its row's buttons.
BUTTONS = Qt.ItemDataRole.UserRole + 4
# The history's row.
PAST = Qt.ItemDataRole.UserRole + 5
