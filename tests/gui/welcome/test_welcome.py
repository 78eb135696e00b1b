"""The page of a window without clips."""

from __future__ import annotations

import shutil

import pytest
from PySide6.QtWidgets import QLabel, QPushButton

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.choices import Choice, Choices
from mlxvid.gui.welcome.offers import MOST, PATIENCE, offers
from mlxvid.model.machine import GIB, Machine, mac
from tests.gui.windows import said, write_clip

PLAIN = [Choice(card, here=False) for card in CATALOG.values()]


@pytest.fixture
def roomy(monkeypatch, home):
    """A disk with room for every model."""
    usage = shutil.disk_usage(home)._replace(free=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


@pytest.fixture
def window(open_window, roomy, preferences):
    """A window on a machine with memory for every model."""
    return open_window(choices=Choices(preferences, Machine("Test", 256 * GIB, 200 * GIB, True)))


def in_view(window) -> bool:
    return window.welcome.isVisible()


def examples(window) -> list[QPushButton]:
    return window.welcome.findChildren(QPushButton, "example")


# --- what is offered ------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [16, 32, 64, 192])
def test_offers_fit_the_machine_and_differ(memory):
    found = offers(PLAIN, mac(memory * GIB))
    assert 1 <= len(found) <= MOST
    families = [CATALOG[offer.name].family.name for offer in found]
    assert len(set(families)) == len(families)
    assert all(offer.seconds > 0 for offer in found)
    waits = [offer.seconds > PATIENCE for offer in found[1:]]
    assert waits == sorted(waits), "what takes too long comes last"


def test_a_tiny_machine_is_offered_nothing():
    assert offers(PLAIN, Machine("Small", 2 * GIB, GIB, False)) == []


def test_each_offer_says_what_it_takes(window, qtbot):
    qtbot.waitUntil(lambda: len(window.welcome.rows) == MOST)
    row = window.welcome.rows[0]
    facts = row.findChild(QLabel, "offer-facts").text().replace("\u00a0", " ")
    size = f"{CATALOG[row.name].download_bytes / 1e9:.1f} GB"
    assert "-bit weights" in facts and size in facts and "about" in facts and "a guess" in facts
    assert row.button.isEnabled()


def test_an_offer_without_room_is_refused_before_the_click(window, qtbot, monkeypatch, home):
    qtbot.waitUntil(lambda: len(window.welcome.rows) == MOST)
    usage = shutil.disk_usage(home)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    row = next(row for row in window.welcome.rows if row.button.text() == "Download")
    row.follow()
    assert not row.button.isEnabled()
    assert "1.0 GB are" in row.findChild(QLabel, "offer-facts").text()


def test_a_licence_is_read_in_the_models_window(window, qtbot):
    qtbot.waitUntil(lambda: len(window.welcome.rows) == MOST)
    rows = [row for row in window.welcome.rows if row.button.text() == "Download…"]
    if not rows:
        pytest.skip("no offer has such a licence")
    rows[0].button.click()
    panel = window.tools.models
    qtbot.waitUntil(lambda: panel.chosen() is not None and panel.chosen().name == rows[0].name)


# --- when it is there -----------------------------------------------------------------------------


def test_it_is_there_while_there_is_nothing_to_see(window, qtbot, home):
    assert in_view(window)
    path = write_clip(home / "clip.mp4")
    number = window.database.add_clip(path, {"prompt": "a"}, 16, 9, 64, 64)
    assert not in_view(window)
    window.database.remove_clips([number])
    assert in_view(window)
    window.stage.open(path)
    qtbot.waitUntil(lambda: not in_view(window))
    path.unlink()
    window.runner.changed.emit()
    assert in_view(window)


def test_an_example_fills_the_prompt_and_generates(window, qtbot):
    assert len(examples(window)) == 6
    examples(window)[1].click()
    qtbot.waitUntil(lambda: not in_view(window))
    job = window.runner.current
    assert job.settings["prompt"] == examples(window)[1].text()
    assert window.compose.prompt.toPlainText() == examples(window)[1].text()
    assert CATALOG[job.settings["model"]].prompts
    assert said(window) == ""


def test_it_is_never_cut_in_a_small_window(window, qtbot):
    qtbot.waitUntil(lambda: len(window.welcome.rows) == MOST)
    window.resize(1000, 500)
    page = window.welcome
    assert page.horizontalScrollBar().maximum() == 0
    assert page.widget().width() <= page.viewport().width()
    content = page.widget()
    qtbot.waitUntil(lambda: content.height() >= content.minimumSizeHint().height())
    assert page.verticalScrollBar().maximum() == content.height() - page.viewport().height()


def test_a_folder_of_clips_comes_into_the_gallery(window, qtbot, home, monkeypatch):
    monkeypatch.delenv("MLXVID_CLIPS")
    folder = home / "mine"
    folder.mkdir()
    write_clip(folder / "clip.mp4")
    window.welcome.folder_chosen.emit(folder)
    qtbot.waitUntil(lambda: not window.database.is_empty(), timeout=10_000)
    qtbot.waitUntil(lambda: not in_view(window))


# --- words ----------------------------------------------------------------------------------------


def test_words_that_the_model_does_not_know_are_said_once_and_lastingly(window):
    compose = window.compose
    compose.prompt.set_text("a dragon over the sea")
    compose.generate()
    assert "dragon, over, sea" in said(window)
    notice = window.notices.notices[0]
    assert [label for label, _ in notice.actions] == ["Choose a Model…"]
    assert len(window.database.jobs()) == 1, "the clip is made all the same"
    window.announcements.inform(notice.text)
    assert window.notices.notices == [notice], "the generator's own note adds nothing"
    window.notices.clear()
    compose.generate()
    assert said(window) == ""
    compose.prompt.set_text("a red ball")
    compose.generate()
    assert said(window) == ""


def test_a_model_is_used_with_the_weights_that_fit(open_window, preferences, roomy, qtbot):
    window = open_window(choices=Choices(preferences, mac(24 * GIB)))
    page = window.welcome
    qtbot.waitUntil(lambda: any(row.bits for row in page.rows))
    row = next(row for row in page.rows if row.bits)
    window.compose.prompt.set_text("a storm")
    page.use.emit(row.name)
    settings = window.compose.settings()
    chosen = (settings["model"], settings["quantize"], settings["prompt"])
    assert chosen == (row.name, row.bits, "a storm")
