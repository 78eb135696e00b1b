"""What is in memory at a time of an encoder that is used piece by piece. No MLX here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Streamed:
    """Sizes of an encoder that is used piece by piece (:mod:`mlxvid.layers.streaming`).

    share: of its weights, those of the largest piece. matrix: values of its largest matrix, which
    is read as it is stored. held: values between operations, for the longest prompts; scores: those
    of one copy of their attention scores.
    """

    share: float
    matrix: int
    held: int
    scores: int
