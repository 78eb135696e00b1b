"""What is known of model families here: their releases' layouts, and their networks.

Nothing else in this package looks them up.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import cast

from mlxvid.model.base import Part
from mlxvid.model.facts import FAMILIES, facts_of
from mlxvid.model.folder import Folder

from .release import Layout

# Modules of mlxvid.convert.layouts, in the order in which they are tried.
LAYOUTS = ("wan", "opensora")


def layouts() -> Iterator[Layout]:
    """The layouts of original releases."""
    for name in LAYOUTS:
        yield cast(Layout, importlib.import_module(f"mlxvid.convert.layouts.{name}"))


def parts_of(kind: str) -> Mapping[str, Part]:
    """The components of the pipeline class `kind`, one of :data:`mlxvid.model.facts.FAMILIES`."""
    return importlib.import_module(f"mlxvid.models.{FAMILIES[kind]}.pipeline").Family.parts


def check_runnable(folder: Folder) -> None:
    """Raise :class:`WeightsError` for an unknown pipeline, or components that don't match."""
    facts_of(folder)
