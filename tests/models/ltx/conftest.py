"""Folders of tiny models of LTX-Video, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from mlxvid.models.ltx.recipes import RECIPES


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a model that is marked as a release, with an upsampler where that has one."""
    pytest.importorskip("diffusers")
    from . import tiny

    place = tmp_path_factory.mktemp("releases")

    @cache
    def folder(release: str) -> Path:
        recipe = RECIPES[release]
        kind = "LTXConditionPipeline" if recipe.generation == "C" else "LTXPipeline"
        network = tiny.upsampler() if recipe.second else None
        return tiny.saved(tiny.pipeline(recipe.generation, kind), place / release, release, network)

    return folder
