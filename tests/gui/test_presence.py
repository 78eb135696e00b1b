"""The title, the badge, and the notification at a run's end."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from mlxvid.gui import presence
from mlxvid.gui.core.jobs import Job, State
from tests.gui.windows import SETTINGS, write_clip


@pytest.fixture
def run(window, monkeypatch, qtbot, home):
    """A run, told job by job: `make`, `fail` and `end` it; what was `told` outside the window."""

    clip = write_clip(home / "a.mp4")

    class Run:
        clock = 100.0
        active = False
        told: list[str] = []
        badges: list[int] = []

        def begin(self, seconds: float = 61) -> None:
            window.runner.current = Job(SETTINGS, id=1, state=State.RUNNING)
            window.runner.started.emit(window.runner.current)
            window.runner.changed.emit()
            self.clock += seconds

        def make(self) -> None:
            window.runner.saved.emit(1, clip)

        def fail(self, message: str) -> None:
            ended = Job(SETTINGS, id=1, state=State.FAILED, message=message)
            window.runner.ended.emit(ended)

        def end(self) -> None:
            window.runner.current = None
            window.runner.changed.emit()
            qtbot.wait(20)

    steps = Run()
    steps.told = []
    steps.badges = []
    states = {True: Qt.ApplicationState.ApplicationActive}
    away = Qt.ApplicationState.ApplicationInactive
    monkeypatch.setattr(presence.time, "monotonic", lambda: steps.clock)
    monkeypatch.setattr(presence, "notify", steps.told.append)
    monkeypatch.setattr(QGuiApplication, "applicationState", lambda: states.get(steps.active, away))
    monkeypatch.setattr(QGuiApplication, "setBadgeNumber", lambda _, n: steps.badges.append(n))
    window.runner.pause(True)
    return steps


def test_one_long_clip_is_told_of(run):
    run.begin()
    run.make()
    run.end()
    assert run.told == ["The clip is done."]


def test_many_clips_are_told_of_once(run):
    for _ in range(3):
        run.begin(30)
        run.make()
    run.fail("It failed.")
    run.end()
    assert run.told == ["3 clips are done. 1 failed."]


def test_a_queue_that_rests_in_between_is_one(run, window):
    (number,) = window.database.insert_jobs([Job(SETTINGS)])
    run.begin()
    run.make()
    run.end()
    window.database.remove_jobs([number])
    run.begin()
    run.make()
    run.end()
    assert run.told == ["The clip is done.", "2 clips are done."]
    run.begin()
    run.make()
    run.end()
    assert run.told[2:] == ["The clip is done."]


def test_one_that_failed_says_why(run):
    run.begin()
    run.fail("It failed.")
    run.end()
    assert run.told == ["It failed."]


def test_what_was_short_or_cancelled_is_not_told_of(run):
    run.begin(3)
    run.make()
    run.end()
    run.begin()
    run.end()  # cancelled
    assert run.told == []


def test_whoever_is_in_the_app_or_wants_none_gets_no_notification(run, window):
    run.active = True
    run.begin()
    run.make()
    run.end()
    run.active = False
    window.preferences.notifies = False
    run.begin()
    run.make()
    run.end()
    assert run.told == []


def test_the_badge_counts_down_and_the_title_tells_how_far(run, window, qtbot):
    window.database.insert_jobs([Job(SETTINGS), Job(SETTINGS)])
    run.begin()
    qtbot.waitUntil(lambda: run.badges[-1:] == [3])
    event = {"stage": "denoise", "step": 5, "total": 10, "remaining": 4}
    window.runner.progressed.emit(window.runner.current, event)
    assert window.windowTitle() == "46% – mlxvid"
    run.make()
    run.end()
    assert run.badges[-1] == 0
    assert window.windowTitle() == "mlxvid"


def test_full_screen_goes_back_to_what_was(window, qtbot):
    window.showMaximized()
    entry = window.menus._full_screen
    entry.trigger()
    qtbot.waitUntil(window.isFullScreen)
    window.menus.view.aboutToShow.emit()
    assert entry.text() == "Exit Full Screen"
    entry.trigger()
    qtbot.waitUntil(lambda: not window.isFullScreen())
    assert window.isMaximized()
    window.menus.view.aboutToShow.emit()
    assert entry.text() == "Enter Full Screen"
