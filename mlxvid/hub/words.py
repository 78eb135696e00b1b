"""Where the tokenizer of a model is on this machine, for who only counts pieces. No MLX here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlxvid import catalog
from mlxvid.model.card import Card

from .cache import cached_revision

_FILES = ("tokenizer.json", "spiece.model", "vocab.json")
# Where it is in a model's folder; of some releases beside the encoder's weights.
_PLACES = ("tokenizer", "text_encoder", ".")


def tokenizer_folder(card: Card) -> Path | None:
    """The folder with the tokenizer's files; None where they are not here."""
    for root in _roots(card):
        for place in _PLACES:
            folder = root / place
            if any((folder / file).is_file() for file in _FILES):
                return folder
    return None


def _roots(card: Card) -> Iterator[Path]:
    """The folders in which parts of the model are."""
    made = card.folder or catalog.local_folder(card.name)
    if made is not None:
        yield Path(made)
    for source in card.places:
        found = cached_revision(source.repository, source.revision)
        if found is not None:
            yield found.folder / source.subfolder
