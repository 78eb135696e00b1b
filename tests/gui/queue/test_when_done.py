"""What is counted of a queue, and what follows when it is done."""

from __future__ import annotations

import pytest

from mlxvid.gui.core.jobs import State
from mlxvid.gui.core.sleep import CAN_SLEEP
from mlxvid.gui.queue.tally import Tally
from mlxvid.gui.queue.when_done import Then, WhenDone
from mlxvid.gui.widgets.notices import NoticeBar
from tests.gui.queue.conftest import job
from tests.gui.queue.test_runner import WORKS

FAILS = WORKS.replace(
    "os.kill(os.getpid(), 9)",
    'answer |= {"event": "error", "kind": "SettingError", "message": "No."}\n'
    "            print(json.dumps(answer), flush=True); continue",
)


@pytest.fixture
def runner(make_runner, preferences):
    preferences.paused = True
    return make_runner(FAILS)


@pytest.fixture
def when_done(database, runner, qtbot):
    bar = NoticeBar()
    qtbot.addWidget(bar)
    busy = []
    quits = []
    tally = Tally(database, runner)
    made = WhenDone(tally, runner, bar, lambda: quits.append(1), lambda: busy, bar)
    made.tally = tally
    made.bar = bar
    made.quits = quits
    made.busy = busy
    return made


def texts(when_done) -> str:
    return "\n".join(notice.text for notice in when_done.bar.notices)


def test_a_queue_is_counted_once_it_is_done(database, runner, qtbot):
    tally = Tally(database, runner)
    done = []
    tally.done.connect(lambda made, failed: done.append((made, [one.title for one in failed])))
    database.insert_jobs([job("a"), job("die"), job("b")])
    runner.pause(False)
    qtbot.waitUntil(lambda: done != [])
    assert done == [(2, ["die"])]
    assert [one.state for one in database.jobs()] == [State.FAILED]
    database.insert_jobs([job("c")])
    qtbot.waitUntil(lambda: len(done) == 2)
    assert done[1] == (1, [])


def test_the_app_quits_after_a_warning_and_once(when_done, database, runner, qtbot):
    said = []
    when_done.changed.connect(said.append)
    when_done.choose(Then.QUIT)
    database.insert_jobs([job("a")])
    runner.pause(False)
    qtbot.waitUntil(lambda: texts(when_done) != "")
    assert "quits in 30 seconds" in texts(when_done) and when_done.quits == []
    when_done._timer.timeout.emit()
    assert when_done.quits == [1] and when_done.then is Then.NOTHING
    assert texts(when_done) == "" and said == ["quits when done", ""]
    assert when_done.actions[Then.NOTHING].isChecked()


@pytest.mark.parametrize("how", ["cancel", "close", "busy", "another"])
def test_the_app_stays(when_done, database, runner, qtbot, how):
    when_done.choose(Then.QUIT)
    database.insert_jobs([job("a")])
    runner.pause(False)
    qtbot.waitUntil(lambda: texts(when_done) != "")
    if how == "cancel":
        when_done.bar.notices[0].actions[0][1]()
        assert not when_done._timer.isActive()
    elif how == "close":
        when_done.bar.clear()
    elif how == "busy":
        when_done.busy.append("a clip is being exported")
    else:
        database.insert_jobs([job("b")])
        assert not when_done._timer.isActive() and when_done.then is Then.QUIT
        return
    when_done._timer.timeout.emit()
    assert when_done.quits == [] and when_done.then is Then.NOTHING
    if how == "busy":
        assert "has not quit, since a clip is being exported" in texts(when_done)


@pytest.mark.skipif(CAN_SLEEP, reason="this would send the Mac to sleep")
def test_sleep_is_said_to_need_a_mac(when_done):
    action = when_done.actions[Then.SLEEP]
    assert not action.isEnabled() and "Mac" in action.toolTip()
