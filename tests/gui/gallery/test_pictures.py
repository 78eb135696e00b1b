"""The pictures of the tiles; a file that is missing or damaged is shown as such."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from mlxvid.gui.gallery.thumbnails import ANIMATION_FRAMES, MOST_WAITING, Thumbnails
from mlxvid.media.clip import Clip
from tests.gui.clips import cut, number_of, write_clip

from .steps import WAIT, delegate_of, has_still, point_at, select, tile


def test_still_pictures_come_by_themselves(qtbot, ids, panel):
    panel.view.grab()
    qtbot.waitUntil(lambda: all(has_still(panel, number) for number in ids), timeout=WAIT)
    picture = panel.view.viewport().grab().toImage()
    place = tile(panel, ids[0])
    assert (
        abs(picture.pixelColor(place.center().x(), place.top() + 40).red() - 24) < 6
    )  # the first frame


def test_the_tile_under_the_mouse_moves_and_stops(qtbot, ids, panel):
    point_at(qtbot, panel, ids[1])
    assert delegate_of(panel).hover.number == ids[1] and delegate_of(panel).hover.image is None
    seen = set()

    def look() -> bool:
        hover = delegate_of(panel).hover
        if hover.image is not None:
            seen.add(number_of(hover.image))
            panel.view.viewport().grab()
        return len(seen) == 9

    qtbot.waitUntil(look, timeout=WAIT)
    QApplication.sendEvent(panel.view, QEvent(QEvent.Type.Leave))
    assert delegate_of(panel).hover is None
    assert not panel.view.animating


def test_a_clip_that_vanishes_while_the_mouse_is_on_it(qtbot, ids, panel, database):
    panel.view.grab()
    qtbot.waitUntil(lambda: has_still(panel, ids[1]), timeout=WAIT)
    said = []
    panel.message.connect(said.append)
    database.clip(ids[1]).path.unlink()
    point_at(qtbot, panel, ids[1])
    qtbot.waitUntil(lambda: panel.thumbnails.broken(ids[1]) is not None, timeout=WAIT)
    qtbot.wait(250)
    assert said == []  # the tile says it
    assert panel.thumbnails.broken(ids[1]).missing and delegate_of(panel).hover is None
    panel.view.grab()


def test_a_row_that_goes_while_the_mouse_is_on_it(qtbot, ids, panel, database):
    point_at(qtbot, panel, ids[1])
    database.remove_clips([ids[1]])
    qtbot.wait(150)
    assert delegate_of(panel).hover is None


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
    said = []
    told = []
    opened = []
    panel.thumbnails.failed.connect(lambda number, text: said.append(text))
    panel.message.connect(told.append)
    panel.open_clip.connect(opened.append)
    panel.view.grab()
    qtbot.waitUntil(lambda: len(said) == 1, timeout=WAIT)
    assert str(path) in said[0]
    assert told == ([] if kind == "missing" else said)  # a missing file its tile shows
    assert panel.thumbnails.broken(ids[0]).missing is (kind == "missing")
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
    qtbot.waitUntil(lambda: len(said) == 2, timeout=WAIT)
    path.write_bytes(whole)
    panel.open_action.trigger()
    qtbot.waitUntil(lambda: has_still(panel, ids[0]), timeout=WAIT)
    assert opened == [] and panel.thumbnails.broken(ids[0]) is None
    panel.open_action.trigger()
    assert opened == [ids[0]]


def test_moving_pictures_of_long_clips_are_their_beginning(tmp_path, qtbot):
    path = Clip(np.zeros((300, 16, 16, 3), np.uint8), 30, {}).save(tmp_path / "long.mp4")
    thumbnails = Thumbnails()
    assert thumbnails.animation(1, path) is None
    with qtbot.waitSignal(thumbnails.ready, timeout=WAIT):
        pass
    animation = thumbnails.animation(1, path)
    assert len(animation.frames) == ANIMATION_FRAMES
    assert animation.fps == 6  # every fifth frame of the first 8 s


def test_what_was_scrolled_past_is_dropped_and_only_the_latest_is_kept(
    tmp_path, qtbot, monkeypatch
):
    path = write_clip(tmp_path / "clip.mp4")
    thumbnails = Thumbnails()
    for number in range(300):
        thumbnails.still(number, path)
    assert thumbnails.waiting == MOST_WAITING
    qtbot.waitUntil(lambda: thumbnails.waiting == 0, timeout=WAIT)
    stills = thumbnails.cached_stills()
    assert stills >= set(range(260, 300))
    assert len(stills) < 100
