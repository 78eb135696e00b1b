"""The button beside the prompt that opens the saved and earlier ones."""

from __future__ import annotations

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QToolButton

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.saved_prompts import SavedPrompt, SavedPrompts
from mlxvid.gui.widgets.icons import icon

from .negative import NegativeBox
from .prompt import PromptEdit
from .prompts_popup import PromptsPopup


class PromptsButton(QToolButton):
    """Opens the list; what is chosen goes into the two fields, where undo takes it back."""

    def __init__(
        self,
        edit: PromptEdit,
        negative: NegativeBox,
        database: Database,
        preferences: Preferences,
    ):
        super().__init__()
        self._edit = edit
        self._negative = negative
        self._database = database
        self.popup = PromptsPopup(SavedPrompts(preferences), database.prompts, self)
        self.popup.chosen.connect(self._take)
        self.popup.removed.connect(self._follow)
        self.setObjectName("prompts_button")
        self.setIcon(icon("history"))
        self.setAccessibleName("Saved and earlier prompts")
        self.setToolTip("Saved and earlier prompts")
        self.clicked.connect(self.open_list)

    def open_list(self) -> None:
        """Show the prompts."""
        below = self.mapToGlobal(QPoint(0, self.height() + 2))
        negative = self._negative.edit.toPlainText().strip()
        self.popup.show_at(below, SavedPrompt(self._edit.toPlainText().strip(), negative))

    def _take(self, chosen: SavedPrompt) -> None:
        self._database.add_prompt(self._edit.toPlainText().strip())
        self._edit.set_text(chosen.prompt)
        if chosen.name:
            self._negative.edit.set_text(chosen.negative)
            self._negative.fit()
        self._edit.setFocus()

    def _follow(self, removed: SavedPrompt) -> None:
        """What was saved is an earlier prompt now, so that it isn't lost; that one can go, too."""
        if removed.name:
            self._database.add_prompt(removed.prompt)
        else:
            self._database.forget_prompt(removed.prompt)
        self._edit.set_history(self._database.prompts())
