"""Where the tokenizers of models are."""

from __future__ import annotations

from dataclasses import replace

from mlxvid.catalog import CATALOG
from mlxvid.hub.words import tokenizer_folder


def test_the_packages_model_has_its_own():
    card = CATALOG["mini"]
    assert tokenizer_folder(card) == card.folder / "tokenizer"


def test_of_a_model_that_is_not_here_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    card = next(card for card in CATALOG.values() if card.folder is None)
    assert tokenizer_folder(card) is None


def test_it_may_be_beside_the_text_encoder(tmp_path):
    (tmp_path / "text_encoder").mkdir()
    (tmp_path / "text_encoder" / "spiece.model").touch()
    assert tokenizer_folder(replace(CATALOG["mini"], folder=tmp_path)) == tmp_path / "text_encoder"
