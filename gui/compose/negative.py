"""The negative prompt, folded away while it is empty."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from mlxvid.gui.widgets.fields import OWN
from mlxvid.gui.widgets.fold import FoldButton
from mlxvid.model.settings import SETTINGS

from .prompt import PromptEdit
from .setting_fields import hint

_SETTING = SETTINGS["negative_prompt"]


class NegativeBox(QWidget):
    """A line that tells the negative prompt, and opens on its field."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("negative_prompt_row")
        self.edit = PromptEdit(_SETTING.label, hint(_SETTING), 2)
        self.edit.setObjectName("negative_prompt")
        self.fold = FoldButton(_SETTING.label, self.edit, self)
        self.fold.setObjectName("negative_prompt_fold")
        self.fold.toggled.connect(self._tell)
        self.fold.clicked.connect(self._focus)
        self.edit.textChanged.connect(self._tell)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.fold)
        layout.addWidget(self.edit)

    def set_own(self, own: str) -> None:
        """Show what the model's own is, "" for none."""
        self.edit.setPlaceholderText(OWN if own else hint(_SETTING))
        self.edit.setToolTip(own)

    def fit(self) -> None:
        """Open where there is text, and fold where there is none."""
        self.fold.setChecked(bool(self.edit.toPlainText()))

    def _tell(self) -> None:
        text = " ".join(self.edit.toPlainText().split())
        told = f"{_SETTING.label} · {text}" if text and not self.fold.isChecked() else ""
        self.fold.set_line(told or _SETTING.label)

    def _focus(self, open_: bool) -> None:
        if open_:
            self.edit.setFocus()
