"""What the user typed or chose is kept, or comes back."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QLineEdit

from mlxvid.gui.core.jobs import Job
from mlxvid.model.settings import MAX_SEED


def test_a_number_that_is_being_typed_counts(panel, qtbot):
    panel.activateWindow()
    panel.prompt.set_text("a ball")
    panel.advanced.set_open(True)
    panel.steps.setFocus()
    panel.steps.selectAll()
    qtbot.keyClicks(panel.steps, "9")
    panel.generate()  # as the menu's shortcut does
    assert panel.jobs[0].settings["steps"] == 9
    panel.steps.selectAll()
    qtbot.keyClicks(panel.steps, "8")
    panel.save()
    assert panel.settings()["steps"] == 8


def test_a_seed_with_words_around_it(panel, qtbot):
    field = panel.findChild(QLineEdit, "seed")
    QGuiApplication.clipboard().setText("Seed: 1234\n")
    field.selectAll()
    field.paste()
    assert panel.settings()["seed"] == 1234


def test_seeds_go_on_from_the_largest_at_0(panel):
    panel.prompt.set_text("a ball")
    panel.seed.set_value(MAX_SEED)
    panel.takes.setValue(2)
    panel.generate()
    assert [job.settings["seed"] for job in panel.jobs] == [MAX_SEED, 0]


def test_changes_to_a_job_wait_for_its_next_editing(panel):
    settings = {**panel.settings(), "prompt": "one"}
    one = Job(settings, id=1)
    two = Job({**settings, "prompt": "two"}, id=2)
    panel.edit(one)
    panel.steps.setValue(7)
    panel.edit(two)
    assert panel.settings()["steps"] != 7
    assert "kept" in panel.messages[-1]
    panel.edit(one)
    assert panel.settings()["steps"] == 7
    assert len(panel.messages) == 1  # the second was as it is


def test_a_prompt_whose_editing_was_cancelled_is_an_earlier_one(panel, database):
    panel.edit(Job({**panel.settings(), "prompt": "one"}, id=1))
    panel.stop_editing()
    assert database.prompts() == []
    panel.edit(Job({**panel.settings(), "prompt": "one"}, id=1))
    panel.prompt.set_text("one, and more")
    panel.stop_editing()
    assert database.prompts() == ["one, and more"]


@pytest.mark.parametrize("way", ["clear", "apply", "extend"])
def test_undo_brings_back_what_was_replaced(window, picture, way):
    panel = window.compose
    panel.prompt.set_text("my own words")
    panel.set_start_image(picture)
    panel.steps.setValue(7)
    before = panel.settings()
    other = {"prompt": "a star", "model": "mini", "steps": 3, "seed": before["seed"]}
    if way == "clear":
        panel.clear()
    elif way == "apply":
        panel.apply_settings(other)
    else:
        panel.extend(other, picture, picture)
    changed = panel.settings()
    assert changed != before
    window.undo_stack.undo()
    assert panel.settings() == before
    if way != "extend":  # which adds the picture after it
        window.undo_stack.redo()
        assert panel.settings()["prompt"] == changed["prompt"]
    assert window.undo_stack.count() == 1


def test_the_menus_undo_is_that_of_the_focused_text(window, qtbot):
    window.activateWindow()
    panel = window.compose
    panel.clear()
    panel.steps.setValue(7)
    panel.clear()
    panel.prompt.setFocus()
    panel.prompt.document().clearUndoRedoStacks()
    undo = window.menus.undo.undo
    window.menus.edit.aboutToShow.emit()
    assert undo.text() == "Undo New Clip"
    qtbot.keyClicks(panel.prompt, "a ball")
    window.menus.edit.aboutToShow.emit()
    assert undo.text() == "Undo"
    undo.trigger()
    assert panel.prompt.toPlainText() != "a ball"
    assert panel.steps.value() != 7
    panel.prompt.document().clearUndoRedoStacks()
    undo.trigger()
    assert panel.steps.value() == 7
    assert isinstance(undo, QAction) and undo.isEnabled()
