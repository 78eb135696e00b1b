"""The settings that two clips don't share, in words short enough to stand over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .frames import Facts


def _listed(value: Any) -> str:
    """The names in a list, without their folders; the settings of a file may hold anything."""
    if not isinstance(value, (list, dict)):
        return str(value)
    return ", ".join(str(item).rsplit("/", 1)[-1] for item in value)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


# The settings to compare, in this order; the rest (versions, origin of the latents) is noise.
_WORDS: dict[str, Callable[[Any], str]] = {
    "model": lambda value: Path(str(value)).name,
    "quantize": lambda value: f"{value} bits" if value else "not quantized",
    "dtype": str,
    "seed": lambda value: f"seed {value}",
    "steps": lambda value: f"{value} steps",
    "guidance": lambda value: f"guidance {_number(value)}",
    "shift": lambda value: f"shift {_number(value)}",
    "sampler": str,
    "attention": lambda value: f"{value} attention",
    "keyframes": lambda value: f"images at {_listed(value)}" if value else "no images",
    "video": lambda value: f"from {Path(str(value)).name}",
    "strength": lambda value: f"strength {_number(value)}",
    "loras": lambda value: f"LoRA {_listed(value)}" if value else "no LoRA",
}
# Shown after these and the sizes, since they are long.
_TEXTS: dict[str, Callable[[Any], str]] = {
    "prompt": lambda value: f"“{value}”",
    "negative_prompt": lambda value: f"without “{value}”" if value else "no negative prompt",
}
SAME = "same settings"


def differences(clips: list[tuple[Path, Facts]]) -> list[str]:
    """One line for each clip: the settings that differ, and size and rate if these do.

    A clip without settings is labelled by its name; SAME if nothing differs.
    """
    settings = [facts.settings for _, facts in clips]
    lines = []
    for path, facts in clips:
        parts = [] if facts.settings else [path.name]
        parts += _in_words(_WORDS, facts.settings, settings)
        for measure in (_size, _length):
            if len({measure(other) for _, other in clips}) > 1:
                parts.append(measure(facts))
        parts += _in_words(_TEXTS, facts.settings, settings)
        lines.append("  ·  ".join(" ".join(part.split()) for part in parts) or SAME)
    return lines


def _in_words(
    words: dict[str, Callable[[Any], str]],
    own: dict[str, Any],
    settings: list[dict[str, Any]],
) -> list[str]:
    """The words for those of a clip's own settings that differ."""
    differing = [key for key in words if key in own and _differs(key, settings)]
    return [words[key](own[key]) for key in differing]


def _differs(key: str, settings: list[dict[str, Any]]) -> bool:
    values = [own[key] for own in settings if key in own]
    return len(values) < len(settings) or any(value != values[0] for value in values)


def _size(facts: Facts) -> str:
    return f"{facts.width}×{facts.height}"


def _length(facts: Facts) -> str:
    return f"{facts.frames} frames at {facts.fps:g} fps"
