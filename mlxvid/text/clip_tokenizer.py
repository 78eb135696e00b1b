"""CLIP's tokenizer from the two files that it was first released in."""

from __future__ import annotations

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.paths import require_regular

START = "<|startoftext|>"
END = "<|endoftext|>"
VOCABULARY = "vocab.json"
MERGES = "merges.txt"
END_OF_WORD = "</w>"
# Words, single digits and runs of other signs; English contractions apart.
WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


def read_clip_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """CLIP's tokenizer from ``vocab.json`` and ``merges.txt``, as transformers' CLIPTokenizer.

    Raises :class:`WeightsError` where one is missing or damaged.
    """
    vocabulary = read_json(folder / VOCABULARY)
    merges = _merges(folder / MERGES)
    try:
        bpe = models.BPE(vocabulary, merges, end_of_word_suffix=END_OF_WORD, unk_token=END)
        end = (END, int(vocabulary[END]))
        start = (START, int(vocabulary[START]))
    except Exception:  # tokenizers raises no class of its own
        raise WeightsError(
            f"{folder / VOCABULARY} and {MERGES} beside it are not CLIP's; download or convert the "
            "model again."
        ) from None
    model = tokenizers.Tokenizer(bpe)
    spaces = normalizers.Replace(tokenizers.Regex(r"\s+"), " ")
    model.normalizer = normalizers.Sequence([normalizers.NFC(), spaces, normalizers.Lowercase()])
    words = pre_tokenizers.Split(tokenizers.Regex(WORDS), "removed", invert=True)
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.pre_tokenizer = pre_tokenizers.Sequence([words, in_bytes])
    model.decoder = decoders.ByteLevel()
    model.post_processor = processors.RobertaProcessing(end, start, False, False)
    model.add_special_tokens([START, END])
    return model


def _merges(path: Path) -> list[tuple[str, str]]:
    """The pairs of pieces that become one, in order; the first line is the version."""
    require_regular(path, WeightsError)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise WeightsError(
            f"{path} is missing or is not text; download or convert the model again."
        ) from None
    pairs = []
    for line in lines:
        pair = line.split()
        if len(pair) == 2 and not line.startswith("#version"):
            pairs.append((pair[0], pair[1]))
    return pairs
