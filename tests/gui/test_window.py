"""The window: what is dropped on it, what it says, how it looks with large writing, and what it
never imports.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDropEvent,
    QFileOpenEvent,
    QFont,
    QImage,
    QKeySequence,
    QPalette,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QTabBar,
    QToolButton,
    QWidget,
)

from mlxvid.gui.app import apply_appearance
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.dialogs.about import about_facts
from mlxvid.gui.dialogs.preferences import PreferencesDialog
from mlxvid.gui.player.player import NOTHING
from mlxvid.gui.widgets import icons
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.export_formats import FORMATS
from mlxvid.gui.widgets.notices import Notice
from mlxvid.gui.widgets.theme import DARK, LIGHT, colours
from mlxvid.media.clip import Clip

SETTINGS = {
    "mlxvid": "0.1.0",
    "model": "mini",
    "prompt": "a blue star",
    "negative_prompt": "",
    "width": 64,
    "height": 64,
    "frames": 9,
    "fps": 16.0,
    "steps": 3,
    "guidance": 2.0,
    "seed": 11,
    "sampler": "euler",
    "attention": "factored",
    "keyframes": {},
}


@pytest.fixture
def window(open_window):
    return open_window()


def write_clip(path, settings=SETTINGS):
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    Clip(frames, 16.0, settings).save(path)
    return path


def drop(window, qapp, *paths, image=None) -> None:
    mime, at = QMimeData(), QPoint(50, 50)
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    if image is not None:
        mime.setImageData(image)
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, buttons, keys)
    qapp.sendEvent(window, enter)
    assert enter.isAccepted()
    qapp.sendEvent(window, QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, buttons, keys))


def said(window) -> str:
    return window.notices.notice.text if window.notices.notice else ""


# --- MLX stays away -------------------------------------------------------------------------------


def test_no_mlx_in_the_app_s_process(home):
    script = """
import sys, threading
from PySide6.QtCore import QMetaObject, Qt
from mlxvid.gui import app
close = lambda: QMetaObject.invokeMethod(app.QApplication.instance(), "closeAllWindows", Qt.ConnectionType.QueuedConnection)
threading.Timer(2, close).start()
code = app.main(["mlxvid"])
strange = sorted(name for name in sys.modules if name.split(".")[0] in ("mlx", "torch", "transformers"))
sys.exit(f"code {code}, imported {strange[:5]}" if code or strange else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_second_instance_does_not_begin(home, monkeypatch, qapp):
    from mlxvid.gui import app

    first = app._lock()
    assert first is not None and app._lock() is None
    first.unlock()
    again = app._lock()
    assert again is not None
    again.unlock()


# --- what is dropped ------------------------------------------------------------------------------


def test_a_picture_becomes_the_start(window, qapp, home):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "a.png")
    drop(window, qapp, home / "a.png")
    assert window.compose.settings()["image"] == str(home / "a.png") and said(window) == ""


def test_pixels_become_the_start(window, qapp):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0)
    drop(window, qapp, image=image)
    dropped = window.compose.settings()["image"]
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    window.paste()
    assert dropped.endswith(".png") and window.compose.settings()["image"] not in (dropped, None)
    QApplication.clipboard().setText("words")
    window.paste()
    assert said(window) == ""


def test_what_is_pasted_into_the_prompt_and_is_no_text_is_taken_as_if_it_had_been_dropped(
    window, qtbot, home
):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert window.compose.settings()["image"].endswith(".png")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(write_clip(home / "clip.mp4")))])
    QApplication.clipboard().setMimeData(mime)
    qtbot.keyClick(window.compose.negative, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert (
        window.compose.settings()["prompt"] == "a blue star"
    )  # the clip's, and no path among the words
    for text in ("https://example.org/", " a fox"):
        QApplication.clipboard().setText(text)
        qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert (
        window.compose.settings()["prompt"] == "a blue starhttps://example.org/ a fox"
        and said(window) == ""
    )


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm"])
def test_a_clip_of_ours_gives_its_settings_back(window, qapp, home, ending):
    path = write_clip(home / f"clip.{ending}")
    drop(window, qapp, path)
    assert said(window) == "" and window.stage.player.path == path
    settings = window.compose.settings()
    own = {
        name: value
        for name, value in SETTINGS.items()
        if name not in ("mlxvid", "sampler", "keyframes")
    }
    assert own.items() <= settings.items() and window.compose.seed.locked


def test_a_folder_of_frames_gives_its_settings_back(window, qapp, home):
    drop(window, qapp, write_clip(home / "frames"))
    assert window.compose.settings()["prompt"] == "a blue star"


def test_what_is_not_ours_is_told_in_a_sentence(window, qapp, home):
    import av

    with av.open(str(home / "foreign.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        for packet in (
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24"))
            + stream.encode()
        ):
            file.mux(packet)
    before = window.compose.settings()
    drop(window, qapp, home / "foreign.mp4")
    assert (
        said(window)
        == "foreign.mp4 was not made with mlxvid, so there are no settings in it: drop a clip of yours, or a picture."
    )
    (home / "notes.txt").write_text("hello")
    drop(window, qapp, home / "notes.txt")
    assert "notes.txt" in said(window)
    drop(window, qapp, home / "gone.mp4")
    assert "gone.mp4" in said(window)
    (home / "half.mp4").write_bytes(write_clip(home / "clip.mp4").read_bytes()[:300])
    drop(window, qapp, home / "half.mp4")
    assert "half.mp4" in said(window)
    write_clip(home / "arrays.mp4", {**SETTINGS, "latents": "given"})
    drop(window, qapp, home / "arrays.mp4")
    assert "was made from arrays that are not in the file" in said(window)
    assert window.compose.settings() == before


def test_a_file_opened_in_the_finder(window, qapp, home):
    path = write_clip(home / "clip.mp4")
    qapp.file_opened.connect(window.open_file)
    qapp.sendEvent(qapp, QFileOpenEvent(str(path)))
    assert window.stage.player.path == path and window.compose.settings()["prompt"] == "a blue star"
    qapp.sendEvent(qapp, QFileOpenEvent(QUrl("mlxvid:nothing")))
    assert said(window) == "" and window.stage.player.path == path
    qapp.file_opened.disconnect(window.open_file)


# --- messages and pauses --------------------------------------------------------------------------


def test_what_the_last_session_left_waits_for_a_word(open_window, database):
    ids = database.insert_jobs([Job({**SETTINGS, "prompt": name}) for name in "abc"])
    database.set_job_state(ids[0], State.RUNNING)
    window = open_window()
    assert said(window) == "The last session left 1 clip interrupted and 2 clips waiting."
    assert (
        window.runner.current is None
        and window.runner.paused
        and window.side.currentWidget() is window.queue
    )
    window.notices._buttons[0].click()
    assert (
        window.runner.current.settings["prompt"] == "a"
        and window.runner.current.resume
        and not window.runner.paused
    )
    assert window.notices.notice is None


def test_a_queue_in_which_nothing_waits_does_not_rest(open_window, database):
    database.insert_jobs([Job(SETTINGS, state=state) for state in (State.CANCELLED, State.FAILED)])
    window = open_window()
    assert not window.runner.paused and said(window) == ""


def test_a_corrupt_library_is_told_of(open_window, home):
    (home / "data").mkdir()
    (home / "data" / "library.sqlite").write_bytes(b"garbage" * 500)
    assert "is set aside as library.sqlite.broken-" in said(open_window())


def test_a_notice_that_asks_is_not_covered_by_one_that_informs(window):
    window.announcements.tell_paused()
    window.announcements.tell("By the way.")
    assert said(window) == "The queue is paused: the clip waits."
    window.announcements.warn("This is wrong.")
    assert said(window) == "This is wrong." and not window.notices._buttons
    window.notices._close.click()
    assert window.notices.isHidden()


def test_a_long_notice_has_its_buttons_below(window, qtbot):
    window.resize(1100, 700)
    window.announcements.tell_paused()
    qtbot.wait(50)
    (button,) = window.notices._buttons
    assert button.y() < window.notices._text.geometry().bottom()
    reason = "The generator was killed, most likely by the system because memory ran out: try 17 frames at 96×96, or close other programs."
    window.notices.show_notice(Notice(reason, [("Resume", print), ("Edit", print)], wrong=True))
    qtbot.wait(50)
    text = window.notices._text
    assert all(button.y() > text.geometry().bottom() for button in window.notices._buttons)
    assert text.heightForWidth(text.width()) <= text.height() < 4 * text.fontMetrics().lineSpacing()


def making(window, job):
    """A preview of a job is in view, as if the worker had just sent it."""
    window.runner.pause(True)
    window.runner.current = job
    window.stage.watch()
    window.stage._note_progress(
        job, {"stage": "denoise", "step": 53, "total": 200, "remaining": None}
    )
    window.runner.previewed.emit(np.zeros((9, 64, 64, 3), np.uint8), 16.0)


def test_a_clip_that_is_stopped_no_longer_claims_to_be_made(window, home):
    (number,) = window.database.insert_jobs([Job(SETTINGS)])
    player = window.stage.player
    for shown in (True, False):
        making(window, window.database.job(number))
        assert player.canvas._badge == "Denoising, step 54 of 200" and player.playhead.playing
        if not shown:  # behind a comparison
            clips = [
                window.database.add_clip(write_clip(home / f"{n}.mp4"), SETTINGS, 16.0, 9, 64, 64)
                for n in "ab"
            ]
            window.stage.open_compare(clips)
        window.runner._end(State.CANCELLED)
        window.stage.close_compare()
        assert (
            player.canvas._badge == "Stopped"
            and not player.playhead.playing
            and len(player.reel.frames) == 9
        )


def test_resuming_in_a_queue_that_rests_is_told(window):
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    window.runner.pause(True)
    window.runner._end(State.INTERRUPTED, "The generator was killed: make the clip smaller.")
    window.notices._buttons[0].click()
    assert said(window) == "The queue is paused: the clip waits." and window.runner.current is None
    window.notices._buttons[0].click()
    assert window.runner.current.resume and said(window) == ""


def test_a_clip_that_fails_before_its_first_preview_leaves_nothing(window, home):
    (number,) = window.database.insert_jobs([Job(SETTINGS)])
    window.stage.open(write_clip(home / "clip.mp4"))
    window.runner.pause(True)
    window.runner.current = window.database.job(number)
    window.stage.watch()
    assert "first preview" in window.stage.player.canvas.text
    window.runner._end(State.FAILED, "It can't be made.")
    assert window.stage.player.canvas.text == NOTHING


def test_editing_a_clip_in_the_queue_can_be_undone(window):
    window.runner.pause(True)
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    window.queue.select(window.queue.model.at(0).id)
    window.queue.edit_action.trigger()
    window.compose.steps.setValue(5)
    window.compose.button.click()
    assert window.database.jobs()[0].settings["steps"] == 5
    window.undo_stack.undo()
    assert window.database.jobs()[0].settings["steps"] == 3 and len(window.database.jobs()) == 1


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (State.RUNNING, "is being made by now"),
        (State.DONE, "is no longer in the queue"),
        (None, "is no longer in the queue"),
    ],
)
def test_a_clip_that_has_begun_while_it_was_edited_is_told(window, state, what):
    window.runner.pause(True)
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    number = window.queue.model.at(0).id
    window.queue.edit_job(number)
    if state is None:
        window.database.remove_jobs([number])
    else:
        window.database.set_job_state(number, state)
    window.compose.steps.setValue(5)
    window.compose.button.click()
    assert (
        said(window)
        == f"That clip {what}, so nothing is changed: press Generate to make another with these settings."
    )
    assert window.compose.settings()["steps"] == 5 and window.compose.button.text() == "Generate"


def test_a_clip_that_ended_early_while_it_was_edited_is_changed(window):
    window.runner.pause(True)
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    number = window.queue.model.at(0).id
    window.queue.edit_job(number)
    window.database.set_job_state(number, State.FAILED, "No.")
    window.compose.steps.setValue(5)
    window.compose.button.click()
    (job,) = window.database.jobs()
    assert (job.settings["steps"], job.state, job.message) == (5, State.WAITING, "")


def test_variations_and_extending_from_the_gallery(window, home):
    window.runner.pause(True)
    window.gallery.make_variations.emit(SETTINGS)
    seeds = [job.settings["seed"] for job in window.database.jobs()]
    assert len(set(seeds) | {11}) == 5
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "last.png")
    window.gallery.extend_clip.emit(
        {**SETTINGS, "prompt": "a ring"}, home / "last.png", home / "clip.mp4"
    )
    assert window.compose.settings()["prompt"] == "a ring" and window.compose.settings()[
        "image"
    ] == str(home / "last.png")


def test_compare_and_back(window, home):
    numbers = []
    for name in ("a", "b"):
        path = write_clip(home / f"{name}.mp4")
        numbers.append(window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64))
    window.gallery.compare.emit(numbers)
    assert window.stage.comparing
    window.leave_compare()
    assert not window.stage.comparing
    window.gallery.open_clip.emit(numbers[0])
    assert window.stage.player.path == home / "a.mp4"


def test_quitting_while_a_clip_is_made_asks_first(window):
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    assert window.runner.current is not None and window.isVisible()
    window.close()
    (box,) = window.findChildren(QMessageBox)
    assert window.isVisible() and "can be resumed at the next start" in box.informativeText()
    next(button for button in box.buttons() if button.text() == "Quit").click()
    assert not window.isVisible() and not window.client.alive
    assert (
        window.database.jobs()[0].state is State.RUNNING
    )  # which the next start finds, and calls interrupted


# --- what is kept ---------------------------------------------------------------------------------


def test_size_and_columns_are_as_they_were(open_window, qtbot):
    window = open_window()
    window.resize(1300, 760)
    window.splitter.setSizes([400, 600, 300])
    columns = window.splitter.sizes()
    window.compose.prompt.set_text("a fox")
    window.menus.compose_panel.trigger()
    window.close()
    again = open_window()
    assert (
        again.compose.isHidden()
        and not again.menus.compose_panel.isChecked()
        and again.side.isVisible()
    )
    again.menus.compose_panel.trigger()
    qtbot.waitUntil(lambda: again.splitter.sizes() == columns)
    assert (again.width(), again.height()) == (1300, 760)
    assert again.compose.prompt.toPlainText() == "a fox"


def test_preferences(home, preferences, qtbot):
    assert (
        preferences.appearance is Appearance.DARK
        and preferences.clips_folder == home / "clips"
        and not preferences.paused
    )
    dialog = PreferencesDialog(preferences)
    qtbot.addWidget(dialog)
    appearance, minutes = dialog.findChild(QComboBox), dialog.findChild(QAbstractSpinBox)
    appearance.setCurrentIndex(1)
    with qtbot.waitSignal(preferences.appearance_changed):
        appearance.activated.emit(1)
    with qtbot.waitSignal(preferences.silence_changed):
        minutes.setValue(3)
    preferences.save()
    again = Preferences()
    assert again.appearance is Appearance.LIGHT and again.silence == 180
    again._settings.setValue("appearance", "mauve")
    again._settings.setValue("silence", "-3")
    assert again.appearance is Appearance.DARK and again.silence == 900


def test_the_clips_folder_is_the_one_chosen(home, monkeypatch, preferences):
    monkeypatch.delenv("MLXVID_CLIPS")
    assert preferences.clips_folder.name == "mlxvid"
    preferences.clips_folder = home / "films"
    assert Preferences().clips_folder == home / "films"


# --- how it looks and who can use it --------------------------------------------------------------


@pytest.mark.parametrize(
    ("appearance", "wanted"), [(Appearance.DARK, DARK), (Appearance.LIGHT, LIGHT)]
)
def test_appearances(qapp, appearance, wanted):
    apply_appearance(qapp, appearance)
    assert colours(qapp.palette()) is wanted
    image = icons.icon("play").pixmap(24, 24).toImage()
    drawn = [
        image.pixelColor(x, y)
        for x in range(24)
        for y in range(24)
        if image.pixelColor(x, y).alpha() == 255
    ]
    assert drawn and all(
        colour.name() == qapp.palette().color(QPalette.ColorRole.ButtonText).name()
        for colour in drawn
    )


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, as WCAG 2 counts it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("c", [DARK, LIGHT], ids=["dark", "light"])
def test_writing_can_be_read(c):
    for ground in (c.panel, c.window, c.field, c.stage):
        assert contrast(c.text, ground) > 7
    for writing in (c.faint, c.danger, c.warning):
        assert contrast(writing, c.panel) > 4.5, writing


def named(widget: QWidget) -> bool:
    label = widget.accessibleName() or (
        widget.text() if isinstance(widget, QAbstractButton) else ""
    )
    return bool(label.strip())


def controls(root: QWidget) -> list[QWidget]:
    """What one can work with, and what shows a value; not the parts that Qt makes them of."""
    kinds = (
        QAbstractButton,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QPlainTextEdit,
        QAbstractItemView,
        QProgressBar,
        QTabBar,
    )
    found = [widget for kind in kinds for widget in root.findChildren(kind)]
    inner = (QAbstractSpinBox, QComboBox, QLineEdit, QTabBar)
    return [
        w
        for w in found
        if not isinstance(w.parent(), inner)
        and not w.objectName().startswith("qt_")
        and not in_popup(w)
    ]


def in_popup(widget: QWidget) -> bool:
    return any(
        isinstance(parent, QMenu) or parent.metaObject().className() == "QComboBoxPrivateContainer"
        for parent in ancestors(widget)
    )


def ancestors(widget: QWidget):
    while (widget := widget.parentWidget()) is not None:
        yield widget


def test_every_control_has_a_name(window):
    window.compose.loras.set_value(["a.safetensors@1"])
    nameless = [
        f"{type(w).__name__} in {type(w.parent()).__name__}"
        for w in controls(window)
        if not named(w)
    ]
    assert nameless == []
    dialog = PreferencesDialog(window.preferences, window)
    assert [type(w).__name__ for w in controls(dialog) if not named(w)] == []


def test_every_control_is_reached_by_the_tab_key(window, qapp):
    window.activateWindow()
    window.compose.advanced.set_open(True)
    seen, widget = set(), window.compose.prompt
    for _ in range(200):
        seen.add(widget)
        widget = widget.nextInFocusChain()
        while not (widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(window)):
            widget = widget.nextInFocusChain()
        if widget in seen:
            break
    reached = seen | {widget.focusProxy() for widget in seen} | {widget.parent() for widget in seen}
    missed = [
        w
        for w in controls(window.compose)
        if w.isVisible() and w.isEnabled() and not isinstance(w, QProgressBar) and w not in reached
    ]
    assert [f"{type(w).__name__} {w.accessibleName()}" for w in missed] == []


def test_the_tab_key_goes_down_the_form(window, qtbot, home):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "a.png")
    window.compose.advanced.set_open(True)
    for _ in range(2):
        window.compose.pictures._new.set_path(home / "a.png")
    qtbot.wait(50)  # until all have their places
    form = window.compose
    first, *stops = [form.picker._field, *tab_stops(form.picker._field)]
    stops = [first, *(stop for stop in stops if form._area.isAncestorOf(stop))]
    keys = [part for key in form.pictures._keys for part in (key.well, key.frame)]
    pictures = [form.pictures._start, *keys, form.pictures._new, form.pictures._last]
    begin = stops.index(form.pictures._start)
    assert stops[begin : begin + len(pictures)] == pictures
    rows = [
        stop.mapTo(form, stop.rect().center()).y() for stop in stops if stop not in pictures[1:]
    ]
    assert all(
        after > before - 3 for before, after in pairwise(rows)
    )  # what stands in one line is not always of one height


def tab_stops(first) -> list[QWidget]:
    """Where the Tab key goes from a widget on, until it comes round."""
    found, widget = [], first
    while (widget := widget.nextInFocusChain()) is not first:
        inside = isinstance(
            widget.parentWidget(), (QAbstractSpinBox, QComboBox)
        )  # has the focus with what it belongs to
        if (
            widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and widget.isVisible()
            and widget.isEnabled()
            and not inside
        ):
            found.append(widget)
    return found


def test_shortcuts_are_given_once(window):
    """In one menu bar, and among what works in the whole window."""
    keys = {}
    for action in window.findChildren(QAction):
        if action.shortcutContext() == Qt.ShortcutContext.WindowShortcut:
            for key in action.shortcuts():
                keys.setdefault(key.toString(), set()).add(action.text())
    assert {key: texts for key, texts in keys.items() if len(texts) > 1} == {}
    for wanted in ("New", "Open", "Quit", "Undo", "Preferences"):
        standard = QKeySequence.keyBindings(getattr(QKeySequence.StandardKey, wanted))
        assert not standard or any(key.toString() in keys for key in standard), wanted


def cut_off(window) -> list[str]:
    """Writing that has not the room it needs, and controls that reach beyond their parents."""
    found = []
    for label in window.findChildren(QLabel):
        if (
            label.isVisible()
            and label.text()
            and not label.wordWrap()
            and not isinstance(label, ElidedLabel)
        ):
            need = label.sizeHint()
            if label.width() < need.width() or label.height() < need.height():
                found.append(f"label {label.text()!r}")
    icons_only = Qt.ToolButtonStyle.ToolButtonIconOnly
    for button in window.findChildren(QAbstractButton):
        written = button.isVisible() and not (
            isinstance(button, QToolButton) and button.toolButtonStyle() == icons_only
        )
        if written and button.width() < button.fontMetrics().horizontalAdvance(
            button.text().replace("&", "")
        ):
            found.append(f"button {button.text()!r}")
    for field in window.findChildren(QComboBox):
        metrics = field.fontMetrics()
        if (
            field.isVisible()
            and field.width()
            < metrics.horizontalAdvance(field.currentText()) + metrics.height() + 12
        ):
            found.append(f"choice {field.currentText()!r}")
    for field in window.findChildren(QAbstractSpinBox):
        if (
            field.isVisible()
            and field.lineEdit().width() < field.fontMetrics().horizontalAdvance(field.text()) + 10
        ):
            found.append(f"number {field.text()!r}")
    for widget in window.compose.findChildren(QWidget):
        parent = widget.parentWidget()
        if (
            widget.isVisible()
            and not widget.isWindow()
            and (widget.x() < 0 or widget.geometry().right() > parent.width())
        ):
            found.append(f"{type(widget).__name__} beyond {type(parent).__name__}")
    return found


@pytest.fixture
def larger(qapp):
    """The writing at 125 %."""
    before = QApplication.font()
    font = QFont(before)
    font.setPointSizeF(before.pointSizeF() * 1.25)
    QApplication.setFont(font)
    yield
    QApplication.setFont(before)


def arrange(window, width, height, qtbot) -> None:
    window.compose.advanced.set_open(True)
    window.queue.pause_action.setChecked(True)
    window.announcements.tell_paused()
    window.resize(width, height)
    qtbot.wait(120)
    assert (window.width(), window.height()) == (width, height), "the window can't be made so small"


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_nothing_is_cut_off_with_larger_writing(larger, open_window, qtbot, size):
    window = open_window()
    arrange(window, *size, qtbot)
    assert cut_off(window) == []


def test_nothing_is_cut_off_on_a_screen_at_125_percent(window, qtbot):
    arrange(window, 1152, 720, qtbot)  # what remains of 1440x900
    assert cut_off(window) == []


def test_nothing_is_cut_off_in_a_small_window(window, qtbot):
    arrange(window, 1100, 700, qtbot)
    assert cut_off(window) == []


def test_the_menus_do_what_they_say(window):
    actions = {
        action.text(): action
        for menu in (window.menus.file, window.menus.view, window.menus.edit)
        for action in menu.actions()
    }
    window.compose.prompt.set_text("a fox")
    actions["New Clip"].trigger()
    assert window.compose.prompt.toPlainText() == ""
    actions["Generate"].trigger()
    assert said(window) == "Say first what the clip should show."
    actions["Side Panel"].trigger()
    assert window.side.isHidden()
    actions["Queue"].trigger()
    assert (
        window.side.isVisible()
        and window.side.currentWidget() is window.queue
        and actions["Side Panel"].isChecked()
    )
    assert not window.menus.cancel.isEnabled()


def test_the_clip_in_view_is_exported_from_the_menu(window, home, monkeypatch):
    window.menus.file.aboutToShow.emit()
    assert not window.menus.export.isEnabled()
    window.stage.open(write_clip(home / "clip.mp4"))
    asked = []
    monkeypatch.setattr(
        window.stage.player.exports,
        "ask",
        lambda path, form, first, last: asked.append((path, form)),
    )
    window.menus.file.aboutToShow.emit()
    assert window.menus.export.isEnabled()
    window.menus.export.actions()[1].trigger()
    assert asked == [(home / "clip.mp4", FORMATS[1])]


def test_about(window, machine):
    facts = dict(about_facts(machine))
    assert (
        facts["mlxvid"] == "0.1.0"
        and facts["MLX"][0].isdigit()
        and facts["Memory"] == "256.0 GiB, of which a clip may take 200.0"
    )
    next(
        action for action in window.menus.help.actions() if action.text() == "About mlxvid"
    ).trigger()
    (dialog,) = (one for one in window.findChildren(QDialog) if one.windowTitle() == "About mlxvid")
    assert any(label.accessibleName().startswith("Qt: ") for label in dialog.findChildren(QLabel))
    dialog.close()
