"""The page of a window without clips: try it now, get a model, open what there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.choices import Choice, Choices
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.widgets.theme import faint_label

from .cards import Card, link
from .offer_row import OfferRow
from .offers import Offer, offers

# Pixels: longer lines are hard to read.
_WIDEST = 560


class WelcomePage(QScrollArea):
    """Three cards.

    try_prompt: the name of a model that is here, and a prompt for it. get, use, look: a model's
    name; settings_for has the settings with which it fits.
    all_models, open_file: as the buttons say. folder_chosen: where the user's clips are.
    """

    try_prompt = Signal(str, str)
    get = Signal(str)
    use = Signal(str)
    look = Signal(str)
    all_models = Signal()
    open_file = Signal()
    folder_chosen = Signal(Path)

    def __init__(self, choices: Choices, jobs: ModelJobs):
        super().__init__()
        self._choices = choices
        self._jobs = jobs
        self._tasks = Tasks(1, self)
        self.rows: list[OfferRow] = []
        self._offers = QVBoxLayout()
        self._lay_out()
        jobs.changed.connect(self._follow)
        choices.modelReset.connect(self._look)
        choices.arrived.connect(lambda name: self._look())

    def stop(self) -> None:
        """Look for nothing more."""
        self._tasks.stop()

    def settings_for(self, name: str) -> dict[str, Any]:
        """The model, and the bits of its weights where it is offered with fewer."""
        bits = next((row.bits for row in self.rows if row.name == name), None)
        return {"model": name, "quantize": bits} if bits else {"model": name}

    def _lay_out(self) -> None:
        cards = QWidget()
        cards.setMaximumWidth(_WIDEST)  # of each card it would be unknown to the scroll area
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(14)
        column.addStretch(1)
        for card in (*self._cards_to_try(), self._card_to_get(), self._card_to_open()):
            column.addWidget(card)
        column.addStretch(2)
        content = QWidget()
        row = QHBoxLayout(content)
        row.setContentsMargins(20, 20, 20, 20)
        row.addStretch(1)
        row.addWidget(cards, 100)
        row.addStretch(1)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Welcome")

    def _cards_to_try(self) -> list[Card]:
        """One for each model that comes with the app and has prompts to show."""
        return [
            self._card_to_try(card.name, card.prompts) for card in CATALOG.values() if card.prompts
        ]

    def _card_to_try(self, name: str, prompts: tuple[str, ...]) -> Card:
        card = Card("Try It Now", "Shapes only, for trying. A click makes the clip.")
        for prompt in prompts:
            button = link(prompt)
            button.setObjectName("example")
            button.clicked.connect(lambda _=False, text=prompt: self.try_prompt.emit(name, text))
            card.column.addWidget(button)
        return card

    def _card_to_get(self) -> Card:
        machine = "Mac" if sys.platform == "darwin" else "Computer"
        card = Card(f"Get a Model for This {machine}", "For anything that you can describe.")
        card.column.addLayout(self._offers)
        every = link("All Models…")
        every.setObjectName("all-models")
        every.clicked.connect(self.all_models)
        card.column.addWidget(every)
        return card

    def _card_to_open(self) -> Card:
        card = Card("Open a Clip or Folder", "Or drop a clip anywhere in the window.")
        buttons = QHBoxLayout()
        buttons.setSpacing(16)
        file = link("Open Clip…")
        file.clicked.connect(self.open_file)
        folder = link("Folder of Clips…")
        folder.setToolTip("The clips in it come into the gallery, and new ones are saved there")
        folder.clicked.connect(self._ask_for_folder)
        buttons.addWidget(file)
        buttons.addWidget(folder)
        buttons.addStretch(1)
        card.column.addLayout(buttons)
        return card

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look()

    # --- models -----------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look for models that fit, in the background; while nobody sees the page, later."""
        if not self.isVisible():
            return
        found = [self._choices.at(row) for row in range(self._choices.rowCount())]
        choices = [choice for choice in found if choice is not None]
        machine = self._choices.machine
        self._tasks.stop()
        self._tasks.run(lambda task: offers(choices, machine), done=self._show_offers)

    def _show_offers(self, task: Task, found: list[Offer]) -> None:
        while (item := self._offers.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        known = [(offer, self._choices.find(offer.name)) for offer in found]
        self.rows = []
        for offer, choice in known:
            if choice is not None:
                self.rows.append(self._row(offer, choice))
        for row in self.rows:
            self._offers.addWidget(row)
        if not self.rows:
            text = "No model of the catalog fits in the memory of this machine at its usual size."
            self._offers.addWidget(faint_label(text))

    def _row(self, offer: Offer, choice: Choice) -> OfferRow:
        row = OfferRow(offer, choice, self._jobs)
        row.get.connect(self.get)
        row.use.connect(self.use)
        row.look.connect(self.look)
        row.pause.connect(self._jobs.stop)
        return row

    def _follow(self, name: str) -> None:
        for row in self.rows:
            if row.name == name:
                row.follow()

    def _ask_for_folder(self) -> None:
        dialog = QFileDialog(self, "Folder of Clips")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda chosen: self.folder_chosen.emit(Path(chosen)))
        dialog.open()
