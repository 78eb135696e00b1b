"""Takes side by side: choosing, keeping, rejecting, opening and exporting them."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import Qt

from mlxvid.gui.core.jobs import Job, State, grouped
from mlxvid.gui.takes.dialog import GridDialog
from mlxvid.media.clip import Clip
from tests.gui.clips import add, cut, number_of, write_clip
from tests.gui.windows import SETTINGS, notice_buttons, said

WAIT = 10000


@pytest.fixture
def takes(window, home, qtbot):
    """The window with four takes of one prompt, the first of them selected."""
    database = window.database
    jobs = grouped([Job({**SETTINGS, "seed": seed}) for seed in range(4)])
    window.runner.pause(True)
    clips = []
    for seed, number in enumerate(database.insert_jobs(jobs)):
        path = home / "clips" / f"{seed}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_clip(path, frames=6 + seed, fps=8, seed=seed)
        made = {**SETTINGS, "seed": seed}
        clips.append(database.add_clip(path, made, 8, 6 + seed, 48, 32, job=number))
    add(database, home / "clips" / "another.mp4", seed=99)
    places = [window.gallery.model.index_of(number) for number in clips]
    (first,) = [place for place in places if place.isValid()]  # the others are behind it
    window.gallery.view.setCurrentIndex(first)
    window.gallery.takes_action.trigger()
    panel = window.side_by_side.takes
    qtbot.waitUntil(lambda: all(reel.complete for reel in panel._reels), timeout=WAIT)
    panel.playhead.pause()
    return panel


def press(qtbot, panel, *keys) -> None:
    for key in keys:
        qtbot.keyClick(panel.canvas, key)


def test_the_whole_group_plays_in_step(takes, window, qtbot):
    assert takes.isVisible() and takes.title.text() == "4 Takes"
    assert takes.playhead.count == 9
    for index in (0, 5, 8):
        takes.playhead.seek(index)
        shown = [number_of(image) for image in takes.canvas.images]
        assert shown == [min(index, last) for last in (5, 6, 7, 8)]
    press(qtbot, takes, Qt.Key.Key_Space)
    assert takes.playhead.playing
    qtbot.keyClick(window.gallery.view, Qt.Key.Key_J)
    assert takes.playhead.pace == -1 and not window.stage.player.playhead.playing
    window.menus.back_chosen.emit()
    assert not takes.isVisible() and not takes.playhead.playing


def test_keys_choose_and_keep(takes, window, qtbot):
    places = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_3, Qt.Key.Key_9):
        press(qtbot, takes, key)
        places.append(takes.canvas.chosen)
    assert places == [1, 1, 3, 2, 2]
    assert takes.facts.text() == "3 of 4 · Seed 2"
    press(qtbot, takes, Qt.Key.Key_K)
    assert takes.chosen().favourite and takes.canvas.kept == {2}
    assert takes.facts.text().endswith("kept")
    takes.keep_action.trigger()
    assert not takes.chosen().favourite
    opened = []
    takes.open_clip.connect(opened.append)
    chosen = takes.chosen()
    press(qtbot, takes, Qt.Key.Key_Return)
    assert opened == [chosen.id]
    assert window.stage.player.path == chosen.path


def test_the_rejected_go_to_the_trash_when_one_is_done_and_come_back(trash, takes, window, qtbot):
    database = window.database
    press(qtbot, takes, Qt.Key.Key_2, Qt.Key.Key_X)
    clip = takes.chosen()
    assert takes.canvas.rejected == {1} and clip.path.exists()
    takes.done.click()
    assert not clip.path.exists() and database.clip(clip.id) is None
    assert "1 clip was moved to the Trash." in said(window)
    (back,) = notice_buttons(window)
    back.click()
    assert clip.path.exists() and database.clip(clip.id) == clip
    assert said(window) == ""


def test_nothing_is_thrown_away_when_the_window_closes(takes, window):
    clip = takes.chosen()
    takes.reject_action.trigger()
    window.quit_now()
    assert clip.path.exists()


def test_a_broken_take_keeps_its_place(window, home, qtbot):
    first = add(window.database, home / "a.mp4", seed=1)
    second = add(window.database, home / "b.mp4", seed=2)
    cut(home / "a.mp4", 0.05)
    panel = window.side_by_side.takes
    window.stage.show_page(panel)
    panel.open([window.database.clip(number) for number in (first, second)])
    qtbot.waitUntil(lambda: all(reel.complete for reel in panel._reels), timeout=WAIT)
    panel.playhead.pause()
    images = panel.canvas.images
    assert images[0] is None and images[1] is not None


def test_the_grid_is_saved_as_one_clip(takes, home, qtbot):
    with qtbot.waitSignal(takes.message, timeout=WAIT) as said_:
        takes.export(home / "grid.mp4")
        assert takes.exporting
    assert "grid.mp4" in said_.args[0]
    clip = Clip.load(home / "grid.mp4")
    assert (len(clip.frames), clip.fps) == (9, 8)
    height, width = clip.frames.shape[1:3]
    corners = [(height // 5, width // 5), (height // 5, 4 * width // 5)]
    first = [round((int(clip.frames[5, y, x].max()) - 24) / 8) for y, x in corners]
    last = [round((int(clip.frames[8, y, x].max()) - 24) / 8) for y, x in corners]
    assert first == [5, 5] and last == [5, 6]
    assert np.ptp(clip.frames[0]) > 60  # the labels are lighter than the ground
    qtbot.waitUntil(lambda: not takes.exporting)


def test_no_clip_is_replaced_by_a_grid_of_it(takes, qtbot):
    clip = takes.chosen()
    whole = clip.path.read_bytes()
    with qtbot.waitSignal(takes.warning, timeout=WAIT) as warned:
        takes.export(clip.path)
    assert clip.path.name in warned.args[0] and "another name" in warned.args[0]
    assert clip.path.read_bytes() == whole
    qtbot.waitUntil(lambda: not takes.exporting)


def test_an_export_can_be_cancelled(takes, home, qtbot):
    with qtbot.waitSignal(takes.message, timeout=WAIT) as told:
        takes.export(home / "grid.mp4")
        takes.export_action.trigger()
    assert "cancelled" in told.args[0] and not (home / "grid.mp4").exists()
    assert not takes.exporting and takes.export_action.text() == "Export…"


def test_a_single_clip_has_no_takes(window, home):
    add(window.database, home / "a.mp4")
    window.gallery.view.setCurrentIndex(window.gallery.model.index(0, 0))
    assert not window.gallery.takes_action.isEnabled()
    window.side_by_side.show_takes()
    assert "No other take" in said(window) and window.stage.alone


# --- asking for a grid ----------------------------------------------------------------------------


def test_a_grid_is_asked_for_and_queued_as_a_group(window, qtbot):
    window.runner.pause(True)
    window.compose.prompt.set_text("a red ball")
    window.side_by_side.grid_action.trigger()
    dialog = window.findChild(GridDialog)
    assert not dialog.add.isEnabled()  # a single clip is no grid
    dialog.values[0].setText("4, 8")
    assert dialog.line.text().startswith("2 clips")
    dialog.values[1].setText("1, 2, 3")
    assert dialog.line.text().startswith("6 clips, about")
    dialog.values[1].setText("many")
    assert "Guidance" in dialog.line.text() and not dialog.add.isEnabled()
    dialog.values[1].setText("1, 3")
    dialog.add.click()
    jobs = window.database.jobs()
    assert [(job.settings["steps"], job.settings["guidance"]) for job in jobs] == [
        (4, 1),
        (8, 1),
        (4, 3),
        (8, 3),
    ]
    assert len({job.settings["group"] for job in jobs}) == 1
    assert all(job.state is State.WAITING for job in jobs)
