"""The settings of a clip: one table, from which every door into mlxvid takes them.

The signature of :meth:`mlxvid.Pipeline.generate`, the flags of the command line, the checks of the
worker, the fields of the window and docs/settings.md are made from :data:`SETTINGS`. A family adds
settings of its own in its card (:class:`mlxvid.model.card.Family`, `options`). No MLX here.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from mlxvid.errors import SettingError, shown

from .geometry import MAX_FRAMES, MAX_SIDE
from .rates import parse_rate

Kind = Literal[
    "text", "whole", "number", "choice", "picture", "clip", "keyframes", "loras", "options"
]
Group = Literal["what", "options", "how", "loading"]

MAX_STEPS = 1000
MAX_GUIDANCE = 100.0
MAX_SEED = 2**63 - 1
# Characters in a text that only some models take, such as a camera motion.
MAX_TEXT = 200
QUANTIZE_BITS = (4, 8)
DTYPES = ("float32", "bfloat16", "float16")

# What JSON has for each kind of setting.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "whole": (int,),
    "number": (int, float),
    "choice": (str, int),
    "picture": (str,),
    "clip": (str,),
    "keyframes": (dict,),
    "loras": (list,),
    "options": (dict,),
}


@dataclass(frozen=True)
class Setting:
    """One setting of a clip.

    name: in Python, in a worker's requests and in a clip's settings. label: in the window.
    group: "what" is made, "how", with which of the "options" that single families have, or how the
    model is "loading". low, high: range of a number, both included. choices: of a "choice", where
    the models don't have their own. unit: of a whole number, for messages. metavar: for --help.
    needs_support: only models whose card takes it can be given it. flag: where the flag is not
    called after the name. digits: decimals that the window shows. is_rate: may be "24000/1001" too.
    """

    name: str
    kind: Kind
    label: str
    help: str
    group: Group = "what"
    low: float | None = None
    high: float | None = None
    choices: tuple[str | int, ...] = ()
    unit: str = ""
    metavar: str = ""
    needs_support: bool = False
    flag: str = ""
    digits: int = 1
    is_rate: bool = False

    @property
    def dashed(self) -> str:
        """Its flag, without the leading dashes."""
        return self.flag or self.name.replace("_", "-")

    @property
    def is_loading(self) -> bool:
        """Whether :func:`mlxvid.load` takes it, not :meth:`mlxvid.Pipeline.generate`."""
        return self.group == "loading"

    def check_json(self, value: Any, where: str) -> None:
        """Raise :class:`SettingError` for a JSON value of another type than this setting has."""
        fits = not isinstance(value, bool) and isinstance(value, _JSON_TYPES[self.kind])
        if fits and self.kind == "loras":
            fits = all(isinstance(lora, str) for lora in value)
        if not fits and not (self.is_rate and parse_rate(value)):
            shown = json.dumps(value)[:60]
            raise SettingError(f"{where} give `{self.name}` as {shown}, which no clip can have.")

    def checked(self, value: Any) -> Any:
        """`value` as this setting has it: a number in its range, or a text.

        Raises :class:`SettingError` for anything else. Only for kinds that can be judged alone.
        """
        if self.kind == "number":
            return self._number(value)
        if self.kind == "whole":
            return self._whole(value)
        if self.kind == "choice" and self.choices and not is_among(value, self.choices):
            known = ", ".join(map(str, self.choices))
            raise SettingError(f"`{self.name}` must be one of: {known}; not {shown(value)}.")
        if self.kind == "text" and self.group == "options":
            return self._short_text(value)
        return value

    def _number(self, value: Any) -> float:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        number: Any = parse_rate(value) if self.is_rate else value
        is_number = isinstance(number, Real) and not isinstance(number, bool)
        if not is_number or not low <= number <= high:  # also for NaN
            reach = f"from {low:g} to {high:g}"
            kind = "number or a fraction" if self.is_rate else "number"
            raise SettingError(f"`{self.name}` must be a {kind} {reach}, not {shown(value)}.")
        return float(number)

    def _whole(self, value: Any) -> int:
        low = 0 if self.low is None else int(self.low)
        high = MAX_SEED if self.high is None else int(self.high)
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:
            most = "2^63 - 1" if high == MAX_SEED else str(high)
            number = f"a whole number of {self.unit}" if self.unit else "a whole number"
            raise SettingError(
                f"`{self.name}` must be {number} from {low} to {most}, not {shown(value)}."
            )
        return int(value)

    def _short_text(self, value: Any) -> str:
        is_text = isinstance(value, str) and bool(value.strip()) and value.isprintable()
        if not is_text or len(value) > MAX_TEXT:
            raise SettingError(
                f"`{self.name}` is a text of up to {MAX_TEXT} characters, not {shown(value)}."
            )
        return value.strip()


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
        "a picture for frame N; may be given again",
        metavar="N=FILE",
        needs_support=True,
        flag="keyframe",
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
    Setting(
        "steps",
        "whole",
        "Steps",
        "denoising steps: more are finer and slower",
        "how",
        low=1,
        high=MAX_STEPS,
        unit="steps",
        metavar="N",
    ),
    Setting(
        "guidance",
        "number",
        "Guidance",
        "how strongly the prompt pulls; 1: not at all, and twice as fast",
        "how",
        low=0,
        high=MAX_GUIDANCE,
        metavar="SCALE",
        digits=2,
    ),
    Setting(
        "seed",
        "whole",
        "Seed",
        "the same seed and settings give the same clip (default: a new one)",
        "how",
        low=0,
        high=MAX_SEED,
        metavar="N",
    ),
    Setting(
        "sampler",
        "choice",
        "Sampler",
        "of those that the model has",
        "how",
        metavar="NAME",
    ),
    Setting(
        "shift",
        "number",
        "Shift",
        "of the noise schedule: more gives outlines and motion more of the steps",
        "how",
        low=0.01,
        high=100,
        metavar="X",
        needs_support=True,
        digits=2,
    ),
    Setting(
        "attention",
        "choice",
        "Attention",
        "factored, full or spatial, for models that can",
        "how",
        metavar="MODE",
        needs_support=True,
    ),
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


def is_among(value: Any, choices: Iterable[Any]) -> bool:
    """Whether a value of any type is one of some texts, whole numbers or None."""
    return isinstance(value, (str, int, type(None))) and value in tuple(choices)


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
