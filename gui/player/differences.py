"""What two takes have different in their settings, in words short enough to stand over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlxvid.gui.core.frames import Facts


def _listed(value: Any) -> str:
    """The names in a list, without their folders; a file's settings may hold anything."""
    return (
        ", ".join(str(one).rsplit("/", 1)[-1] for one in value)
        if isinstance(value, (list, dict))
        else str(value)
    )


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


# What is worth a word, in this order; the rest (versions, the latents' origin) is not what one
# compares takes by.
_WORDS: dict[str, Callable[[Any], str]] = {
    "model": lambda value: Path(str(value)).name,
    "quantize": lambda value: f"{value} bit" if value else "not quantized",
    "dtype": str,
    "seed": lambda value: f"seed {value}",
    "steps": lambda value: f"{value} steps",
    "guidance": lambda value: f"guidance {_number(value)}",
    "shift": lambda value: f"shift {_number(value)}",
    "sampler": str,
    "attention": lambda value: f"{value} attention",
    "keyframes": lambda value: f"images at {_listed(value)}" if value else "no images",
    "loras": lambda value: f"LoRA {_listed(value)}" if value else "no LoRA",
}
# After them and the sizes, since these are long.
_TEXTS: dict[str, Callable[[Any], str]] = {
    "prompt": lambda value: f"“{value}”",
    "negative_prompt": lambda value: f"without “{value}”" if value else "no negative prompt",
}
SAME = "same settings"


def differences(takes: list[tuple[Path, Facts]]) -> list[str]:
    """One line for each take: the settings that they don't share, size and rate if these differ;
    SAME where nothing does.

    A clip that has no settings is told by its name.
    """
    settings = [facts.settings for _, facts in takes]
    lines = []
    for path, facts in takes:
        parts = [] if facts.settings else [path.name]
        parts += _told(_WORDS, facts.settings, settings)
        for value in (_size, _length):
            if len({value(other) for _, other in takes}) > 1:
                parts.append(value(facts))
        parts += _told(_TEXTS, facts.settings, settings)
        lines.append("  ·  ".join(" ".join(part.split()) for part in parts) or SAME)
    return lines


def _told(words: dict[str, Callable[[Any], str]], own: dict, settings: list[dict]) -> list[str]:
    """The words for those of a take's own settings that differ."""
    return [word(own[key]) for key, word in words.items() if key in own and _differs(key, settings)]


def _differs(key: str, settings: list[dict]) -> bool:
    values = [own[key] for own in settings if key in own]
    return len(values) < len(settings) or any(value != values[0] for value in values)


def _size(facts: Facts) -> str:
    return f"{facts.width}×{facts.height}"


def _length(facts: Facts) -> str:
    return f"{facts.frames} frames at {facts.fps:g} fps"
