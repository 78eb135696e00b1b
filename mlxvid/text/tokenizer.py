"""Word pieces of a prompt, by sentencepiece or by Hugging Face's tokenizers."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import sentencepiece
import tokenizers

from mlxvid.errors import WeightsError
from mlxvid.model.folder import read_json

log = logging.getLogger("mlxvid")

# Where tokenizer_config.json says nothing else, as transformers' T5Tokenizer has them.
PAD_TOKEN = "<pad>"
EXTRA_IDS = 100
MOST_EXTRA_IDS = 10_000


class Tokenizer:
    """Prompts -> ids, with the pieces that the model wants before and after, cut to what it reads,
    and padded.

    size: how many ids there are. start, end: the ids before and after a prompt's own; pad: what
    fills up the shorter rows.
    """

    def __init__(self, max_length: int, size: int, start: list[int], end: list[int], pad: int):
        self.max_length, self.size, self.start, self.end, self.pad = (
            max_length,
            size,
            start,
            end,
            pad,
        )

    def pieces(self, prompt: str) -> list[int]:
        """The ids of a prompt alone."""
        raise NotImplementedError

    def words(self, ids: list[int]) -> str:
        """The text that ids stand for."""
        raise NotImplementedError

    def __call__(self, prompts: list[str], pad: str = "longest") -> tuple[mx.array, mx.array]:
        """ids int32 [B, L] and mask bool [B, L] (true: a token); what is cut off is logged.

        L is the length of the longest prompt, at most `max_length`; with pad="max" it is
        `max_length`.
        """
        rows = [self._row(prompt) for prompt in prompts]
        length = self.max_length if pad == "max" else max(map(len, rows))
        ids = mx.array([row + [self.pad] * (length - len(row)) for row in rows])
        return ids, mx.arange(length)[None] < mx.array([len(row) for row in rows])[:, None]

    def _row(self, prompt: str) -> list[int]:
        ids, room = self.pieces(prompt), self.max_length - len(self.start) - len(self.end)
        if len(ids) > room:
            log.warning(
                "The prompt is read only as far as %r: this model takes %d word pieces.",
                self.words(ids[:room])[-30:],
                room,
            )
        return self.start + ids[:room] + self.end


def read_sentencepiece(path: Path) -> sentencepiece.SentencePieceProcessor:
    """A ``.model`` file; raises :class:`WeightsError` where it is missing, no sentencepiece model,
    or one without pieces for the end and for padding."""
    try:
        data = Path(path).read_bytes()
        # sentencepiece takes no bytes for no model at all, and fails at the first word
        model = sentencepiece.SentencePieceProcessor(model_proto=data) if data else None
    except (OSError, RuntimeError):
        model = None
    if model is None or min(model.eos_id(), model.pad_id()) < 0:
        raise WeightsError(
            f"{path} is missing or is not a sentencepiece model; download or convert the model again."
        )
    return model


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model, ended by its end-of-sequence piece; its own normalisation (case,
    Unicode) applies.
    """

    def __init__(self, model: sentencepiece.SentencePieceProcessor, max_length: int):
        super().__init__(max_length, model.get_piece_size(), [], [model.eos_id()], model.pad_id())
        self.model = model

    @classmethod
    def load(cls, path: Path, max_length: int) -> SentencePieceTokenizer:
        """Read a ``.model`` file; raises :class:`WeightsError` where it is missing or no
        sentencepiece model.
        """
        return cls(read_sentencepiece(path), max_length)

    def pieces(self, prompt: str) -> list[int]:
        return self.model.encode(prompt)

    def words(self, ids: list[int]) -> str:
        return self.model.decode(ids)

    def unknown(self, prompt: str, known: set[str]) -> list[str]:
        """The prompt's words, normalised, that are not in `known`."""
        words = (
            self.model.normalize(prompt)
            .replace("▁", " ")
            .replace(",", " ")
            .replace(".", " ")
            .split()
        )
        return [word for word in dict.fromkeys(words) if word not in known]


class T5SentencePieceTokenizer(SentencePieceTokenizer):
    """A T5's sentencepiece model as transformers reads it: special pieces may be written out in a
    prompt, and after the model's own there are `extra_ids` more, ``<extra_id_0>`` the very last."""

    def __init__(
        self,
        model: sentencepiece.SentencePieceProcessor,
        max_length: int,
        extra_ids: int = EXTRA_IDS,
    ):
        super().__init__(model, max_length)
        self.size += extra_ids
        own = {model.id_to_piece(i): i for i in (model.pad_id(), model.eos_id(), model.unk_id())}
        self.special = own | {f"<extra_id_{i}>": self.size - 1 - i for i in range(extra_ids)}
        self.names = {i: piece for piece, i in self.special.items()}
        self.pattern = re.compile(f"({'|'.join(map(re.escape, self.special))})")

    def pieces(self, prompt: str) -> list[int]:
        parts = self.pattern.split(prompt)
        return [
            i
            for part in parts
            for i in ([self.special[part]] if part in self.special else self.model.encode(part))
        ]

    def words(self, ids: list[int]) -> str:
        return self.model.decode([i for i in ids if i not in self.names])


class JsonTokenizer(Tokenizer):
    """A ``tokenizer.json``, which says by itself how text is normalised, cut up and enclosed."""

    def __init__(
        self,
        model: tokenizers.Tokenizer,
        max_length: int,
        start: list[int],
        end: list[int],
        pad: int,
    ):
        super().__init__(max_length, model.get_vocab_size(), start, end, pad)
        self.model = model

    @classmethod
    def load(cls, path: Path, max_length: int, pad_token: str) -> JsonTokenizer:
        """Read a ``tokenizer.json``; raises :class:`WeightsError` where it is missing, damaged, or
        doesn't know `pad_token`.
        """
        try:
            model = tokenizers.Tokenizer.from_buffer(path.read_bytes())
        except (OSError, ValueError):
            raise WeightsError(
                f"{path} is missing or is not a tokenizer; download or convert the model again."
            ) from None
        pad = model.token_to_id(pad_token)
        if pad is None:
            raise WeightsError(
                f"{path} has no piece {pad_token!r} to pad with; download or convert the model again."
            )
        model.no_truncation()  # some files have their training's length and padding in them
        model.no_padding()
        alone, enclosed = model.encode("a", add_special_tokens=False).ids, model.encode("a").ids
        places = [
            i for i in range(len(enclosed)) if alone and enclosed[i : i + len(alone)] == alone
        ]
        if not places:
            raise WeightsError(
                f"{path} leaves nothing of a prompt; download or convert the model again."
            )
        return cls(
            model, max_length, enclosed[: places[0]], enclosed[places[0] + len(alone) :], pad
        )

    def pieces(self, prompt: str) -> list[int]:
        return self.model.encode(prompt, add_special_tokens=False).ids

    def words(self, ids: list[int]) -> str:
        return self.model.decode(ids)


def load_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """The tokenizer in a Diffusers checkpoint's ``tokenizer`` folder: its tokenizer.json, or else
    its (T5's) spiece.model.

    max_length: how many ids the model reads, those of the end included. Raises
    :class:`WeightsError` for damaged or missing files.
    """
    settings, file = folder / "tokenizer_config.json", folder / "tokenizer.json"
    config = read_json(settings) if settings.is_file() else {}
    if file.is_file():
        return JsonTokenizer.load(file, max_length, _content(config.get("pad_token")))
    extra_ids = config.get("extra_ids", EXTRA_IDS)
    if not isinstance(extra_ids, int) or not 0 <= extra_ids <= MOST_EXTRA_IDS:
        raise WeightsError(
            f"{settings} has {extra_ids!r} for the number of extra ids; download or convert the model again."
        )
    return T5SentencePieceTokenizer(
        read_sentencepiece(folder / "spiece.model"), max_length, extra_ids
    )


def _content(token: Any) -> str:
    """A token of tokenizer_config.json, a string or an object that has one; where there is none,
    T5's to pad with.
    """
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else PAD_TOKEN
