"""Saved and earlier prompts."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QListWidget, QPushButton

from mlxvid.gui.core.saved_prompts import SavedPrompt, SavedPrompts


@pytest.fixture
def popup(panel, database):
    for prompt in ("a red ball", "a blue star", "a green ring"):
        database.add_prompt(prompt)
    return panel.prompts.popup


def open_list(panel) -> QListWidget:
    panel.prompts.click()
    return panel.prompts.popup.list


def shown(found: QListWidget) -> list[str]:
    return [found.item(row).text() for row in range(found.count())]


def save(panel, name: str) -> None:
    panel.prompts.click()
    panel.prompts.popup.findChild(QLineEdit, "prompt_name").setText(name)
    panel.prompts.popup.findChild(QPushButton, "save_prompt").click()


def test_an_earlier_prompt_by_a_click(panel, popup):
    panel.prompt.set_text("my own words")
    found = open_list(panel)
    assert shown(found) == ["a green ring", "a blue star", "a red ball"]
    found.itemClicked.emit(found.item(1))
    assert popup.isHidden()
    assert panel.prompt.toPlainText() == "a blue star"
    assert shown(open_list(panel))[0] == "my own words"  # and undo has them, too
    panel.prompt.undo()
    assert panel.prompt.toPlainText() == "my own words"


def test_by_searching_with_the_keyboard(panel, popup, qtbot):
    open_list(panel)
    search = popup.findChild(QLineEdit, "prompt_search")
    qtbot.keyClicks(search, "A r")
    assert shown(popup.list) == ["a green ring", "a blue star", "a red ball"]
    search.setText("a re")
    assert shown(popup.list) == ["a green ring", "a red ball"]
    qtbot.keyClick(search, Qt.Key.Key_Down)
    qtbot.keyClick(search, Qt.Key.Key_Return)
    assert panel.prompt.toPlainText() == "a red ball"


def test_a_prompt_is_saved_replaced_chosen_and_deleted(panel, popup, preferences, qtbot):
    saved = SavedPrompts(preferences)
    panel.prompt.set_text("a fox in snow")
    panel.negative.set_text("blurred")
    save(panel, " Winter ")
    assert saved.all() == [SavedPrompt("a fox in snow", "blurred", "Winter")]
    panel.prompt.set_text("a hare in snow")
    panel.negative.set_text("")
    panel.prompts.click()
    popup.findChild(QLineEdit, "prompt_name").setText("Winter")
    assert popup.findChild(QPushButton, "save_prompt").text() == "Replace"
    panel.prompt.set_text("")
    found = open_list(panel)
    assert not popup.findChild(QLineEdit, "prompt_name").isEnabled()  # nothing to save
    found.itemClicked.emit(found.item(0))
    assert panel.settings()["prompt"] == "a fox in snow"
    assert panel.settings()["negative_prompt"] == "blurred"
    found = open_list(panel)
    found.setCurrentRow(0)
    qtbot.keyClick(found, Qt.Key.Key_Delete)
    assert saved.all() == []
    assert "a fox in snow" in shown(found)  # as an earlier one


def test_an_earlier_prompt_is_deleted(panel, popup, database, qtbot):
    panel.prompt.set_text("")
    found = open_list(panel)
    found.setCurrentRow(1)
    qtbot.keyClick(found, Qt.Key.Key_Delete)
    assert shown(found) == database.prompts() == ["a green ring", "a red ball"]
    assert found.currentRow() == 1  # the next one, for the key to go on with
    popup.close()
    for _ in range(2):
        qtbot.keyClick(panel.prompt, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    assert panel.prompt.toPlainText() == "a red ball"


@pytest.mark.parametrize("rubbish", ['"a"', '[["a"], 3, ["a", "b", 4]]', "{"])
def test_what_makes_no_sense_is_left_out(preferences, rubbish):
    preferences._settings.setValue("saved_prompts", rubbish)
    assert SavedPrompts(preferences).all() == []
