"""Prompts that the user saved under a name."""

from __future__ import annotations

from typing import NamedTuple

from .preferences import Preferences

_KEY = "saved_prompts"


class SavedPrompt(NamedTuple):
    """A prompt, its negative prompt, and its name; an earlier prompt has none."""

    prompt: str
    negative: str = ""
    name: str = ""


class SavedPrompts:
    """Those that were saved, by name, in the preferences."""

    def __init__(self, preferences: Preferences):
        self._preferences = preferences

    def all(self) -> list[SavedPrompt]:
        """In the order of their names; what makes no sense is left out."""
        found = []
        for entry in self._preferences.recall(_KEY, []):
            is_whole = isinstance(entry, list) and len(entry) == 3
            if is_whole and all(isinstance(part, str) for part in entry):
                found.append(SavedPrompt(*entry))
        return sorted(found, key=lambda saved: saved.name.casefold())

    def names(self) -> set[str]:
        return {saved.name for saved in self.all()}

    def save(self, saved: SavedPrompt) -> None:
        """Keep a prompt; one of the same name is replaced."""
        self._write([*self._others(saved.name), saved])

    def remove(self, name: str) -> None:
        self._write(self._others(name))

    def _others(self, name: str) -> list[SavedPrompt]:
        return [saved for saved in self.all() if saved.name != name]

    def _write(self, prompts: list[SavedPrompt]) -> None:
        self._preferences.remember(_KEY, [list(saved) for saved in prompts])
        self._preferences.save()
