"""The Help menu: shortcuts as the menus have them, advice on prompts, and reports."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QDesktopServices, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QLabel, QMenu

from mlxvid import models
from mlxvid.gui.dialogs.reporting import report_address
from mlxvid.gui.dialogs.shortcuts import in_columns, sections_of
from tests.gui.windows import said


def actions_of(menu: QMenu) -> list[QAction]:
    found = []
    for action in menu.actions():
        inner = action.menu()
        found += actions_of(inner) if isinstance(inner, QMenu) else [action]
    return found


def test_the_sheet_has_every_shortcut_of_the_menus(window):
    bar = window.menuBar()
    expected = {
        action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        for top in bar.actions()
        for action in actions_of(top.menu())
        if not action.shortcut().isEmpty()
    }
    written = {keys for _, rows in sections_of(bar) for _, keys in rows}
    assert written == expected and len(written) > 30
    window.help.show_shortcuts()
    texts = {label.text() for label in window.help.shortcuts.findChildren(QLabel)}
    assert expected | {"File", "Generate", "Settings"} <= texts
    window.help.show_shortcuts()  # again
    assert window.help.shortcuts.isVisible()


def test_no_two_entries_have_the_same_keys(window):
    actions = [action for top in window.menuBar().actions() for action in actions_of(top.menu())]
    everywhere = (Qt.ShortcutContext.WindowShortcut, Qt.ShortcutContext.ApplicationShortcut)
    keys = [
        keys.toString()
        for action in actions
        if action.shortcutContext() in everywhere
        for keys in action.shortcuts()
    ]
    assert sorted(keys) == sorted(set(keys))


def test_columns_are_about_even():
    sections = [(name, [("a", "A")] * rows) for name, rows in (("1", 9), ("2", 3), ("3", 4))]
    left, right = in_columns(sections, 2)
    assert [name for name, _ in left] == ["1"] and [name for name, _ in right] == ["2", "3"]
    assert in_columns(sections, 3) == [[section] for section in sections]
    assert in_columns([], 3) == [[], [], []]


@pytest.mark.parametrize("family", models.families(), ids=lambda family: family.name)
def test_every_family_says_how_it_likes_to_be_told(family):
    sentences = family.prompting
    assert 40 < len(sentences) < 300 and sentences.endswith(".")
    assert "`" not in sentences and "--" not in sentences


def test_the_guide_is_about_the_model_in_use(window):
    window.help.show_prompts()
    guide = window.help.prompting
    chosen = window.compose.picker.value()
    assert guide.model.currentData() == chosen.name
    assert guide._own.text() == chosen.card.family.prompting
    guide.model.setCurrentIndex(guide.model.count() - 1)
    other = window.choices.find(guide.model.currentData())
    assert guide._own.text() == other.card.family.prompting != chosen.card.family.prompting
    window.choices.refresh()
    assert guide.model.currentData() == other.name


def test_a_report_has_the_diagnostics_without_prompts(window, qtbot, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    window.compose.prompt.set_text("a red ball")
    window.database.add_prompt("a red ball")
    window.announcements.inform("made a red ball")
    window.help.report()
    qtbot.waitUntil(lambda: bool(opened), timeout=20_000)
    text = QGuiApplication.clipboard().text()
    assert "made <prompt>" in text and "a red ball" not in text
    assert "clipboard" in said(window)
    assert opened == [report_address()]


def test_reports_go_to_the_page_that_the_package_names(monkeypatch):
    assert report_address().scheme() in ("mailto", "https")
    page = "https://example.org/issues"

    class Metadata:
        def get_all(self, name):
            return ["Homepage, https://example.org", f"Issues, {page}"]

    monkeypatch.setattr("mlxvid.gui.dialogs.reporting.metadata", lambda name: Metadata())
    assert report_address().toString() == page
