"""What is known of a clip, as lines to read and to copy: what made it, and its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QDateTime, QLocale

from mlxvid.catalog import CATALOG
from mlxvid.model.settings import SETTINGS

from .frames import Facts
from .progress_text import duration

_FILES = ("image", "last_image", "extend", "join", "video", "control")
# Told by the lines on size and length.
_MEASURES = ("width", "height", "frames", "fps", "resolution", "aspect")
# In sight, in this order; the other settings are folded away.
_FIRST = (
    *("prompt", "negative_prompt", "model", "seed", "steps", "guidance", "loras"),
    *_FILES,
    "keyframes",
)


@dataclass(frozen=True)
class Fact:
    """One line.

    name: of the setting, or of what else it tells. copied: what is copied of it. folded: whether it
    is seldom wanted.
    """

    name: str
    label: str
    text: str
    copied: str
    folded: bool = False


def facts_of(
    settings: dict[str, Any],
    measures: Facts | None = None,
    path: Path | None = None,
    created: float | None = None,
    seconds: float | None = None,
) -> list[Fact]:
    """The lines on a clip; what isn't known of it has none.

    settings: those in its file, which may hold anything. measures: of its file; those of the
    settings without one. created: seconds since 1970. seconds: how
    long it took to make.
    """
    found = [_setting(name, settings[name]) for name in _FIRST if _is_told(settings.get(name))]
    measures = measures or _asked(settings)
    if measures is not None:
        found += _measures(measures)
    if seconds is not None:
        found.append(_plain("seconds", "Time taken", duration(seconds)))
    if created is not None:
        made = QDateTime.fromSecsSinceEpoch(int(created))
        stamp = QLocale().toString(made, QLocale.FormatType.ShortFormat)
        found.append(_plain("created", "Made", stamp))
    if path is not None:
        found.append(Fact("file", "File", path.name, str(path)))
    others = [name for name in SETTINGS if name not in (*_FIRST, *_MEASURES)]
    for name in others:
        if _is_told(settings.get(name)):
            found.append(_setting(name, settings[name], folded=True))
    if settings.get("mlxvid"):
        found.append(
            Fact("mlxvid", "mlxvid", str(settings["mlxvid"]), str(settings["mlxvid"]), True)
        )
    return found


def _is_told(value: Any) -> bool:
    """Whether a setting says anything."""
    return value is not None and value is not False and value not in ("", [], {})


def _setting(name: str, value: Any, folded: bool = False) -> Fact:
    text = _WORDS.get(name, _word)(value)
    copied = str(value) if name in _FILES or name == "model" else text
    return Fact(name, SETTINGS[name].label, text, copied, folded)


def _asked(settings: dict[str, Any]) -> Facts | None:
    """The measures of a clip that is being made."""
    try:
        width, height, frames = (int(settings[name]) for name in ("width", "height", "frames"))
        return Facts(float(settings["fps"]), frames, width, height, {})
    except (KeyError, TypeError, ValueError):
        return None


def _measures(measures: Facts) -> list[Fact]:
    found = [_plain("size", "Size", f"{measures.width}×{measures.height}")]
    if measures.frames:
        found.append(_plain("length", "Length", length_text(measures.frames, measures.fps)))
    return [*found, _plain("rate", "Rate", f"{measures.fps:g} fps")]


def length_text(frames: int, fps: float) -> str:
    """A length as both count it: "2.1 s, 34 frames"."""
    return f"{frames / fps:.1f} s, {frames} frame{'' if frames == 1 else 's'}"


def _plain(name: str, label: str, text: str) -> Fact:
    return Fact(name, label, text, text)


def _word(value: Any) -> str:
    if value is True:
        return "On"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _title(value: Any) -> str:
    name = str(value)
    return CATALOG[name].title if name in CATALOG else Path(name).name


def _name(value: Any) -> str:
    return Path(str(value)).name


def _lora(value: Any) -> str:
    """A file and its strength: "style.safetensors@0.8" is "style.safetensors, 0.8"."""
    name, _, strength = _name(value).partition("@")
    return f"{name}, {strength}" if strength and strength != "1" else name


def _listed(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return "\n".join(_lora(item) for item in values)


def _keyframes(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return "\n".join(f"{frame}: {_source(given)}" for frame, given in value.items())


def _source(given: Any) -> str:
    return _name(given[0] if isinstance(given, list) and given else given)


_WORDS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(_FILES, _name),
    "model": _title,
    "loras": _listed,
    "keyframes": _keyframes,
    "quantize": lambda value: f"{value} bits",
}
