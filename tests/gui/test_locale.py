"""The window in the system's language region: dates, numbers, and a style sheet that parses."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QLocale

from mlxvid.gui.app import apply_appearance
from mlxvid.gui.core.clip_facts import facts_of
from mlxvid.gui.core.preferences import Appearance


@pytest.fixture
def german():
    usual = QLocale()
    QLocale.setDefault(QLocale("de_DE"))
    yield
    QLocale.setDefault(usual)


def test_dates_are_written_as_the_system_does(german, qapp):
    (made,) = [fact for fact in facts_of({}, created=86_400.0 * 10) if fact.name == "created"]
    assert "11.01.70" in made.text or "10.01.70" in made.text


def test_numbers_are_typed_and_kept_as_the_system_has_them(german, open_window):
    window = open_window()
    window.compose.guidance.setValue(2.5)
    assert window.compose.guidance.text() == "2,5"
    assert window.compose.settings()["guidance"] == 2.5
    field = window.compose.guidance
    field.lineEdit().setText("3,25")
    field.interpretText()
    assert window.compose.settings()["guidance"] == 3.25


@pytest.mark.parametrize("appearance", list(Appearance))
def test_the_style_sheet_is_good_wherever_the_app_runs(german, qapp, qtlog, appearance):
    apply_appearance(qapp, appearance)
    assert [record for record in qtlog.records if "tylesheet" in record.message] == []
