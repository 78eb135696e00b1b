"""The user's own models: folders that were added to the list or imported, and their names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .database_file import data_folder
from .preferences import Preferences

# Where the preferences keep what is known of each folder besides that it is listed, and the imports
# that were begun and not finished.
_KEPT = "own_models"
_BEGUN = "imports"


@dataclass(frozen=True)
class Import:
    """An import that was begun: the model's title, and what python -m mlxvid.convert is given."""

    title: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class OwnModel:
    """One of them. made: whether mlxvid wrote its folder."""

    folder: Path
    title: str
    made: bool


@dataclass(frozen=True)
class Known:
    """All of it as it is now, for other threads. place: where imports are made."""

    place: Path
    models: tuple[OwnModel, ...]
    begun: dict[str, Import]


class OwnModels:
    """What the preferences keep of them."""

    def __init__(self, preferences: Preferences):
        self._preferences = preferences

    @property
    def folders(self) -> list[str]:
        """The folders in the order in which they came."""
        return self._preferences.model_folders

    @property
    def place(self) -> Path:
        """The folder in which imported models are made."""
        return self._preferences.models_folder or data_folder() / "models"

    def known(self) -> Known:
        """All of it as it is now."""
        folders = [Path(name) for name in self.folders]
        models = [OwnModel(path, self.title(path), self.is_made(path)) for path in folders]
        return Known(self.place, tuple(models), self.begun())

    def add(self, folder: Path, title: str = "", *, made: bool = False) -> None:
        """List a folder; made: whether mlxvid wrote it."""
        name = str(folder)
        if name not in self.folders:
            self._preferences.model_folders = [*self.folders, name]
        known = {"title": title or self.title(folder), "made": made or self.is_made(folder)}
        self._keep({**self._facts_of_all(), name: known})

    def remove(self, folder: Path) -> None:
        """Take a folder off the list, and leave it on the disk."""
        self._preferences.model_folders = [name for name in self.folders if name != str(folder)]
        known = self._facts_of_all()
        known.pop(str(folder), None)
        self._keep(known)

    def rename(self, folder: Path, title: str) -> None:
        """Give a model a name of the user's; the folder keeps its own."""
        facts = self._facts(folder)
        self._keep({**self._facts_of_all(), str(folder): {**facts, "title": title.strip()}})

    def title(self, folder: Path) -> str:
        """The user's name for it, or the folder's."""
        title = self._facts(folder).get("title")
        return title if isinstance(title, str) and title else folder.name

    def is_made(self, folder: Path) -> bool:
        """Whether mlxvid wrote it, so that it may be deleted; others are the user's."""
        made = self._facts(folder).get("made") is True
        return made or folder.parent == data_folder() / "models"

    def begin(self, folder: Path, title: str, arguments: Sequence[str]) -> None:
        """Keep an import into `folder`, so that it can be resumed at any time."""
        begun = self._preferences.recall(_BEGUN, {})
        kept = {"title": title, "arguments": list(arguments)}
        self._preferences.remember(_BEGUN, {**begun, str(folder): kept})

    def end(self, folder: Path) -> None:
        """Forget an import: it is finished, or not wanted any more."""
        begun = self._preferences.recall(_BEGUN, {})
        begun.pop(str(folder), None)
        self._preferences.remember(_BEGUN, begun)

    def begun(self) -> dict[str, Import]:
        """The imports that are not finished, by their folders."""
        found = {}
        for folder, kept in self._preferences.recall(_BEGUN, {}).items():
            if isinstance(kept, dict) and isinstance(kept.get("arguments"), list):
                arguments = tuple(str(argument) for argument in kept["arguments"])
                found[folder] = Import(str(kept.get("title") or Path(folder).name), arguments)
        return found

    def is_free(self, folder: Path) -> bool:
        """Whether nothing is in a folder, nor is about to be. Reads the disk."""
        empty = not folder.exists() or folder.is_dir() and not any(folder.iterdir())
        taken = {*self.folders, *self.begun()}
        return empty and str(folder.resolve()) not in taken

    def free_folder(self, folder: Path) -> Path:
        """`folder`, or the first of folder-2, folder-3… that is free."""
        names = (f"{folder.name}-{number}" for number in itertools.count(2))
        others = (folder.with_name(name) for name in names)
        return next(place for place in itertools.chain([folder], others) if self.is_free(place))

    def _facts_of_all(self) -> dict[str, Any]:
        return self._preferences.recall(_KEPT, {})

    def _facts(self, folder: Path) -> dict[str, Any]:
        facts = self._facts_of_all().get(str(folder))
        return facts if isinstance(facts, dict) else {}

    def _keep(self, known: dict[str, Any]) -> None:
        self._preferences.remember(_KEPT, known)
