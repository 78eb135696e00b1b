"""The question for a model of the hub by its name or address."""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox, QInputDialog, QWidget

# What a browser or a command shows of a model: its owner and name, and what may follow them.
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/\s?#]+/[^/\s?#]+)")


def ask_for_repository(then: Callable[[str], None], parent: QWidget) -> None:
    """Ask for a model on the hub, and do `then` with what was entered."""
    dialog = QInputDialog(parent)
    dialog.setWindowTitle("From the Hub")
    dialog.setLabelText("The model's name on Hugging Face, as owner/name, or its address:")
    dialog.setOkButtonText("Download")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.textValueSelected.connect(then)
    dialog.open()
    # What is no name can't be sent off, and so isn't lost.
    buttons = dialog.findChild(QDialogButtonBox)
    assert buttons is not None
    download = buttons.button(QDialogButtonBox.StandardButton.Ok)
    download.setEnabled(False)
    dialog.textValueChanged.connect(lambda text: download.setEnabled(is_name(repository_of(text))))


def repository_of(text: str) -> str:
    """The owner/name in an address on the hub, or in any text without one the text."""
    found = _ADDRESS.match(text.strip())
    return found[1] if found else text.strip()


def is_name(repository: str) -> bool:
    """Whether a text has the form of a name on the hub."""
    owner, _, name = repository.partition("/")
    return bool(owner and name) and "/" not in name
