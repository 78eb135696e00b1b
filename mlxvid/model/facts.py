"""What can be said of a model from its configs alone: its geometry, what it can do, what it makes
by default, and its weights' sizes.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from mlxvid.catalog import Entry, find
from mlxvid.errors import ModelNotFoundError, WeightsError

from .folder import Folder
from .geometry import Facts
from .memory import Footprint

# The class in model_index.json -> the package of mlxvid.models that runs it.
FAMILIES = {
    "FactoredPipeline": "factored",
    "WanPipeline": "wan",
    "WanImageToVideoPipeline": "wan",
    "LattePipeline": "latte",
    "OpenSoraPipeline": "opensora",
}


def family_of(folder: Folder) -> str:
    """The package of mlxvid.models that runs the folder's model; raises :class:`WeightsError` where
    there is none.
    """
    kind = folder.index.get("_class_name")
    if kind not in tuple(FAMILIES):
        raise WeightsError(
            f"{folder.path} holds a {kind}, which mlxvid can't run; it runs: {', '.join(FAMILIES)}."
        )
    return FAMILIES[kind]


def facts_of(folder: Folder) -> Facts:
    """The facts of a model; raises :class:`WeightsError` for one that mlxvid can't run, or whose
    configs are broken.
    """
    return importlib.import_module(f"mlxvid.models.{family_of(folder)}.facts").facts(folder)


def entry_of(model: str) -> Entry:
    """The catalog's entry for a name or repository that it knows, or else the description of a
    local folder.

    Raises :class:`ModelNotFoundError` where it is neither, and :class:`WeightsError` for a folder
    that holds no model.
    """
    try:
        return find(model)
    except ModelNotFoundError:
        path = Path(model).expanduser()
        if not path.is_dir():
            raise
        return describe(path)


def describe(path: Path) -> Entry:
    """An entry as the catalog has them for the model in a local folder, so that it can be planned
    like those known by name.
    """
    folder = Folder(path)
    facts = facts_of(folder)
    dtype = folder.index.get("dtype") or ("float32" if facts.float32 == frozenset() else "bfloat16")
    return Entry(
        name=str(path),
        title=path.name,
        family=family_of(folder),
        licence="",
        description=f"The model in {path}.",
        defaults=facts.defaults,
        capabilities=facts.capabilities,
        geometry=facts.geometry,
        footprint=Footprint({}, facts.heads, facts.head_dim, dtype, facts.float32),
        folder=path,
        attention=facts.attention_modes[0],
        needs=facts.needs,
    )
