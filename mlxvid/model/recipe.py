"""What a model or a LoRA that was distilled to a few steps is run with. No MLX here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Steps, sampler, shift and guidance that a distillation was made for.

    terms: a sentence on what its licence doesn't allow, for those of which it is not the model's.
    """

    steps: int
    sampler: str
    shift: float
    guidance: float = 1.0
    terms: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a clip that it stands for."""
        return {
            "steps": self.steps,
            "guidance": self.guidance,
            "sampler": self.sampler,
            "shift": self.shift,
        }

    def __str__(self) -> str:
        """Its settings, as a note lists them."""
        named = [f"`{name}` {value}" for name, value in self.settings.items()]
        return ", ".join(named)

    def of(self, card: Any) -> Any:
        """A :class:`Card` with the recipe in place of its own defaults."""
        usual = replace(
            card.defaults, steps=self.steps, guidance=self.guidance, sampler=self.sampler
        )
        return replace(card, defaults=usual, shift=lambda width, height: self.shift)
