"""Which release a model of LTX-Video is: told by its sizes, and where these are the same by names.

Sizes tell the generation of the VAE and the two transformers apart. Releases of the same sizes
differ in their weights alone: the names of files and folders say which they are, and metadata
whether they are distilled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mlxvid.model.folder import Folder

from .recipes import BLOCKS_2B, RECIPES, Generation, Recipe

# The key of model_index.json in which the converter and the catalog say which release it is.
KEY = "ltx_release"
_VERSION = re.compile(r"(?<![0-9.])0\.9(?:\.([0-9]))?(?![0-9])")
_DISTILLED = re.compile(r"distil", re.IGNORECASE)
_DEV = re.compile(r"(?<![a-z])dev(?![a-z])", re.IGNORECASE)


class Told(NamedTuple):
    """A release, and whether sizes and names said all of it."""

    recipe: Recipe
    certain: bool


def told(
    generation: Generation, blocks: int, names: Iterable[str], distilled: bool | None = None
) -> Told | None:
    """The release with a VAE of this generation and a transformer of so many blocks.

    names: of its files and folders, the nearest first; those that say nothing are passed over.
    distilled: where something else than names says it. Of several that are left it is the newest,
    and one that is not distilled. None where there is no release of such sizes.
    """
    large = blocks > BLOCKS_2B
    found = [
        recipe
        for recipe in RECIPES.values()
        if recipe.generation == generation and (recipe.blocks > BLOCKS_2B) == large
    ]
    if len(found) <= 1:
        return Told(found[0], True) if found else None
    names = list(names)
    version = _first(names, _version)
    if distilled is None:
        distilled = _first(names, _is_distilled)
    of_version = [recipe for recipe in found if _version(recipe.release) == version]
    found = of_version or found
    # A version with one release of these sizes needs no word for its kind.
    certain = bool(of_version) and (distilled is not None or len(found) == 1)
    kind = [recipe for recipe in found if recipe.distilled == bool(distilled)]
    return Told((kind or found)[-1], certain)


def _first(names: Iterable[str], what):
    """What the first of the names says that says anything."""
    answers = (what(name) for name in names)
    return next((answer for answer in answers if answer is not None), None)


def _version(name: str) -> str | None:
    """ "0.9.7" in a name of any kind; "0.9.0" for one that says 0.9 alone."""
    match = _VERSION.search(name)
    return f"0.9.{match[1] or 0}" if match else None


def _is_distilled(name: str) -> bool | None:
    if _DISTILLED.search(name):
        return True
    return False if _DEV.search(name) else None


def uncertain(recipe: Recipe) -> str:
    """What to say where names and sizes left a choice."""
    return (
        f"Taken for LTX-Video {recipe.release}, since no name says which release it is; another "
        "one's name in that of the file or folder, as ltxv-13b-0.9.7-distilled, changes that."
    )


def names(folder: Folder) -> list[str]:
    """What the folder and its components were called, the nearest first."""
    path = folder.path.resolve()
    # In the hub's cache a snapshot is two levels below the folder with the repository's name.
    names = [folder.path.name, path.name, path.parents[1].name if len(path.parents) > 1 else ""]
    configs = [folder.index, folder.json("transformer"), folder.json("vae")]
    for config in configs:
        name = config.get("_name_or_path")
        if isinstance(name, str):
            names.append(name)
    return names
