"""What a model can be asked for that was trained with few words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass
class Knows:
    """The words that a model was trained with, and what to `say` of a prompt with others."""

    words: list[str]
    say: str

    def strange(self, prompt: str) -> list[str]:
        """The prompt's words that it never saw, in small letters, each once."""
        plain = unicodedata.normalize("NFKC", prompt).casefold()
        words = re.sub("[,.]", " ", plain).split()
        known = set(self.words)
        return [word for word in dict.fromkeys(words) if word not in known]
