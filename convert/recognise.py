"""Recognises a folder's layout: by model_index.json, or by its tensors' names and shapes."""

from __future__ import annotations

from pathlib import Path

from mlxvid.errors import WeightsError

from . import diffusers_folder, families, sources
from .release import Release


def recognise(folder: Path) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where mlxvid knows none, or where it is broken or incomplete.
    """
    if diffusers_folder.recognises(folder):
        return diffusers_folder.read_release(folder)
    files = [sources.read_group(folder, group) for group in sources.weight_groups(folder)]
    for layout in families.layouts():
        if layout.recognises(files):
            return layout.read_release(folder, files)
    if files:
        content = "weights of no model that mlxvid knows"
    else:
        content = "neither weights nor a model_index.json"
    raise WeightsError(
        f"{folder} holds {content}; "
        "give the folder of a complete model, in the Diffusers layout or as released."
    )
