"""What is missing or at odds before a clip can be made."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QWidget

from mlxvid.model.settings import SETTINGS

from .form import ComposeForm


def obstacle(form: ComposeForm, settings: dict[str, Any]) -> tuple[QWidget, str] | None:
    """The field that keeps a clip from being made, and why; None where none does."""
    if not settings["prompt"]:
        return form.prompt, "The prompt is empty: write what the clip should show."
    conflict = form.pictures.conflict()
    if conflict:
        return form.pictures, conflict
    choice = form.picker.value()
    missing = [need for need in sorted(choice.card.needs) if not settings.get(need)]
    if missing:
        labels = " and a ".join(SETTINGS[need].label.lower() for need in missing)
        return form.pictures, f"{choice.title} needs a {labels}: drop a file on its place."
    return None
