"""Word pieces of a prompt, by sentencepiece."""

from __future__ import annotations

import logging
from pathlib import Path

import mlx.core as mx
import sentencepiece

from mlxvid.errors import WeightsError

log = logging.getLogger("mlxvid")


class SentencePieceTokenizer:
    """A prompt -> ids, ended by the end-of-sequence piece and padded; the model's own normalisation (case, Unicode) applies."""

    def __init__(self, model: sentencepiece.SentencePieceProcessor, max_length: int):
        self.model = model
        self.max_length = max_length

    @classmethod
    def load(cls, path: Path, max_length: int) -> SentencePieceTokenizer:
        """Read a ``.model`` file; raises :class:`WeightsError` where it is missing or no sentencepiece model."""
        try:
            data = Path(path).read_bytes()
            if data:  # sentencepiece takes no bytes for no model at all, and fails at the first word
                return cls(sentencepiece.SentencePieceProcessor(model_proto=data), max_length)
        except (OSError, RuntimeError):
            pass
        raise WeightsError(f"{path} is missing or is not a sentencepiece model; download or convert the model again.")

    def __call__(self, prompts: list[str]) -> tuple[mx.array, mx.array]:
        """ids int32 [B, L] and mask bool [B, L], L the longest prompt's length, at most `max_length`; what is cut off is logged."""
        rows = [self.model.encode(prompt) for prompt in prompts]
        room = self.max_length - 1
        for row in rows:
            if len(row) > room:
                log.warning(
                    "The prompt is read only as far as %r: this model takes %d word pieces.", self.model.decode(row[:room])[-30:], room
                )
        rows = [row[:room] + [self.model.eos_id()] for row in rows]
        longest = max(map(len, rows))
        ids = mx.array([row + [self.model.pad_id()] * (longest - len(row)) for row in rows])
        return ids, mx.arange(longest)[None] < mx.array([len(row) for row in rows])[:, None]

    def unknown(self, prompt: str, known: set[str]) -> list[str]:
        """The prompt's words, normalised, that are not in `known`."""
        words = self.model.normalize(prompt).replace("▁", " ").replace(",", " ").replace(".", " ").split()
        return [word for word in dict.fromkeys(words) if word not in known]
