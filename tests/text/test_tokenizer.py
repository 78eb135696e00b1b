"""Tokenizers from a checkpoint's folder: ids of prompts, and refusal of damaged files."""

from __future__ import annotations

import io
import json
import logging

import pytest
import sentencepiece
import tokenizers

from mlxvid.errors import WeightsError
from mlxvid.text.tokenizer import (
    JsonTokenizer,
    SentencePieceTokenizer,
    T5SentencePieceTokenizer,
    load_tokenizer,
)

CORPUS = [
    "a red ball moving left",
    "a blue star on a white background",
    "two green rings, spinning slowly",
    "the cat's seven lives",
] * 4


def trained(**options) -> bytes:
    """A small T5-like sentencepiece model."""
    model = io.BytesIO()
    usual = dict(
        vocab_size=70,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=model, **{**usual, **options}
    )
    return model.getvalue()


@pytest.fixture(scope="module")
def pieces() -> bytes:
    return trained()


def words_json(start: str | None = None, prompt: str = "$A") -> str:
    """A tokenizer.json of whole words, with a length and padding of its own.

    A prompt ends with </s>, and begins with `start` if there is one.
    """
    words = ["<pad>", "</s>", "<unk>", "<s>", "a", "red", "ball"]
    model = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    model.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    ends = [(word, words.index(word)) for word in (start, "</s>") if word]
    model.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{start or ''} {prompt} </s>".strip(), special_tokens=ends
    )
    model.enable_truncation(3)
    model.enable_padding(length=9)
    return model.to_str()


def test_rows_end_and_are_padded_to_the_longest_or_to_the_most(tmp_path, pieces):
    (tmp_path / "spiece.model").write_bytes(pieces)
    tokenizer = load_tokenizer(tmp_path, 24)
    assert isinstance(tokenizer, T5SentencePieceTokenizer)
    ids, mask = tokenizer(["a red ball", ""])
    length = mask[0].sum().item()
    assert ids.shape == mask.shape == (2, length) and ids[0, -1].item() == 1
    assert ids[1].tolist() == [1] + [0] * (length - 1)
    assert mask[1].tolist() == [True] + [False] * (length - 1)
    longer, mask = tokenizer(["a red ball", ""], pad="max")
    assert longer.shape == mask.shape == (2, 24)
    assert longer[:, :length].tolist() == ids.tolist()
    assert longer[:, length:].sum() == 0
    assert tokenizer.decode(ids[0].tolist()) == "a red ball"


@pytest.mark.parametrize("start", [None, "<s>"])
def test_a_json_says_how_prompts_are_enclosed(tmp_path, start, caplog):
    (tmp_path / "tokenizer.json").write_text(words_json(start))
    tokenizer = load_tokenizer(tmp_path, 6)
    assert isinstance(tokenizer, JsonTokenizer) and tokenizer.size == 7
    before = [3] if start else []
    ids, mask = tokenizer(["a red ball", "dog"])
    assert ids.tolist() == [[*before, 4, 5, 6, 1], [*before, 2, 1, 0, 0]]
    assert mask.tolist()[1] == [True] * (2 + len(before)) + [False] * 2
    caplog.set_level(logging.WARNING, "mlxvid")
    ids, _ = tokenizer(["a red ball a red ball a red ball"])
    assert ids.tolist() == [[3, 4, 5, 6, 4, 1] if start else [4, 5, 6, 4, 5, 1]]
    (record,) = caplog.records
    for fact in ("'a red ball a'", "takes 4") if start else ("'a red ball a red'", "takes 5"):
        assert fact in record.getMessage()


def test_the_padding_token_is_in_the_config(tmp_path):
    (tmp_path / "tokenizer.json").write_text(words_json())
    for token, pad in (("<unk>", 2), ({"content": "</s>", "lstrip": False}, 1), (None, 0)):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": token}))
        assert load_tokenizer(tmp_path, 8)(["a", "a a"])[0][0].tolist() == [4, 1, pad]


def test_a_json_is_preferred(tmp_path, pieces):
    (tmp_path / "spiece.model").write_bytes(pieces)
    (tmp_path / "tokenizer.json").write_text(words_json())
    assert isinstance(load_tokenizer(tmp_path, 8), JsonTokenizer)


def test_special_pieces_in_a_prompt(tmp_path, pieces):
    (tmp_path / "spiece.model").write_bytes(pieces)
    own = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    encode = own.encode
    count = own.get_piece_size()
    tokenizer = load_tokenizer(tmp_path, 40)
    assert tokenizer.size == count + 100
    assert tokenizer(["<extra_id_0>"])[0].tolist() == [[count + 99, 1]]
    ids, _ = tokenizer(["a ball <extra_id_99> red</s><pad><extra_id_100>"])
    assert ids.tolist() == [
        [*encode("a ball"), count, *encode("red"), 1, 0, *encode("<extra_id_100>"), 1]
    ]
    (tmp_path / "tokenizer_config.json").write_text('{"extra_ids": 0}')
    ids, _ = load_tokenizer(tmp_path, 40)(["<extra_id_0>"])
    assert ids.tolist() == [[*encode("<extra_id_0>"), 1]]
    ids, _ = SentencePieceTokenizer.load(tmp_path / "spiece.model", 40)(["</s>"])
    assert ids.tolist() == [[*encode("</s>"), 1]]


def test_a_long_prompt_is_cut_with_a_warning(tmp_path, pieces, caplog):
    (tmp_path / "spiece.model").write_bytes(pieces)
    caplog.set_level(logging.WARNING, "mlxvid")
    ids, mask = load_tokenizer(tmp_path, 8)(["a red ball moving left, <extra_id_5>" * 9])
    assert ids.shape == (1, 8) and ids[0, -1].item() == 1 and mask.all()
    (record,) = caplog.records
    assert "7 word pieces" in record.getMessage()


NO_MODEL = ("spiece.model", "not a sentencepiece model")
NO_TOKENIZER = ("tokenizer.json", "not a tokenizer")
WORDS = words_json().encode()
# The files of a damaged folder, the file that the error names, and what is wrong with it.
DAMAGE = {
    "nothing": ({}, NO_MODEL),
    "empty": ({"spiece.model": b""}, NO_MODEL),
    "not a model": ({"spiece.model": b"hello"}, NO_MODEL),
    "no padding": ({"spiece.model": trained(pad_id=-1)}, NO_MODEL),
    "no json": ({"tokenizer.json": b"{"}, NO_TOKENIZER),
    "another json": ({"tokenizer.json": b'{"model": {"type": "none"}}'}, NO_TOKENIZER),
    "binary": ({"tokenizer.json": bytes(range(256))}, NO_TOKENIZER),
    "settings": (
        {"tokenizer.json": b"", "tokenizer_config.json": b"[]"},
        ("tokenizer_config.json", "not a JSON object"),
    ),
    "pad": (
        {"tokenizer.json": WORDS, "tokenizer_config.json": b'{"pad_token": "[PAD]"}'},
        ("tokenizer.json", "'[PAD]'"),
    ),
    "no prompt": (
        {"tokenizer.json": words_json(prompt="").encode()},
        ("tokenizer.json", "nothing of a prompt"),
    ),
    "extra ids": (
        {"tokenizer_config.json": b'{"extra_ids": -1}'},
        ("tokenizer_config.json", "-1 for the number of extra ids"),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files(name, tmp_path):
    files, (named, fact) = DAMAGE[name]
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        load_tokenizer(tmp_path, 8)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / named} ") and fact in message
    assert "download or convert" in message


def test_a_cut_file(tmp_path, pieces):
    for file, data in (("spiece.model", pieces), ("tokenizer.json", words_json().encode())):
        (tmp_path / file).write_bytes(data[: len(data) // 2])
        with pytest.raises(WeightsError):
            load_tokenizer(tmp_path, 8)
