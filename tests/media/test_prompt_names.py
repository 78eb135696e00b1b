"""Names of files after prompts in any language."""

from __future__ import annotations

import unicodedata

import pytest

from mlxvid.media.prompt_names import LONGEST, LONGEST_BYTES, named_after


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red ball!", "a-red-ball"),
        ("紅い球が、跳ねる。", "紅い球が-跳ねる"),
        ("붉은 공 하나", "붉은-공-하나"),
        ("قطة حمراء؟", "قطة-حمراء"),
        ("हिन्दी में गेंद", "हिन्दी-में-गेंद"),
        ("แมวน้ำ", "แมวน้ำ"),
        ("Ein Käse, größer", "ein-käse-größer"),
        (unicodedata.normalize("NFD", "café à côté"), "café-à-côté"),
        ("🎉 party 🎉️ time 👩‍🚀", "party-time"),
        ("1️⃣ first", "1-first"),
        ("  ../../etc/passwd", "etc-passwd"),
        ("...hidden", "hidden"),
        ("a\x00b\nc\u202ed\u200be", "a-b-c-d-e"),
        ('what? "no" <x>|y:z*', "what-no-x-y-z"),
        ("\u0301\u0302", "clip"),
        ("\udcff", "clip"),
        ("🎉", "clip"),
        ("", "clip"),
        ("NUL", "clip-nul"),
        ("com1", "clip-com1"),
        ("console", "console"),
    ],
)
def test_letters_stay_and_all_else_is_a_dash(prompt, name):
    assert named_after(prompt) == name


@pytest.mark.parametrize("prompt", ["x" * 500, "球" * 500, "é" * 500, "名 前 " * 99, "x̣́" * 200])
def test_a_long_name_is_cut_at_a_letter(prompt):
    name = named_after(prompt)
    assert 10 < len(name) <= LONGEST
    assert len(name.encode()) <= LONGEST_BYTES
    assert not name.endswith("-")


def test_no_letter_is_parted_from_its_marks():
    letter = "q̣́"  # in three characters, whatever is composed
    assert len(unicodedata.normalize("NFC", letter)) == 3
    assert named_after("x" * (LONGEST - 2) + letter) == "x" * (LONGEST - 2)
    assert named_after("x" * (LONGEST - 3) + letter) == "x" * (LONGEST - 3) + letter
