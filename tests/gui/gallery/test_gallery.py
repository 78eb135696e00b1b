"""The gallery finds, shows, hands on and throws away clips; a file that is missing or damaged is
shown as such and hurts nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QMessageBox, QToolButton

from mlxvid.errors import MediaError
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.trash import move_to_trash, show_in_file_manager
from mlxvid.gui.gallery.delegate import LEAST_WIDTH, GalleryDelegate
from mlxvid.gui.gallery.list_model import GalleryModel, duration, facts, title
from mlxvid.gui.gallery.panel import EMPTY, NO_MATCH, GalleryPanel
from mlxvid.gui.gallery.thumbnails import MOVING_FRAMES, Thumbnails
from mlxvid.gui.widgets.elided import whole_parts
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image
from tests.gui.clips import add, cut, number_of, write_clip

WAIT = 10_000


@pytest.fixture
def database(tmp_path, qapp):
    database = Database(tmp_path / "library.sqlite")
    yield database
    database.close()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.fixture
def ids(database, folder):
    """Three clips, the oldest first: a red ball, a blue star, and a red star that is a favourite."""
    prompts = ("a red ball", "a blue star", "a red star")
    numbers = [
        add(database, folder / f"{prompt}.mp4", prompt, seed=seed)
        for seed, prompt in enumerate(prompts)
    ]
    database.set_favourite(numbers[2], True)
    return numbers


@pytest.fixture
def panel(qtbot, database, tmp_path):
    panel = GalleryPanel(database, stills=tmp_path / "stills")
    qtbot.addWidget(panel)
    panel.resize(520, 480)
    panel.show()
    panel.activateWindow()
    qtbot.waitExposed(panel)
    return panel


def listed(panel) -> list[str]:
    return [panel.model.index(row).data() for row in range(panel.model.rowCount())]


def select(panel, *numbers: int) -> None:
    """Select clips, with the keyboard in the grid."""
    panel.view.setFocus()
    panel.view.clearSelection()
    for number in numbers:
        index = panel.model.index_of(number)
        panel.view.selectionModel().select(index, panel.view.selectionModel().SelectionFlag.Select)
        panel.view.selectionModel().setCurrentIndex(
            index, panel.view.selectionModel().SelectionFlag.NoUpdate
        )


def tile(panel, number: int) -> QRect:
    return panel.view.visualRect(panel.model.index_of(number))


def point_at(qtbot, panel, number: int) -> None:
    """Move the mouse to a tile: from elsewhere, since no movement is no event."""
    for place in (QPoint(1, 1), tile(panel, number).center()):
        qtbot.mouseMove(panel.view.viewport(), place)


# --- finding --------------------------------------------------------------------------------------


def test_newest_first_search_and_favourites(qtbot, ids, panel):
    assert (
        listed(panel) == ["a red star", "a blue star", "a red ball"]
        and panel._count.text() == "3 clips"
    )
    qtbot.keyClicks(panel.search, "star red")
    qtbot.waitUntil(lambda: listed(panel) == ["a red star"], timeout=WAIT)
    assert panel._count.text() == "1 clip"
    panel.search.clear()
    qtbot.waitUntil(lambda: panel.model.rowCount() == 3, timeout=WAIT)
    panel.favourites.setChecked(True)
    assert listed(panel) == ["a red star"]
    panel.search.setText("50% _\\")
    qtbot.waitUntil(lambda: panel.model.rowCount() == 0, timeout=WAIT)
    assert panel.view._empty == NO_MATCH and panel._count.text() == ""
    panel.view.grab()


def test_an_empty_library(panel):
    assert panel.view._empty == EMPTY
    panel.view.grab()
    assert not panel.open_action.isEnabled() and not panel.delete_action.isEnabled()


def test_new_clips_come_in_and_the_selection_stays(qtbot, ids, panel, database, folder):
    select(panel, ids[0], ids[1])
    newest = add(database, folder / "new.mp4", "a green cube")
    assert listed(panel)[0] == "a green cube" and panel._count.text() == "4 clips"
    assert [row.id for row in panel.view.rows()] == [ids[1], ids[0]]
    database.remove_clip(ids[1])
    assert [row.id for row in panel.view.rows()] == [ids[0]]
    assert listed(panel) == ["a green cube", "a red star", "a red ball"]
    assert not panel.model.index_of(ids[1]).isValid() and panel.model.index_of(newest).row() == 0


def test_favourites_by_star_and_by_key(qtbot, ids, panel, database):
    star = panel.view._delegate.star_rect(tile(panel, ids[0])).center()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=star)
    assert database.clip(ids[0]).favourite and panel.view.rows() == []
    select(panel, ids[0], ids[1])
    qtbot.keyClick(panel.view, Qt.Key.Key_Period)
    assert all(database.clip(number).favourite for number in ids)  # the two were mixed: now all are
    qtbot.keyClick(panel.view, Qt.Key.Key_Period)
    assert [database.clip(number).favourite for number in ids] == [False, False, True]


def test_what_is_written_on_a_tile(ids, database):
    row = database.clip(ids[0])
    assert (title(row), facts(row), duration(row)) == (
        "a red ball",
        "seed 0 · 48×32 · mini",
        "1.1 s",
    )
    number = database.add_clip("/x/some.mp4", {"model": "/models/wan/"}, 24, 24 * 75, 832, 480)
    row = database.clip(number)
    assert (title(row), facts(row), duration(row)) == ("some.mp4", "832×480 · wan", "1:15")


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


# --- pictures -------------------------------------------------------------------------------------


def test_still_pictures_come_by_themselves(qtbot, ids, panel):
    panel.view.grab()
    qtbot.waitUntil(
        lambda: all(panel.thumbnails._stills.find(number) for number in ids), timeout=WAIT
    )
    picture = panel.view.viewport().grab().toImage()
    place = tile(panel, ids[0])
    assert (
        abs(picture.pixelColor(place.center().x(), place.top() + 40).red() - 24) < 6
    )  # the first frame


def test_the_tile_under_the_mouse_moves_and_stops(qtbot, ids, panel):
    point_at(qtbot, panel, ids[1])
    assert panel.view._delegate.hover.number == ids[1] and panel.view._delegate.hover.image is None
    seen = set()

    def look() -> bool:
        hover = panel.view._delegate.hover
        if hover.image is not None:
            seen.add(number_of(hover.image))
            panel.view.viewport().grab()
        return len(seen) == 9

    qtbot.waitUntil(look, timeout=WAIT)
    QApplication.sendEvent(panel.view, QEvent(QEvent.Type.Leave))
    assert panel.view._delegate.hover is None and not panel.view._timer.isActive()


def test_a_clip_that_vanishes_while_the_mouse_is_on_it(qtbot, ids, panel, database):
    panel.view.grab()
    qtbot.waitUntil(lambda: panel.thumbnails._stills.find(ids[1]) is not None, timeout=WAIT)
    path = database.clip(ids[1]).path
    told = []
    panel.message.connect(told.append)
    path.unlink()
    point_at(qtbot, panel, ids[1])
    qtbot.waitUntil(lambda: panel.thumbnails.broken(ids[1]) is not None, timeout=WAIT)
    qtbot.wait(250)
    assert told == [f"There is no clip {path}: check the name."]  # once
    assert panel.thumbnails.broken(ids[1]).missing and panel.view._delegate.hover is None
    panel.view.grab()


def test_a_row_that_goes_while_the_mouse_is_on_it(qtbot, ids, panel, database):
    point_at(qtbot, panel, ids[1])
    database.remove_clip(ids[1])
    qtbot.wait(150)
    assert panel.view._delegate.hover is None


@pytest.mark.parametrize("kind", ["missing", "text", "cut"])
def test_broken_clips_are_set_aside_with_a_message(qtbot, ids, database, request, kind):
    path = database.clip(ids[0]).path
    whole = path.read_bytes()
    if kind == "missing":
        path.unlink()
    elif kind == "text":
        path.write_text("no clip")
    else:
        cut(path, 0.3)
    panel = request.getfixturevalue("panel")
    told, opened = [], []
    panel.message.connect(told.append)
    panel.open_clip.connect(opened.append)
    panel.view.grab()
    qtbot.waitUntil(lambda: len(told) == 1, timeout=WAIT)
    assert str(path) in told[0] and panel.thumbnails.broken(ids[0]).missing is (kind == "missing")
    select(panel, ids[0])
    for action in (
        panel.extend_action,
        panel.start_action,
        panel.compare_action,
        panel.show_action,
    ):
        assert not action.isEnabled()
    assert (
        panel.settings_action.isEnabled() and panel.delete_action.isEnabled()
    )  # the settings are in the library
    panel.open_action.trigger()  # looks again
    qtbot.waitUntil(lambda: len(told) == 2, timeout=WAIT)
    path.write_bytes(whole)
    panel.open_action.trigger()
    qtbot.waitUntil(lambda: panel.thumbnails._stills.find(ids[0]) is not None, timeout=WAIT)
    assert opened == [] and panel.thumbnails.broken(ids[0]) is None
    panel.open_action.trigger()
    assert opened == [ids[0]]


def test_moving_pictures_of_long_clips_are_their_beginning(tmp_path, qtbot):
    path = Clip(np.zeros((300, 16, 16, 3), np.uint8), 30, {}).save(tmp_path / "long.mp4")
    thumbnails = Thumbnails()
    assert thumbnails.moving(1, path) is None
    with qtbot.waitSignal(thumbnails.ready, timeout=WAIT):
        pass
    moving = thumbnails.moving(1, path)
    assert len(moving.frames) == MOVING_FRAMES and moving.fps == 6  # every fifth of the first 8 s


def test_what_was_scrolled_past_is_given_up_and_only_the_latest_is_kept(
    tmp_path, qtbot, monkeypatch
):
    path = write_clip(tmp_path / "clip.mp4")
    thumbnails = Thumbnails()
    for number in range(300):
        thumbnails.still(number, path)
    assert len(thumbnails._waiting) == 48
    qtbot.waitUntil(lambda: not thumbnails._waiting, timeout=WAIT)
    assert set(thumbnails._stills) >= set(range(260, 300)) and len(thumbnails._stills) < 100


# --- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [150, 290, 360, 520, 960, 1440])
def test_tiles_fill_the_width(qtbot, ids, panel, database, width):
    for index in range(12):
        database.add_clip(f"/none/{index}.mp4", {"prompt": f"clip {index}"}, 8, 9, 48, 32)
    panel.resize(width, 480)
    panel.view.doItemsLayout()
    places = [
        panel.view.visualRect(panel.model.index(row)) for row in range(panel.model.rowCount())
    ]
    columns = len({place.left() for place in places})
    room = panel.view.viewport().width()
    assert columns == max(
        (panel.view.contentsRect().width() - panel.view.verticalScrollBar().sizeHint().width() - 2)
        // LEAST_WIDTH,
        1,
    )
    assert all(0 <= place.left() and place.right() < room for place in places)
    assert room - max(place.right() for place in places) < 40


def test_tiles_grow_with_the_writing(qapp):
    delegate, font = GalleryDelegate(Thumbnails()), QFont(qapp.font())
    usual = delegate.cell_for(300, font)
    font.setPointSizeF(font.pointSizeF() * 1.25)
    assert (
        delegate.cell_for(300, font).height() > usual.height()
        and delegate.cell_for(300, font).width() == usual.width() == 150
    )
    assert (
        delegate.cell_for(260, font).width() == 130
    )  # two columns beside the stage of a small window
    assert delegate.cell_for(0, font).width() == 1  # a window that is being made is no excuse
    assert delegate.sizeHint(None, None) == delegate.cell == QSize(LEAST_WIDTH, LEAST_WIDTH)


# --- going on from a clip -------------------------------------------------------------------------


def test_open_by_keyboard_and_mouse(qtbot, ids, panel):
    select(panel, ids[1])
    with qtbot.waitSignal(panel.open_clip, timeout=WAIT) as opened:
        qtbot.keyClick(panel.view, Qt.Key.Key_Return)
    assert opened.args == [ids[1]]
    with qtbot.waitSignal(panel.open_clip, timeout=WAIT) as opened:
        qtbot.mouseClick(
            panel.view.viewport(), Qt.MouseButton.LeftButton, pos=tile(panel, ids[0]).center()
        )
        qtbot.mouseDClick(
            panel.view.viewport(), Qt.MouseButton.LeftButton, pos=tile(panel, ids[0]).center()
        )
    assert opened.args == [ids[0]]


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
        with qtbot.waitSignal(panel.message, timeout=WAIT) as told:
            action.trigger()
        assert told.args[0].startswith("There is no clip")
    assert panel._extending == {}


def test_export_from_the_gallery(qtbot, ids, panel, tmp_path, monkeypatch):
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *args: (str(tmp_path / "given.gif"), args[-1])
    )
    select(panel, ids[0])
    panel._show_menu(QPoint(10, 10))
    menu = next(
        widget
        for widget in QApplication.topLevelWidgets()
        if isinstance(widget, QMenu) and widget.isVisible()
    )
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts[0] == "Open" and texts[-1] == "Move to Trash…" and len(texts) == 10
    export = next(action.menu() for action in menu.actions() if action.text() == "Export")
    with qtbot.waitSignal(panel.message, timeout=WAIT) as told:
        next(action for action in export.actions() if "GIF" in action.text()).trigger()
    assert told.args[0] == f"Saved given.gif in {tmp_path}."
    menu.close()


# --- the trash ------------------------------------------------------------------------------------


@pytest.fixture
def trash(tmp_path, monkeypatch):
    """A trash of the test's own, where the system is one that lets a variable say so."""
    if sys.platform == "darwin":
        pytest.skip("macOS has one trash, and it is the user's")
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "Trash" / "files"


def answer(qtbot, panel, role) -> str:
    """Press a button of the question; returns what it asked."""
    qtbot.waitUntil(
        lambda: any(box.isVisible() for box in panel.findChildren(QMessageBox)), timeout=WAIT
    )
    box = next(box for box in panel.findChildren(QMessageBox) if box.isVisible())
    text = box.text()
    button = next(button for button in box.buttons() if box.buttonRole(button) == role)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return text


def test_delete_asks_and_moves_to_the_trash(qtbot, ids, panel, database, folder, trash):
    select(panel, ids[0])
    qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
    assert (
        answer(qtbot, panel, QMessageBox.ButtonRole.RejectRole) == "Move “a red ball” to the Trash?"
    )
    assert (folder / "a red ball.mp4").exists() and database.clip(ids[0])
    whole = (folder / "a red ball.mp4").read_bytes()
    panel.ask_to_delete()
    answer(qtbot, panel, QMessageBox.ButtonRole.AcceptRole)
    assert database.clip(ids[0]) is None and not (folder / "a red ball.mp4").exists()
    assert (trash / "a red ball.mp4").read_bytes() == whole
    select(panel, *ids[1:])
    panel.ask_to_delete()
    assert (
        answer(qtbot, panel, QMessageBox.ButtonRole.AcceptRole)
        == "Move these 2 clips to the Trash?"
    )
    assert database.clips() == [] and sorted(os.listdir(trash)) == [
        "a blue star.mp4",
        "a red ball.mp4",
        "a red star.mp4",
    ]


def test_a_clip_that_cannot_be_moved_stays(qtbot, ids, panel, database, folder, trash, tmp_path):
    (tmp_path / "data" / "Trash").write_text("a file where the trash should be")
    told = []
    panel.message.connect(told.append)
    path = database.clip(ids[0]).path
    (folder / "a blue star.mp4").unlink()
    panel.delete([database.clip(ids[0]), database.clip(ids[1])])
    assert path.exists() and database.clip(ids[0]) is not None
    assert told == [
        f"{path} can't be moved to the trash: look after the permissions of its folder, or delete it there."
    ]
    assert database.clip(ids[1]) is None  # its file was gone already


def test_the_trash_takes_folders_too(tmp_path, folder, trash):
    move_to_trash(write_clip(folder / "frames"))
    assert len(list((trash / "frames").glob("frame_*.png"))) == 9
    with pytest.raises(MediaError, match=r"can't be moved to the trash"):
        move_to_trash(folder / "none")


def test_show_in_file_manager_needs_a_file(tmp_path, qtbot, ids, panel, database):
    with pytest.raises(
        MediaError, match=r"^There is no file .*none\.mp4 any more: it was moved or deleted\.$"
    ):
        show_in_file_manager(tmp_path / "none.mp4")
    select(panel, ids[0])
    database.clip(ids[0]).path.unlink()
    with qtbot.waitSignal(panel.message) as told:
        panel.show_action.trigger()
    assert told.args[0].endswith("it was moved or deleted.")


def test_the_model_follows_qts_rules(ids, database, qtmodeltester, folder):
    model = GalleryModel(database)
    qtmodeltester.check(model)
    add(database, folder / "one more.mp4", "one more")
    database.set_favourite(ids[0], True)
    database.remove_clip(ids[1])
    model.set_filter("red", False)
    model.set_filter("", True)
    assert [model.index(row).data() for row in range(model.rowCount())] == [
        "a red star",
        "a red ball",
    ]
