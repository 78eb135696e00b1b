"""Which layout a folder has: by model_index.json, else by the names and shapes of the tensors in
it.
"""

from __future__ import annotations

from pathlib import Path

from mlxvid.errors import WeightsError

from . import diffusers_folder, opensora, sources, wan
from .layouts import Layout, Model

# The releases' own layouts, one module each.
LAYOUTS: tuple[Layout, ...] = (wan, opensora)


def recognise(folder: Path) -> Model:
    """The model in `folder`. Raises :class:`WeightsError` where there is none that mlxvid knows, or
    it is broken or incomplete.
    """
    if diffusers_folder.recognises(folder):
        return diffusers_folder.model(folder)
    files = [sources.read_group(folder, group) for group in sources.weight_groups(folder)]
    for layout in LAYOUTS:
        if layout.recognises(files):
            return layout.model(folder, files)
    what = (
        "weights that belong to no model mlxvid knows"
        if files
        else "neither weights nor a model_index.json"
    )
    raise WeightsError(
        f"{folder} holds {what}; give the folder of a whole model, in the Diffusers layout or as released."
    )
