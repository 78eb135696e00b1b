"""The question whether a licence is accepted."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from .theme import set_role


class LicenceDialog(QDialog):
    """Show a licence's name and what it says; accepted means that the user accepts it."""

    def __init__(self, model: str, name: str, sentence: str, page: str, parent: QWidget):
        super().__init__(parent)
        self.setWindowTitle("Licence")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        heading = QLabel(f"{model}: {name}")
        heading.setWordWrap(True)
        set_role(heading, "heading")
        text = QLabel(sentence)
        text.setWordWrap(True)
        text.setObjectName("licence-text")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button = buttons.addButton("Accept", QDialogButtonBox.ButtonRole.AcceptRole)
        self.accept_button.setToolTip("Asked once for each licence")
        self.page_button = buttons.addButton(
            "Open Its Page", QDialogButtonBox.ButtonRole.ActionRole
        )
        self.page_button.setToolTip(page)
        self.page_button.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(page)))
        # Who presses Return without reading has accepted nothing.
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 16)
        column.setSpacing(12)
        column.addWidget(heading)
        column.addWidget(text)
        column.addStretch(1)
        column.addWidget(buttons)
        self.setMinimumWidth(460)
