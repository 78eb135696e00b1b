"""Scenes of the app for scripts/screenshots: a module for each part of the window."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from .studio import SCENES, Scene

__all__ = ["Scene", "every_scene"]


def every_scene() -> dict[str, Scene]:
    """All scenes by name, in the order of the modules' names."""
    for module in sorted(found.name for found in iter_modules(__path__)):
        import_module(f"{__name__}.{module}")
    return SCENES
