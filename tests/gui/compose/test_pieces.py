"""How prompts are counted: the models' own tokenizers, and a guess where there is none here."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtWidgets import QTextEdit

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.pieces import count_pieces
from mlxvid.hub.words import tokenizer_folder
from mlxvid.text.tokenizer import load_tokenizer
from tests.gui.cards import WITH_LORAS

MINI = CATALOG["mini"]


@pytest.fixture(scope="module")
def encode():
    return load_tokenizer(tokenizer_folder(MINI), MINI.prompt_pieces).encode


def test_a_prompt_that_is_read_whole(encode):
    count = count_pieces("a red ball", encode, MINI)
    assert count.pieces == len(encode("a red ball"))
    assert (count.limit, count.read, count.exact) == (MINI.prompt_pieces, 10, True)


def test_the_cut_is_before_the_first_word_that_is_not_read_whole(encode):
    text = "a red ball bouncing on a navy background " * 20
    count = count_pieces(text, encode, MINI)
    assert count.pieces == len(encode(text)) > count.limit
    assert len(encode(text[: count.read])) <= count.limit
    following = text[count.read :].split()[0]
    assert text[count.read] == " "
    assert len(encode(f"{text[: count.read]} {following}")) > count.limit


def test_each_text_of_a_prompt_is_cut_by_itself():
    card = next(card for card in CATALOG.values() if len(card.family.texts_of("a | b")) == 2)
    half = "word " * card.prompt_pieces
    count = count_pieces(f"{half}| {half}", str.split, card)
    assert count.pieces == count.limit
    longer = f"{half}| {half}more"
    count = count_pieces(longer, str.split, card)
    assert longer[count.read :].strip() == "more"


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_every_model_says_how_much_it_reads(card):
    assert 40 < card.prompt_pieces < 1000
    assert card.family.texts_of("a ball")


def test_counting_needs_no_mlx():
    code = (
        "import sys; from mlxvid.gui.core import pieces; from mlxvid.catalog import CATALOG\n"
        "for card in CATALOG.values(): card.family.texts_of('a')\n"
        "folder = pieces.tokenizer_folder(CATALOG['mini'])\n"
        "assert pieces.load_tokenizer(folder, 9).encode('a ball')\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'mlx']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_prompt_s_line(panel, qtbot):
    line = panel.piece_count
    panel.prompt.set_text("a red ball")
    qtbot.waitUntil(lambda: line.text() == f"3 of {MINI.prompt_pieces} pieces")
    panel.prompt.set_text("\N{PARTY POPPER} " + "ball " * 100)
    qtbot.waitUntil(lambda: "too long" in line.text())
    (mark,) = panel.prompt.extraSelections()
    assert isinstance(mark, QTextEdit.ExtraSelection)
    unread = mark.cursor.selectedText()
    assert unread.lstrip().startswith("ball ") and unread.endswith("ball ")
    panel.prompt.set_text("")
    qtbot.waitUntil(lambda: line.text() == "")
    assert panel.prompt.extraSelections() == []


def test_without_the_tokenizer_it_is_a_guess_that_says_so(panel, qtbot):
    panel.prompt.set_text("a red ball")
    panel.picker.set_name(WITH_LORAS)
    limit = CATALOG[WITH_LORAS].prompt_pieces
    qtbot.waitUntil(lambda: panel.piece_count.text() == f"about 3 of {limit} pieces")
