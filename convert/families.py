"""What is known of model families here: their releases' layouts, and their parts.

Nothing else in this package looks them up.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import cast

from mlxvid import models
from mlxvid.model.card import Family
from mlxvid.model.folder import Folder

from .release import Layout


def layouts() -> Iterator[Layout]:
    """The layouts of original releases, modules of mlxvid.convert.layouts that families name."""
    for family in models.families():
        for name in family.layouts:
            yield cast(Layout, importlib.import_module(f"mlxvid.convert.layouts.{name}"))


def family_of(pipeline: str) -> Family:
    """The family that runs the pipeline class of a model_index.json."""
    return models.by_pipeline()[pipeline]


def check_runnable(folder: Folder) -> None:
    """Raise :class:`WeightsError` for an unknown pipeline, or components that don't match."""
    models.card_of(folder.path)
