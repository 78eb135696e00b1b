"""The texts of a prompt: one for the whole clip, or one for each of its windows."""

from __future__ import annotations

from .geometry import LONGEST

SEPARATOR = "|"


def texts_of(prompt: str) -> list[str]:
    """The prompts of the windows, in order; the last one holds for all windows after it."""
    texts = [text.strip() for text in prompt.split(SEPARATOR)]
    return [text for text in texts if text] or [""]


def in_windows(frames: int, prompt: str) -> bool:
    """Whether a clip is made window by window: a long one, or one with several texts."""
    return frames > LONGEST or len(texts_of(prompt)) > 1
