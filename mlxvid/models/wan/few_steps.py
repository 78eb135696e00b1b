"""Distillations of Wan 2.1 to a few steps: what each is run with, and how it is known.

Facts from ModelTC/LightX2V (configs/distill), hao-ai-lab/FastVideo (its DMD pipeline) and
tianweiy/CausVid. No MLX here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType

from mlxvid.json_files import read_json
from mlxvid.model.folder import Folder
from mlxvid.model.recipe import Recipe

# The pipeline in the model_index.json of FastVideo's models that were distilled so.
DMD_PIPELINE = "WanDMDPipeline"
DMD_TIMESTEPS = (1000, 757, 522)

FOUR_STEPS = Recipe(steps=4, sampler="euler-even", shift=5.0)
DMD = Recipe(steps=3, sampler="dmd", shift=8.0)
CAUSVID = Recipe(
    steps=8,
    sampler="unipc",
    shift=8.0,
    terms="CausVid's weights are licensed for non-commercial use alone",
)

# By the names under which a model's index can have them.
RECIPES = MappingProxyType({"four-steps": FOUR_STEPS, "dmd": DMD})
KEY = "few_steps"
"""What model_index.json calls a converted model's recipe."""

# In names of files and repositories. The first that fits decides: LightX2V has a CausVid as well.
_NAMES = (
    (re.compile(r"causvid", re.IGNORECASE), CAUSVID),
    (re.compile(r"fast[ _-]?wan", re.IGNORECASE), DMD),
    (
        re.compile(
            r"lightx2v|lightning|step[ _-]?distill|distill_model"
            r"|(?<![0-9])4[ _-]?steps?(?![a-z0-9])",
            re.IGNORECASE,
        ),
        FOUR_STEPS,
    ),
)

GATE = ".to_gate_compress."
"""In the names of the weights that only sparse attention has."""
DENSE_NOTE = (
    "This model was trained with sparse attention, whose gates (to_gate_compress) are left out: "
    "here each token attends to all others, so its frames differ from its authors' and take no "
    "less time."
)


def has_gates(folder: Folder) -> bool:
    """Whether the transformer's index of shards names gates of sparse attention."""
    index = folder.path / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    names = read_json(index).get("weight_map", {}) if index.is_file() else {}
    return any(GATE in name for name in names)


def by_names(names: Iterable[str]) -> Recipe | None:
    """The recipe of a few-step model or LoRA that is called so; None for any other."""
    text = " ".join(names)
    for pattern, recipe in _NAMES:
        if pattern.search(text):
            return recipe
    return None


def by_place(place: str) -> str | None:
    """What :data:`RECIPES` calls the recipe of a transformer in a file called so; None for those of
    models that take more steps, and of causal ones.
    """
    recipe = by_names([place])
    return next((name for name, known in RECIPES.items() if known is recipe), None)
