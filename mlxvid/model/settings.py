"""The settings of a clip: one table, from which every door into mlxvid takes them.

The signature of :meth:`mlxvid.Pipeline.generate`, the flags of the command line, the checks of the
worker, the fields of the window and docs/settings.md are made from :data:`SETTINGS`. A family adds
settings of its own in its card (:class:`mlxvid.model.card.Family`, `options`). No MLX here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from mlxvid.errors import SettingError, shown

from .geometry import MAX_FRAMES, MAX_SIDE
from .how_settings import HOW
from .how_settings import MAX_GUIDANCE as MAX_GUIDANCE
from .how_settings import MAX_STEPS as MAX_STEPS
from .setting import MAX_SEED as MAX_SEED
from .setting import MAX_TEXT as MAX_TEXT
from .setting import Group as Group
from .setting import Setting
from .setting import is_among as is_among
from .strength import USUAL_STRENGTH

QUANTIZE_BITS = (4, 8)
DTYPES = ("float32", "bfloat16", "float16")


def _side(name: str) -> Setting:
    return Setting(
        name,
        "whole",
        name.capitalize(),
        f"{name} of the clip (default: the model's, or after a picture's proportions)",
        low=1,
        high=MAX_SIDE,
        unit="pixels",
        metavar="PIXELS",
    )


_TABLE = (
    Setting("prompt", "text", "Prompt", "what the clip should show", metavar="TEXT"),
    Setting(
        "negative_prompt",
        "text",
        "Negative prompt",
        "what it should not show",
        metavar="TEXT",
        needs_support=True,
    ),
    Setting(
        "image",
        "picture",
        "First picture",
        "a picture that the first frame should show",
        metavar="FILE",
        needs_support=True,
    ),
    Setting(
        "last_image",
        "picture",
        "Last picture",
        "a picture that the last frame should show",
        metavar="FILE",
        needs_support=True,
    ),
    Setting(
        "keyframes",
        "keyframes",
        "Keyframes",
        "a picture for a frame, or a clip and a strength from 0 to 1 where the model takes them; "
        "may be given again",
        metavar="FILE@FRAME[:STRENGTH]",
        needs_support=True,
        flag="keyframe",
    ),
    Setting(
        "focus",
        "number",
        "Crop",
        "what is kept of pictures that have to be cropped: 0 their left or top, 1 their right or "
        "bottom (default: 0.5, the middle)",
        low=0,
        high=1,
        metavar="X",
        digits=2,
    ),
    Setting(
        "extend",
        "clip",
        "Go on from",
        "a clip to go on from: its last frames are the first here",
        metavar="CLIP",
        needs_support=True,
    ),
    Setting(
        "join",
        "clip",
        "Lead to",
        "a clip to lead to: its first frames are the last here",
        metavar="CLIP",
        needs_support=True,
    ),
    Setting(
        "video",
        "clip",
        "Made from",
        "a clip to make anew: its motion stays, as far as the strength lets it",
        metavar="CLIP",
        needs_support=True,
    ),
    Setting(
        "strength",
        "number",
        "Strength",
        "how far that clip is made anew: 1 keeps nothing of it but its size and length "
        f"(default: {USUAL_STRENGTH:g})",
        low=0,
        high=1,
        metavar="X",
        needs_support=True,
        digits=2,
    ),
    Setting(
        "control",
        "clip",
        "Follow",
        "a clip to follow, of depths, poses, edges or the like: as the LoRA was trained that is "
        "used with it",
        metavar="CLIP",
        needs_support=True,
    ),
    _side("width"),
    _side("height"),
    Setting(
        "resolution",
        "text",
        "Resolution",
        "a size by name, such as 480p, for models whose sizes have names",
        metavar="NAME",
    ),
    Setting(
        "aspect",
        "text",
        "Aspect",
        "with it, the proportions, such as 16:9",
        metavar="W:H",
    ),
    Setting(
        "frames",
        "whole",
        "Frames",
        "length in frames",
        low=1,
        high=MAX_FRAMES,
        unit="frames",
        metavar="N",
    ),
    Setting(
        "fps",
        "number",
        "Frames a second",
        "frames a second; 23.976 and 24000/1001 are the same",
        low=0.1,
        high=1000,
        metavar="N",
        digits=2,
        is_rate=True,
    ),
    Setting("options", "options", "Options", "settings that single families have"),
    *HOW,
    Setting(
        "model",
        "text",
        "Model",
        "a name of --list-models, a hub repository or a folder",
        "loading",
        metavar="NAME",
    ),
    Setting(
        "revision",
        "text",
        "Revision",
        "of the hub repository",
        "loading",
        metavar="REV",
    ),
    Setting(
        "loras",
        "loras",
        "LoRAs",
        "a LoRA: a file or a hub repository[:file]; may be given again",
        "loading",
        metavar="FILE[@SCALE]",
        needs_support=True,
        flag="lora",
    ),
    Setting(
        "quantize",
        "choice",
        "Weights",
        "bits a weight: to fit in memory, not for speed",
        "loading",
        choices=QUANTIZE_BITS,
    ),
    Setting(
        "dtype",
        "choice",
        "Type",
        "type of the weights in memory (default: the model's own)",
        "loading",
        choices=DTYPES,
        metavar="TYPE",
    ),
)

SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _TABLE}
"""Every setting that clips of more than one family have, by name, in the order of --help."""


def making() -> dict[str, Setting]:
    """The settings of :meth:`mlxvid.Pipeline.generate`."""
    return {name: setting for name, setting in SETTINGS.items() if not setting.is_loading}


def loading() -> dict[str, Setting]:
    """The settings of :func:`mlxvid.load`."""
    return {name: setting for name, setting in SETTINGS.items() if setting.is_loading}


def check_known(names: Iterable[str], known: Mapping[str, Any]) -> None:
    """Raise :class:`SettingError` for the first of `names` that is not among the `known` ones."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            meant = f" (did you mean `{near[0]}`?)" if near else ""
            listed = ", ".join(known)
            raise SettingError(f"There is no setting {shown(name)}{meant}; there are: {listed}.")


def check_json(values: Mapping[str, Any], where: str) -> None:
    """Raise :class:`SettingError` for settings, as JSON has them, of other types than theirs.

    where: what holds them, as the beginning of a sentence: "The settings in clip.mp4".
    """
    for name, value in values.items():
        SETTINGS[name].check_json(value, where)


def flag(name: str, options: Mapping[str, Setting]) -> str:
    """The flag of a setting, with its dashes; `options`: those that single families add."""
    setting = SETTINGS.get(name) or options.get(name)
    return f"--{setting.dashed if setting else name.replace('_', '-')}"


def label(name: str, options: Mapping[str, Setting]) -> str:
    """What the window calls a setting."""
    setting = SETTINGS.get(name) or options.get(name)
    return setting.label if setting else name.replace("_", " ")
