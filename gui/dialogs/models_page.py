"""Settings > Models: where models are kept, and the hub's token."""

from __future__ import annotations

from pathlib import Path

from mlxvid import hub
from mlxvid.gui.core.disks import GB
from mlxvid.gui.core.preferences import MODELS, Preferences
from mlxvid.paths import free_bytes

from .page import FolderRow, Page
from .token_row import TokenRow


class ModelsPage(Page):
    """Changes apply at once."""

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self.folder = FolderRow(
            "Folder for models",
            "Folder for Models",
            self.set_folder,
            lambda: self.set_folder(None),
        )
        usual = "Keep models in Hugging Face's cache, where other programs find them"
        self.folder.reset.setToolTip(usual)
        self.add_row("Keep models in", self.folder)
        self._show_folder()
        self.token = TokenRow()
        self.add_row("Hugging Face token", self.token)
        self.add_row("", self.token.note)

    def set_folder(self, folder: Path | None) -> None:
        """Keep models in another folder; None for the usual one."""
        self._preferences.models_folder = folder
        self._show_folder()

    def _show_folder(self) -> None:
        """The folder that is in use, and what is free on its disk."""
        folder = hub.hub_cache_folder()
        self.folder.show_folder(
            folder,
            f", {free_bytes(folder) / GB:,.0f} GB free",
            fixed=self._preferences.is_fixed(MODELS),
            resets=self._preferences.models_folder is not None,
        )
