"""A folder in the Diffusers layout: model_index.json, and a folder for each component with its
config.json and its weights.
"""

from __future__ import annotations

import re
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.model.facts import facts_of
from mlxvid.model.folder import Folder
from mlxvid.weights.files import component_files

from . import sources
from .fitting import parts_of
from .layouts import Component, Model

# What the pipeline asks every family for.
NEEDED = ("text_encoder", "transformer", "vae")


def recognises(folder: Path) -> bool:
    """Whether this is such a folder."""
    return (folder / "model_index.json").is_file()


def model(folder: Path) -> Model:
    """The model in `folder`, names and files as they are. Raises :class:`WeightsError` where a part
    is missing or can't be run.
    """
    described = Folder(folder)
    facts_of(
        described
    )  # raises for a pipeline that is unknown here, and for parts that don't belong together
    index, kind = described.index, described.index["_class_name"]
    parts = parts_of(kind)
    components, notes = [], []
    for path in sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    ):
        group = component_files(path)
        if group and path.name in parts:
            components.append(_component(described, path, group))
        elif group and any(index.get(path.name) or ()):
            raise WeightsError(
                f"{path} belongs to a model that mlxvid's {kind} is not; it was made for another version."
            )
        elif group:
            notes.append(f"Left out: the weights in {path.name}, which mlxvid does not use.")
    there = {component.name for component in components}
    for name in parts:
        if name not in there and (name in NEEDED or any(index.get(name) or ())):
            raise WeightsError(f"{folder / name} has no weights; download the model again.")
    files = {
        str(path.relative_to(folder)): path
        for path in sources.files_in(folder)
        if not sources.is_weights(path)
    }
    return Model(f"a Diffusers folder ({kind})", index, components, files, notes)


def _component(folder: Folder, path: Path, group: list[Path]) -> Component:
    stem = re.split(r"[.-]", group[-1].name)[0].removeprefix("pytorch_")
    return Component(
        path.name,
        folder.json(path.name),
        sources.read_group(folder.path, group).tensors,
        stem,
        path,
    )
