"""A model in the Diffusers layout: model_index.json, and for each component a folder.

A component's folder has its config.json and its weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mlxvid import models
from mlxvid.errors import WeightsError
from mlxvid.model.folder import Folder
from mlxvid.model.tiny import FOLDER as TINY_DECODER
from mlxvid.weights.files import average_folder, component_files

from . import families, sources
from .release import Component, Release, WeightFile, left_out


def recognises(folder: Path) -> bool:
    """Whether `folder` has this layout."""
    return (folder / "model_index.json").is_file()


def read_release(folder: Path) -> Release:
    """The model in `folder`, with names and files as they are.

    Raises :class:`WeightsError` where a component is missing or can't be run.
    """
    model = Folder(folder)
    families.check_runnable(model)
    kind = model.index["_class_name"]
    parts = families.family_of(kind).parts

    components = []
    notes = []
    for path in _subfolders(folder):
        group = component_files(path)
        if not group or path.name == TINY_DECODER:
            continue
        average = average_folder(folder, path.name)
        if path.name in parts and average is not None:
            notes.append(f"Taken: {average.name}, the average over the training.")
            group = component_files(average)
        if path.name in parts:
            weights = sources.read_component(model.path, group)
            notes += left_out([], used=[weights])
            components.append(_component(model, path, group, weights))
        elif _is_listed(model, path.name):
            raise WeightsError(
                f"{path} is a component that mlxvid's {kind} does not have; "
                "it was made for another version."
            )
        else:
            notes.append(f"Left out: the weights in {path.name}, which mlxvid does not use.")

    found = {component.name for component in components}
    for name, part in parts.items():
        if name not in found and (not part.optional or _is_listed(model, name)):
            raise WeightsError(f"{folder / name} has no weights; download the model again.")

    files = {}
    for place in [folder, *_subfolders(folder)]:
        # Two of them may be links to the same folder.
        for path in sources.files_in(place):
            if not sources.is_weights(path) or place.name == TINY_DECODER:
                files[str(path.relative_to(folder))] = path
    note = models.card_of(folder).note
    index = model.index | ({"note": note} if note else {})
    return Release(f"a Diffusers folder ({kind})", index, components, files, notes)


def _subfolders(folder: Path) -> Iterator[Path]:
    """The folders directly in `folder`, in order, hidden ones excepted."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path


def _is_listed(model: Folder, name: str) -> bool:
    """Whether model_index.json names a class for the component."""
    listed = model.index.get(name)
    return isinstance(listed, list) and any(listed)


def _component(model: Folder, path: Path, group: list[Path], weights: WeightFile) -> Component:
    # The last of a group is a weight file; the first may be an index.
    stem = re.split(r"[.-]", group[-1].name)[0].removeprefix("pytorch_")
    return Component(path.name, model.json(path.name), weights.tensors, stem, path)
