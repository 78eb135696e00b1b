"""The colours, and what follows the size of the text."""

from __future__ import annotations

from itertools import product

import pytest
from PySide6.QtGui import QColor, QFont, QFontMetrics

from mlxvid.gui.widgets.elided import joined, whole_parts
from mlxvid.gui.widgets.icons import icon_side
from mlxvid.gui.widgets.theme import DARK, LIGHT


def luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    parts = QColor(colour).getRgbF()[:3]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_text_is_readable_on_all_that_it_stands_on(look):
    texts = ("text", "faint", "link", "danger", "warning", "good")
    for text, ground in product(texts, ("window", "panel", "field")):
        assert contrast(getattr(look, text), getattr(look, ground)) >= 4.5, (text, ground)
    assert contrast(look.on_accent, look.accent) >= 4.5


def test_icons_grow_with_the_text(qapp):
    small = QFont(qapp.font())
    large = QFont(small)
    small.setPixelSize(12)
    large.setPixelSize(24)
    assert icon_side(large) == pytest.approx(2 * icon_side(small), abs=1)


def test_a_line_of_facts_ends_between_them(qapp):
    line = "96×96 · 16 fps · seed 7"
    metrics = QFontMetrics(qapp.font())
    width = metrics.horizontalAdvance(line)
    assert whole_parts(line, metrics, width) == line
    assert whole_parts(line, metrics, width - 1) == "96×96 · 16 fps"
    assert " " not in joined(["about 2 h", "done at 14:00"]).replace(" · ", "")
