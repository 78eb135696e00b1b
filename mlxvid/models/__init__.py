"""The registry of families. A family is a package in this folder, and one line here.

Nothing here brings MLX: a family's card is read, its networks are not.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.model.card import Card, Family
from mlxvid.model.folder import Folder
from mlxvid.model.quantization import check_config
from mlxvid.model.settings import Setting
from mlxvid.model.tiny import TinyDecoder

FAMILIES = (
    "factored",
    "wan",
    "latte",
    "opensora",
    "ltx",
    "cogvideox",
    "hunyuan",
)


@cache
def families() -> tuple[Family, ...]:
    """Every family, in the order of :data:`FAMILIES`."""
    return tuple(_card_module(name).FAMILY for name in FAMILIES)


@cache
def cards() -> tuple[Card, ...]:
    """Every model known by name."""
    return tuple(card for name in FAMILIES for card in _card_module(name).CARDS)


@cache
def options() -> dict[str, Setting]:
    """The settings that single families add, by name."""
    return {option.name: option for family in families() for option in family.options}


def by_pipeline() -> dict[str, Family]:
    """The family that runs each class of model_index.json."""
    return {pipeline: family for family in families() for pipeline in family.pipelines}


def tiny_decoders() -> dict[str, TinyDecoder]:
    """The tiny decoders that go with families' models, by name."""
    found = [family.tiny_decoder for family in families()]
    return {tiny.name: tiny for tiny in found if tiny is not None}


def presets() -> dict[str, dict[str, object]]:
    """Settings that go together, by name, of all families."""
    return {
        name: dict(settings) for family in families() for name, settings in family.presets.items()
    }


def family_of(folder: Folder) -> Family:
    """The family that runs a folder's model; raises :class:`WeightsError` where there is none."""
    pipeline = folder.index.get("_class_name")
    known = by_pipeline()
    if not isinstance(pipeline, str) or not pipeline:
        raise WeightsError(
            f"{folder.path / 'model_index.json'} names no pipeline (_class_name); download or "
            "convert the model again."
        )
    if pipeline not in known:
        raise WeightsError(
            f"{folder.path} holds a {pipeline}, which mlxvid can't run; it runs: "
            f"{', '.join(known)}."
        )
    return known[pipeline]


def card_of(path: Path) -> Card:
    """The card of the model in a local folder.

    Raises :class:`WeightsError` for one that mlxvid can't run, or whose configs are broken.
    """
    folder = Folder(path)
    family = family_of(folder)
    for component in family.parts:
        config = path / component / "config.json"
        if config.is_file():
            check_config(read_json(config), path / component)
    return family.read(folder)


def _card_module(name: str):
    return importlib.import_module(f"{__name__}.{name}.card")
