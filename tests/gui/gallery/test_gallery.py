"""The gallery finds, shows and hands on clips."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication, QMenu, QToolButton

from mlxvid.gui.gallery.arrangement import length_text, summary, title
from mlxvid.gui.gallery.list_model import GalleryModel
from mlxvid.gui.gallery.panel import EMPTY, NO_MATCH
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image
from tests.gui.clips import add

from .steps import WAIT, count_text, delegate_of, listed, select, tile


def test_newest_first_search_and_favourites(qtbot, ids, panel):
    assert (
        listed(panel) == ["a red star", "a blue star", "a red ball"]
        and count_text(panel) == "3 clips"
    )
    qtbot.keyClicks(panel.search, "star red")
    qtbot.waitUntil(lambda: listed(panel) == ["a red star"], timeout=WAIT)
    assert count_text(panel) == "1 clip"
    panel.search.clear()
    qtbot.waitUntil(lambda: panel.model.rowCount() == 3, timeout=WAIT)
    panel.favourites.setChecked(True)
    assert listed(panel) == ["a red star"]
    panel.search.setText("50% _\\")
    qtbot.waitUntil(lambda: panel.model.rowCount() == 0, timeout=WAIT)
    assert panel.view.empty_text == NO_MATCH and count_text(panel) == ""
    panel.view.grab()


def test_the_keys_have_a_clip_to_act_on(qtbot, ids, panel):
    panel.search.setFocus()
    qtbot.waitUntil(panel.search.hasFocus, timeout=WAIT)
    panel.view.setFocus()
    assert [row.id for row in panel.view.rows()] == [ids[2]]
    select(panel, ids[0], ids[1])
    panel.search.setFocus()
    panel.view.setFocus()
    assert [row.id for row in panel.view.rows()] == [ids[1], ids[0]]  # and what was chosen stays


def test_a_clip_is_found_and_opened_with_keys_alone(qtbot, ids, panel):
    panel.begin_search()
    qtbot.waitUntil(panel.search.hasFocus, timeout=WAIT)
    qtbot.keyClicks(panel.search, "ball")
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.view.hasFocus() and listed(panel) == ["a red ball"]
    with qtbot.waitSignal(panel.open_clip) as opened:
        qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert opened.args == [ids[0]]
    panel.begin_search()
    qtbot.keyClicks(panel.search, "star")  # in place of what was there
    assert panel.search.text() == "star"


def test_an_empty_library(panel):
    assert panel.view.empty_text == EMPTY
    panel.view.grab()
    assert not panel.open_action.isEnabled() and not panel.delete_action.isEnabled()


def test_new_clips_come_in_and_the_selection_stays(qtbot, ids, panel, database, folder):
    select(panel, ids[0], ids[1])
    newest = add(database, folder / "new.mp4", "a green cube")
    assert listed(panel)[0] == "a green cube" and count_text(panel) == "4 clips"
    assert [row.id for row in panel.view.rows()] == [ids[1], ids[0]]
    database.remove_clips([ids[1]])
    assert [row.id for row in panel.view.rows()] == [ids[0]]
    assert listed(panel) == ["a green cube", "a red star", "a red ball"]
    assert not panel.model.index_of(ids[1]).isValid() and panel.model.index_of(newest).row() == 0


def test_favourites_by_star_and_by_key(qtbot, ids, panel, database):
    star = delegate_of(panel).star_rect(tile(panel, ids[0])).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=star)
    assert database.clip(ids[0]).favourite and panel.view.rows() == []
    select(panel, ids[0], ids[1])
    qtbot.keyClick(panel.view, Qt.Key.Key_Period)
    assert all(database.clip(number).favourite for number in ids)  # the two were mixed: now all are
    qtbot.keyClick(panel.view, Qt.Key.Key_Period)
    assert [database.clip(number).favourite for number in ids] == [False, False, True]


def test_what_is_written_on_a_tile(ids, database):
    row = database.clip(ids[0])
    assert (title(row), summary(row), length_text(row)) == (
        "a red ball",
        "seed 0 · 48×32 · mini",
        "1.1 s",
    )
    number = database.add_clip("/x/some.mp4", {"model": "/models/wan/"}, 24, 24 * 75, 832, 480)
    row = database.clip(number)
    assert (title(row), summary(row), length_text(row)) == ("some.mp4", "832×480 · wan", "1:15")


def test_a_tile_has_no_half_facts(themed):
    metrics = QFontMetrics(themed.font())
    line = "seed 1787728528 · 96×96 · mini"
    for kept in (line, "seed 1787728528 · 96×96", "seed 1787728528"):
        assert whole_parts(line, metrics, metrics.horizontalAdvance(kept)) == kept
    assert whole_parts("seed 1787728528", metrics, metrics.horizontalAdvance("seed 17")).endswith(
        "…"
    )


def test_accessible_text(ids, panel):
    index = panel.model.index_of(ids[2])
    assert (
        index.data(Qt.ItemDataRole.AccessibleTextRole)
        == "a red star, seed 2 · 48×32 · mini, favourite"
    )
    for button in panel.findChildren(QToolButton):
        assert button.accessibleName() or button.parent() is panel.search
    assert panel.search.accessibleName() and panel.view.accessibleName()


def test_clips_can_be_dragged_out(ids, panel):
    select(panel, ids[0])
    urls = panel.model.mimeData(panel.view.selectedIndexes()).urls()
    assert [Path(url.toLocalFile()).name for url in urls] == ["a red ball.mp4"]


def test_the_model_follows_qts_rules(ids, database, qtmodeltester, folder):
    model = GalleryModel(database)
    qtmodeltester.check(model)
    add(database, folder / "one more.mp4", "one more")
    database.set_favourites([ids[0]], True)
    database.remove_clips([ids[1]])
    model.set_search("red")
    model.arrange(search=(), favourites=True)
    assert [model.index(row).data() for row in range(model.rowCount())] == [
        "a red star",
        "a red ball",
    ]


def test_the_search_finds_what_a_tile_shows(database):
    model = GalleryModel(database)
    facts = {"prompt": "a Red ball, 100% of a_b", "model": "mini", "seed": 4711}
    database.add_clip("/x/a.mp4", facts, 24, 9, 832, 480)
    database.add_clip("/x/unnamed.mp4", {"model": "/models/wan/"}, 24, 9, 64, 64)
    for words, count in (
        ("red BALL", 1),
        ("red star", 0),
        ("100% a_b", 1),
        ("1%o", 0),
        ("axb", 0),
        ("4711", 1),
        ("832×480", 1),
        ("mini ball", 1),
        ("unnamed", 1),
        ("wan", 1),
        ("", 2),
    ):
        model.set_search(words)
        assert model.rowCount() == count, words


def test_many_rows_that_come_and_go_keep_the_selection(panel, database, qtbot):
    for number in range(40):
        database.add_clip(f"/x/{number}.mp4", {"prompt": f"clip n{number}x"}, 24, 9, 64, 64)
    kept = [panel.model.index(row).data(GalleryModel.ROW).id for row in (0, 30)]
    select(panel, *kept)
    panel.search.setText("n9x")
    qtbot.waitUntil(lambda: panel.model.rowCount() == 1)
    assert count_text(panel) == "1 clip"
    assert [row.id for row in panel.view.rows()] == [kept[1]]
    panel.search.setText("")
    qtbot.waitUntil(lambda: panel.model.rowCount() == 40)
    assert [row.id for row in panel.view.rows()] == [kept[1]]


def test_only_what_has_changed_is_read(ids, panel, database, monkeypatch):
    def refuse():
        raise AssertionError("all clips are read")

    monkeypatch.setattr(database, "clips", refuse)
    database.set_favourites([ids[0]], True)
    assert panel.model.index_of(ids[0]).data(GalleryModel.ROW).favourite
    database.remove_clips([ids[0]])
    assert panel.model.rowCount() == 2
    panel.model.set_search("star")
    assert panel.model.rowCount() == 2


# --- starting from a clip -------------------------------------------------------------------------


def test_open_by_keyboard_and_mouse(qtbot, ids, panel):
    select(panel, ids[1])
    with qtbot.waitSignal(panel.open_clip, timeout=WAIT) as opened:
        qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert opened.args == [ids[1]]
    middle = tile(panel, ids[0]).center()
    with qtbot.waitSignal(panel.open_clip, timeout=WAIT) as opened:
        qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert opened.args == [ids[0]]
    with qtbot.assertNotEmitted(panel.open_clip):  # one that is added to the selection
        control = Qt.KeyboardModifier.ControlModifier
        other = tile(panel, ids[2]).center()
        qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, control, other)
    assert len(panel.view.rows()) == 2


def test_settings_variations_and_compare(qtbot, ids, panel):
    select(panel, ids[1])
    assert not panel.compare_action.isEnabled()
    for signal, action in (
        (panel.use_settings, panel.settings_action),
        (panel.make_variations, panel.variations_action),
    ):
        with qtbot.waitSignal(signal) as sent:
            action.trigger()
        assert sent.args[0]["prompt"] == "a blue star" and sent.args[0]["seed"] == 1
    select(panel, ids[0], ids[2])
    assert not panel.settings_action.isEnabled() and not panel.open_action.isEnabled()
    with qtbot.waitSignal(panel.compare) as sent:
        panel.compare_action.trigger()
    assert sent.args[0] == [ids[2], ids[0]]
    select(panel, *ids)
    assert not panel.compare_action.isEnabled()


def test_extend_and_use_as_start_image(qtbot, ids, panel, database, tmp_path):
    whole = Clip.load(database.clip(ids[0]).path)
    select(panel, ids[0])
    with qtbot.waitSignal(panel.extend_clip, timeout=WAIT) as extended:
        panel.extend_action.trigger()
        panel.view.clearSelection()  # what is wanted is the clip that was selected then
    settings, still, path = extended.args
    assert path == database.clip(ids[0]).path
    assert settings["prompt"] == "a red ball" and np.array_equal(
        read_image(still), whole.frames[-1]
    )
    assert still.parent == tmp_path / "stills"
    select(panel, ids[0])
    with qtbot.waitSignal(panel.use_as_start, timeout=WAIT) as used:
        panel.start_action.trigger()
    assert used.args[0] == still and os.listdir(tmp_path / "stills") == [still.name]
    database.clip(ids[0]).path.unlink()
    for action in (panel.extend_action, panel.start_action):
        with qtbot.waitSignal(panel.warning, timeout=WAIT) as said:
            action.trigger()
        assert database.clip(ids[0]).path.name in said.args[0]
    assert panel._last_frames._clips == {}


def test_the_menu_of_clips(qtbot, ids, panel):
    select(panel, ids[0])
    panel.view.customContextMenuRequested.emit(QPoint(10, 10))
    menu = next(
        widget
        for widget in QApplication.topLevelWidgets()
        if isinstance(widget, QMenu) and widget.isVisible()
    )
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts[0] == "Open"
    assert texts[-1] == "Move to Trash"
    assert "Export Selected…" in texts
    menu.close()


def test_selected_clips_are_exported(qtbot, ids, panel, folder):
    (folder / "a blue star.mp4").write_text("damaged")
    asked = []
    panel.export_asked.connect(asked.extend)
    select(panel, *ids)
    panel.thumbnails.forget(ids[1])  # it may have been read before
    panel.thumbnails.still(ids[1], folder / "a blue star.mp4")
    qtbot.waitUntil(lambda: panel.thumbnails.broken(ids[1]) is not None, timeout=WAIT)
    panel.export_action.trigger()
    assert [source.path.stem for source in asked] == ["a red star", "a red ball"]
    assert (asked[0].frames, asked[0].fps, asked[0].width, asked[0].height) == (9, 8, 48, 32)
