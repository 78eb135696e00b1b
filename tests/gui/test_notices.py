"""Notices, pauses, and jobs that end early."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel, QToolButton

from mlxvid.cli.events import told
from mlxvid.gui.core.jobs import PAUSED, Job, State
from mlxvid.gui.player.player import NOTHING
from mlxvid.gui.widgets.notices import Notice
from tests.gui.windows import SETTINGS, notice_buttons, said, write_clip


def notice_text(window) -> QLabel:
    return window.notices.findChildren(QLabel, "notice-text")[-1]


def test_what_the_last_session_left_waits_for_a_word(open_window, database):
    ids = database.insert_jobs([Job({**SETTINGS, "prompt": name}) for name in "abc"])
    database.set_job_state(ids[0], State.RUNNING)
    window = open_window()
    assert "1 clip interrupted" in said(window)
    assert "2 clips waiting" in said(window)
    assert window.runner.current is None
    assert window.runner.paused
    assert window.side.currentWidget() is window.queue
    notice_buttons(window)[0].click()
    assert window.runner.current.settings["prompt"] == "a"
    assert window.runner.current.resume
    assert not window.runner.paused
    assert said(window) == ""


def test_a_queue_in_which_nothing_waits_does_not_rest(open_window, database):
    database.insert_jobs([Job(SETTINGS, state=state) for state in (State.CANCELLED, State.FAILED)])
    window = open_window()
    assert not window.runner.paused
    assert said(window) == ""


def test_a_corrupt_library_is_told_of(open_window, home):
    (home / "data").mkdir()
    (home / "data" / "library.sqlite").write_bytes(b"garbage" * 500)
    assert "library.sqlite.broken-" in said(open_window())


def test_no_notice_covers_another(window):
    answered = []
    actions = [("Answer", lambda: answered.append(1))]
    window.notices.show_notice(Notice("This asks.", actions, wrong=True))
    window.announcements.warn("This is wrong.")
    window.announcements.inform("By the way.")
    window.announcements.inform("And another thing.")
    assert said(window) == "And another thing.\nThis is wrong.\nThis asks."
    window.notices.findChildren(QToolButton)[1].click()
    assert said(window) == "And another thing.\nThis asks."
    (button,) = notice_buttons(window)
    button.click()
    assert answered == [1]
    assert said(window) == "And another thing."


def test_information_goes_by_itself_and_problems_stay(window):
    window.announcements.warn("This is wrong.")
    window.announcements.inform("By the way.")
    window.notices._timer.timeout.emit()
    assert said(window) == "This is wrong."


def test_a_problem_that_is_met_again_is_said_once(window):
    for _ in range(3):
        window.announcements.warn("This is wrong.")
        window.announcements.report_paused()
    assert len(window.notices.notices) == 2


def test_of_many_notices_the_newest_are_shown_and_the_others_come_after_them(window, qtbot):
    for number in range(5):
        window.announcements.warn(f"Number {number}.")
    texts = window.notices.findChildren(QLabel, "notice-text")
    assert {text.text() for text in texts if text.isVisible()} == {
        "Number 4.",
        "Number 3.",
        "Number 2.",
    }
    more = window.notices.findChild(QLabel, "notices-more")
    assert more.isVisible()
    assert "2 more" in more.text()
    close = window.notices.findChildren(QToolButton, "notice-close")
    newest = next(button for button in close if button.isVisible() and button.y() < 40)
    newest.click()
    assert "1 more" in more.text()
    window.notices.clear()
    assert window.notices.isHidden()


def test_a_long_notice_has_its_buttons_below(window, qtbot):
    window.resize(1100, 700)
    window.announcements.report_paused()
    qtbot.wait(50)
    (button,) = notice_buttons(window)
    assert button.y() < notice_text(window).geometry().bottom()
    window.notices.clear()
    reason = (
        "The generator was killed, most likely by the system because memory ran out: try 17 frames "
        "at 96×96, or close other programs."
    )
    window.notices.show_notice(Notice(reason, [("Resume", print), ("Edit", print)], wrong=True))
    qtbot.wait(50)
    text = notice_text(window)
    assert all(button.y() > text.geometry().bottom() for button in notice_buttons(window))
    assert text.heightForWidth(text.width()) <= text.height() < 4 * text.fontMetrics().lineSpacing()


def end(window, event, **facts) -> None:
    """End the running job, as if the worker had sent the event."""
    number = window.runner.current.id
    window.client.event_received.emit({"event": event, "id": number, **facts})


def making(window, job) -> None:
    """Show a preview of a job, as if the worker had just sent it."""
    window.runner.pause(True)
    window.runner.current = job
    window.stage.watch()
    event = {"stage": "denoise", "step": 53, "total": 200, "remaining": None}
    window.runner.progressed.emit(job, event)
    window.runner.previewed.emit(np.zeros((9, 64, 64, 3), np.uint8), 16.0)


def test_a_clip_that_is_stopped_no_longer_claims_to_be_made(window, home):
    (number,) = window.database.insert_jobs([Job(SETTINGS)])
    player = window.stage.player
    for shown in (True, False):
        making(window, window.database.job(number))
        assert player.canvas.badge == "Denoising, step 54 of 200"
        assert player.playhead.playing
        if not shown:  # behind a comparison
            clips = []
            for name in "ab":
                path = write_clip(home / f"{name}.mp4")
                clips.append(window.database.add_clip(path, SETTINGS, 16.0, 9, 64, 64))
            window.stage.open_compare(clips)
        window.runner.cancel()
        end(window, "cancelled")
        window.stage.close_compare()
        assert player.canvas.badge == "Stopped"
        assert not player.playhead.playing
        assert len(player.reel.frames) == 9


def test_a_fault_of_mlxvid_can_be_reported_at_once(window):
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    with contextlib.redirect_stderr(io.StringIO()) as log:
        facts = told(KeyError("no such block"))
    end(window, "error", **facts)
    assert "KeyError" in said(window) and "KeyError" in log.getvalue()
    asked = []
    window.announcements.report.disconnect()
    window.announcements.report.connect(lambda: asked.append(1))
    report, edit = notice_buttons(window)
    assert "Report" in report.text() and "Edit" in edit.text()
    report.click()
    assert asked == [1]


def test_resuming_in_a_queue_that_rests_is_told(window):
    window.compose.apply_settings(SETTINGS)
    window.compose.generate()
    window.runner.pause(True)
    window.client.died.emit("The generator was killed", None)
    notice_buttons(window)[0].click()
    assert "paused" in said(window)
    assert window.runner.current is None
    notice_buttons(window)[0].click()
    assert window.runner.current.resume
    assert said(window) == ""


def test_a_clip_that_fails_before_its_first_preview_leaves_nothing(window, home):
    (number,) = window.database.insert_jobs([Job(SETTINGS)])
    window.stage.open(write_clip(home / "clip.mp4"))
    window.runner.pause(True)
    window.runner.current = window.database.job(number)
    window.stage.watch()
    assert "first preview" in window.stage.player.canvas.text
    end(window, "error", kind="SettingError", message="It can't be made.")
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
    (job,) = window.database.jobs()
    assert job.settings["steps"] == 3


@pytest.mark.parametrize(
    ("state", "what"), [(State.RUNNING, ""), (State.DONE, "queue"), (None, "queue")]
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
    assert what in said(window)
    assert "Generate" in said(window)
    assert window.compose.settings()["steps"] == 5
    assert window.compose.button.text() == "Generate"


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
    assert job.settings["steps"] == 5
    assert job.state is State.WAITING
    assert job.message == ""


def test_a_queue_with_failures_is_reported_once(window, qtbot):
    ids = window.database.insert_jobs([Job({**SETTINGS, "prompt": name}) for name in "abc"])
    window.runner.pause(True)
    for number in ids[:2]:
        window.database.set_job_state(number, State.FAILED, "It failed.")
        window.runner.ended.emit(Job(SETTINGS, id=number, state=State.FAILED, message="It failed."))
    failed = [window.database.job(number) for number in ids[:2]]
    window.announcements.report_done(7, failed)
    assert "7 made, 2 failed." in said(window) and "It failed." not in said(window)
    (show,) = [button for button in notice_buttons(window) if button.text() == "Show"]
    show.click()
    assert window.side.currentWidget() is window.queue
    assert [past.job.id for past in window.queue.history.chosen()] == [ids[0]]


def test_a_clip_that_the_user_paused_is_no_problem(window):
    window.runner.ended.emit(Job(SETTINGS, id=1, state=State.INTERRUPTED, message=PAUSED))
    assert said(window) == ""


def test_the_history_is_reached_from_the_menu(window):
    window.show_side(window.gallery)
    assert window.queue.history_action in window.menus.queue.actions()
    window.queue.history_action.trigger()
    assert window.queue.history.isVisible()
    window.queue.history_action.trigger()
    assert not window.queue.history.isVisible() and window.queue.isVisible()


def test_what_was_set_aside_is_not_offered_again(open_window, database):
    database.insert_jobs([Job(SETTINGS, state=State.INTERRUPTED, message=PAUSED)])
    window = open_window()
    assert said(window) == "" and not window.runner.paused
