"""How the gallery is arranged: a button with a menu of orders, models and sizes of tiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton

from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.widgets.icons import icon

from .arrangement import Order, model_name
from .list_model import GalleryModel

# Least widths of tiles in pixels. The middle one makes two columns in the narrowest window.
TILES = {"Small": 88, "Medium": 125, "Large": 240}
ORDERS = {
    "Newest First": Order.NEWEST,
    "Oldest First": Order.OLDEST,
    "Name": Order.NAME,
    "Model": Order.MODEL,
    "Longest First": Order.LENGTH,
    "Favourites First": Order.FAVOURITES,
}
_KEPT = "gallery"


class ViewOptions(QObject):
    """The choices, kept in the preferences, and their menu. tile_changed: the least width."""

    tile_changed = Signal(int)

    def __init__(
        self, model: GalleryModel, preferences: Preferences, parent: QObject | None = None
    ):
        super().__init__(parent)
        self._model = model
        self._preferences = preferences
        kept = preferences.recall(_KEPT, {})
        known = [order for order in Order if order.value == kept.get("order")]
        self._tile = kept.get("tile") if kept.get("tile") in TILES else "Medium"
        model.arrange(
            order=known[0] if known else Order.NEWEST, stacked=kept.get("stacked") is not False
        )
        self.menu = QMenu("Arrange Clips")
        orders = self.menu.addMenu("Sort By")
        for text, order in ORDERS.items():
            self._add(orders, text, order is model.arrangement.order, partial(self._sort, order))
        tiles = self.menu.addMenu("Tiles")
        for text in TILES:
            self._add(tiles, text, text == self._tile, partial(self._set_tile, text))
        self.menu.addSeparator()
        self.stack = self.menu.addAction("Stack Takes")
        self.stack.setCheckable(True)
        self.stack.setChecked(model.arrangement.stacked)
        self.stack.toggled.connect(self._set_stacked)
        self._models = self.menu.addMenu("Only Model")
        self.menu.aboutToShow.connect(self._fill_models)
        self.button = QToolButton()
        self.button.setIcon(icon("sliders"))
        self.button.setToolTip("Sort, size and filter clips")
        self.button.setAccessibleName("Arrange clips")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setMenu(self.menu)

    @property
    def tile(self) -> int:
        """The least width of tiles."""
        return TILES[self._tile]

    def _add(self, menu: QMenu, text: str, chosen: bool, then: Callable[[], None]) -> None:
        """Add one of several choices."""
        entry = menu.addAction(text)
        entry.setCheckable(True)
        entry.setChecked(chosen)
        entry.triggered.connect(lambda: then())
        group = menu.findChild(QActionGroup) or QActionGroup(menu)
        group.addAction(entry)

    def _sort(self, order: Order) -> None:
        self._model.arrange(order=order)
        self._keep()

    def _set_tile(self, name: str) -> None:
        self._tile = name
        self.tile_changed.emit(self.tile)
        self._keep()

    def _set_stacked(self, stacked: bool) -> None:
        self._model.arrange(stacked=stacked)
        self._keep()

    def _fill_models(self) -> None:
        """List the models that have made clips; those of which none is left are no choice."""
        chosen = self._model.arrangement.model
        self._models.clear()
        for model in ["", *self._model.models]:
            text = model_name(model) or "All Models"
            self._add(self._models, text, model == chosen, partial(self._filter, model))

    def _filter(self, model: str) -> None:
        self._model.arrange(model=model)

    def _keep(self) -> None:
        arrangement = self._model.arrangement
        kept = {
            "order": arrangement.order.value,
            "tile": self._tile,
            "stacked": arrangement.stacked,
        }
        self._preferences.remember(_KEPT, kept)
