"""Tokenizers of prompts: sentencepiece models and Hugging Face's tokenizer.json."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece
import tokenizers

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.paths import require_regular

from .clip_tokenizer import END, END_OF_WORD, VOCABULARY, read_clip_tokenizer

if TYPE_CHECKING:
    import mlx.core as mx

log = logging.getLogger("mlxvid")

# Defaults of transformers' T5Tokenizer, where tokenizer_config.json has no others.
PAD_TOKEN = "<pad>"
EXTRA_IDS = 100
MAX_EXTRA_IDS = 10_000


class Tokenizer:
    """Prompts -> ids, enclosed in the model's special tokens, cut to its length, and padded.

    max_length: ids that the model reads at most, special ones included. size: the number of
    different ids. start, end: the ids before and after a prompt's own. pad: the id that fills up
    shorter rows.
    """

    def __init__(self, max_length: int, size: int, start: list[int], end: list[int], pad: int):
        self.max_length = max_length
        self.size = size
        self.start = start
        self.end = end
        self.pad = pad
        self.template = 0
        """Ids of `max_length` that are taken by what prompts stand in, for the message."""

    def encode(self, prompt: str) -> list[int]:
        """The ids of a prompt, without special tokens around it."""
        raise NotImplementedError

    def decode(self, ids: list[int]) -> str:
        """The text of ids."""
        raise NotImplementedError

    def __call__(self, prompts: list[str], pad: str = "longest") -> tuple[mx.array, mx.array]:
        """ids int32 [B, L] and mask bool [B, L] (true: a token).

        L is the length of the longest prompt, at most `max_length`; with pad="max" it is
        `max_length`. A prompt that must be cut is logged as a warning.
        """
        import mlx.core as mx  # here alone: who counts pieces only does without

        rows = [self._row(prompt) for prompt in prompts]
        lengths = [len(row) for row in rows]
        length = self.max_length if pad == "max" else max(lengths)
        ids = mx.array([row + [self.pad] * (length - len(row)) for row in rows])
        mask = mx.arange(length)[None] < mx.array(lengths)[:, None]
        return ids, mask

    def _row(self, prompt: str) -> list[int]:
        ids = self.encode(prompt)
        room = self.max_length - len(self.start) - len(self.end)
        if len(ids) > room:
            ids = ids[:room]
            log.warning(
                "The prompt is read only as far as %r: this model takes %d word pieces.",
                self.decode(ids)[-30:],
                room - self.template,
            )
        return self.start + ids + self.end


def read_sentencepiece(path: Path) -> sentencepiece.SentencePieceProcessor:
    """Read a ``.model`` file.

    Raises :class:`WeightsError` where it is missing, is no sentencepiece model, or has no pieces
    for the end and for padding.
    """
    require_regular(path, WeightsError)
    try:
        data = Path(path).read_bytes()
        # With no bytes sentencepiece makes a processor without a model, which fails only in use.
        model = sentencepiece.SentencePieceProcessor(model_proto=data) if data else None
    except (OSError, RuntimeError):
        model = None
    if model is None or min(model.eos_id(), model.pad_id()) < 0:
        raise WeightsError(
            f"{path} is missing or is not a sentencepiece model; "
            "download or convert the model again."
        )
    return model


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model with its own normalisation (case, Unicode) and end of sequence."""

    def __init__(self, model: sentencepiece.SentencePieceProcessor, max_length: int):
        super().__init__(max_length, model.get_piece_size(), [], [model.eos_id()], model.pad_id())
        self.model = model

    @classmethod
    def load(cls, path: Path, max_length: int) -> SentencePieceTokenizer:
        """Read a ``.model`` file; raises as :func:`read_sentencepiece` does."""
        return cls(read_sentencepiece(path), max_length)

    def encode(self, prompt: str) -> list[int]:
        return self.model.encode(prompt)

    def decode(self, ids: list[int]) -> str:
        return self.model.decode(ids)


class T5SentencePieceTokenizer(SentencePieceTokenizer):
    """A T5's sentencepiece model as transformers reads it.

    Special tokens may be written out in a prompt. After the model's own ids there are `extra_ids`
    more, of which ``<extra_id_0>`` is the last.
    """

    def __init__(
        self,
        model: sentencepiece.SentencePieceProcessor,
        max_length: int,
        extra_ids: int = EXTRA_IDS,
    ):
        super().__init__(model, max_length)
        self.size += extra_ids
        self.special = {
            model.id_to_piece(id): id for id in (model.pad_id(), model.eos_id(), model.unk_id())
        }
        for number in range(extra_ids):
            self.special[f"<extra_id_{number}>"] = self.size - 1 - number
        self.special_ids = frozenset(self.special.values())
        self.pattern = re.compile(f"({'|'.join(map(re.escape, self.special))})")

    def encode(self, prompt: str) -> list[int]:
        ids = []
        for part in self.pattern.split(prompt):
            if part in self.special:
                ids.append(self.special[part])
            else:
                ids += self.model.encode(part)
        return ids

    def decode(self, ids: list[int]) -> str:
        return self.model.decode([id for id in ids if id not in self.special_ids])


class JsonTokenizer(Tokenizer):
    """A ``tokenizer.json``, which has its own normalisation and special tokens."""

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
        """Read a ``tokenizer.json``.

        Raises :class:`WeightsError` where it is missing, damaged, or without `pad_token`.
        """
        require_regular(path, WeightsError)
        try:
            model = tokenizers.Tokenizer.from_buffer(path.read_bytes())
        except (OSError, ValueError):
            raise WeightsError(
                f"{path} is missing or is not a tokenizer; download or convert the model again."
            ) from None
        return cls.made(model, path, max_length, pad_token)

    @classmethod
    def made(
        cls, model: tokenizers.Tokenizer, path: Path, max_length: int, pad_token: str
    ) -> JsonTokenizer:
        """Of a model that was read from `path`; raises as :meth:`load` does."""
        pad = model.token_to_id(pad_token)
        if pad is None:
            raise WeightsError(
                f"{path} has no token {pad_token!r} to pad with; "
                "download or convert the model again."
            )
        # Some files hold the length and padding of their training.
        model.no_truncation()
        model.no_padding()
        start_end = _special_ids(model)
        if start_end is None:
            raise WeightsError(
                f"{path} leaves nothing of a prompt; download or convert the model again."
            )
        start, end = start_end
        return cls(model, max_length, start, end, pad)

    def encode(self, prompt: str) -> list[int]:
        return self.model.encode(prompt, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        return self.model.decode(ids).replace(END_OF_WORD, " ")


def _special_ids(model: tokenizers.Tokenizer) -> tuple[list[int], list[int]] | None:
    """The ids that a model puts before and after a prompt; None where a prompt has no ids itself.

    They are found by a trial: the ids around those of "a".
    """
    alone = model.encode("a", add_special_tokens=False).ids
    enclosed = model.encode("a").ids
    if not alone:
        return None
    for start in range(len(enclosed)):
        end = start + len(alone)
        if enclosed[start:end] == alone:
            return enclosed[:start], enclosed[end:]
    return None


def load_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """The tokenizer of a Diffusers checkpoint's ``tokenizer`` folder.

    It is read from tokenizer.json, or else from CLIP's vocab.json and merges.txt or T5's
    spiece.model. max_length: ids that the model reads, special ones included. Raises
    :class:`WeightsError` for damaged or missing files.
    """
    config_path = folder / "tokenizer_config.json"
    config = read_json(config_path) if config_path.is_file() else {}
    json_path = folder / "tokenizer.json"
    if json_path.is_file():
        return JsonTokenizer.load(json_path, max_length, _pad_token(config))
    vocabulary = folder / VOCABULARY
    if vocabulary.is_file():
        model = read_clip_tokenizer(folder)
        return JsonTokenizer.made(model, vocabulary, max_length, _pad_token(config, END))
    extra_ids = config.get("extra_ids", EXTRA_IDS)
    if not isinstance(extra_ids, int) or not 0 <= extra_ids <= MAX_EXTRA_IDS:
        raise WeightsError(
            f"{config_path} has {extra_ids!r} for the number of extra ids; "
            "download or convert the model again."
        )
    pieces = read_sentencepiece(folder / "spiece.model")
    return T5SentencePieceTokenizer(pieces, max_length, extra_ids)


def _pad_token(config: dict[str, Any], default: str = PAD_TOKEN) -> str:
    """The padding token of tokenizer_config.json, where it is a string or an object with one."""
    token = config.get("pad_token")
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else default
