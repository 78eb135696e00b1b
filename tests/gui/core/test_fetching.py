"""Jobs whose model is not here: it is downloaded beside the queue."""

from __future__ import annotations

import shutil

import pytest
from huggingface_hub import constants
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.disks import Disks
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.fetching import Fetching, bytes_to_fetch, why_not
from mlxvid.gui.core.jobs import State
from mlxvid.gui.core.variants import variants_of
from mlxvid.gui.queue.roles import BUTTONS
from mlxvid.gui.queue.summary import QueueSummary
from tests.gui.cards import WITH_LORAS
from tests.gui.queue.conftest import job, make_runner  # noqa: F401
from tests.gui.queue.test_runner import WORKS
from tests.gui.test_faults import freeze
from tests.hub.fake_hub import folder_files

CARD = CATALOG[WITH_LORAS]


@pytest.fixture
def server(hub, tiny_folder):
    """A hub with the tiny model where the catalog has one of its models."""
    hub.add(CARD.repository, folder_files(tiny_folder), CARD.revision)
    return hub


@pytest.fixture
def queue(server, preferences, machine, database, make_runner):  # noqa: F811
    """A runner and what fetches for it."""
    choices = Choices(preferences, machine)
    runner = make_runner(WORKS, choices)
    jobs = ModelJobs()
    fetching = Fetching(database, choices, runner, jobs)
    fetching.runner = runner
    fetching.jobs = jobs
    yield fetching
    jobs.shutdown()


def lacking(**settings):
    return job("far", model=WITH_LORAS, **settings)


def test_others_go_on_and_the_job_begins_when_its_model_is_here(queue, database, server, qtbot):
    server.pace = 0.02
    made = []
    queue.runner.saved.connect(lambda number, path: made.append(database.clip(number).prompt))
    database.insert_jobs([lacking(), job("near")])
    qtbot.waitUntil(lambda: made == ["near"], timeout=10_000)
    waiting = database.jobs()[0]
    assert waiting.state is State.WAITING
    qtbot.waitUntil(lambda: queue.state_of(waiting)[1] != {}, timeout=10_000)
    words, event = queue.state_of(waiting)
    assert words.startswith("Downloading") and event["stage"] == "download"
    server.pace = 0
    qtbot.waitUntil(lambda: made == ["near", "far"], timeout=30_000)
    assert queue.state_of(waiting) == ("", {})


def test_a_failed_download_says_so_and_is_tried_again(queue, database, server, qtbot):
    server.gated.add(CARD.repository)
    with qtbot.waitSignal(queue.failed, timeout=20_000) as failed:
        database.insert_jobs([lacking()])
    name, sentence = failed.args
    assert name == WITH_LORAS and "gated" in sentence
    waiting = database.jobs()[0]
    assert "could not be downloaded" in queue.state_of(waiting)[0]
    server.gated.clear()
    with qtbot.waitSignal(queue.runner.saved, timeout=30_000):
        queue.again(name)


def test_a_paused_download_waits_until_the_model_is_wanted_again(queue, database, server, qtbot):
    server.pace = 0.1
    database.insert_jobs([lacking()])
    with qtbot.waitSignal(queue.jobs.stopped, timeout=20_000):
        queue.jobs.stop(WITH_LORAS)
    assert queue.jobs.job(WITH_LORAS) is None
    assert "paused" in queue.state_of(database.jobs()[0])[0]
    server.pace = 0
    with qtbot.waitSignal(queue.runner.saved, timeout=30_000):
        queue.want([lacking()])


def test_nothing_is_fetched_while_the_queue_rests(queue, database):
    queue.runner.pause(True)
    database.insert_jobs([lacking()])
    assert queue.jobs.job(WITH_LORAS) is None
    queue.runner.pause(False)
    assert queue.jobs.job(WITH_LORAS) is not None


def test_a_download_for_which_there_is_no_room_is_refused(choices, monkeypatch, home):
    choice = choices.find(WITH_LORAS)
    assert bytes_to_fetch(choice.card) == choice.card.download_bytes
    free = choice.card.download_bytes
    usage = shutil.disk_usage(home)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert f"{free / 1e9:.1f} GB are" in why_not(choice)
    usage = usage._replace(free=2 * free)
    assert why_not(choice) == ""


def test_a_release_in_single_files_has_to_be_converted_first(choices):
    in_files = next(card for card in CATALOG.values() if card.is_in_files)
    assert "Models window" in why_not(choices.find(in_files.name))


def test_the_window_downloads_and_generates(server, open_window, qtbot, home):
    """With the real commands and the real worker."""
    window = open_window(command=None)
    settings = {"model": WITH_LORAS, "prompt": "a red ball", "steps": 1, "sampler": "euler"}
    window.compose.apply_settings(settings)
    window.compose.size_box.set_value(64, 64)
    window.compose.length_box.set_value(9)
    window.compose.replan()
    qtbot.waitUntil(lambda: window.compose.button.text().startswith("Download "))
    window.compose.button.click()
    assert window.side.currentWidget() is window.queue
    qtbot.waitUntil(lambda: window.compose.button.text() == "Generate")
    assert window.welcome.isVisible()
    with qtbot.waitSignal(window.runner.saved, timeout=60_000):
        pass
    assert window.compose.picker.value().here
    qtbot.waitUntil(lambda: window.compose.button.text() == "Generate")
    assert [clip.prompt for clip in window.database.clips()] == ["a red ball"]
    assert not window.welcome.isVisible()


def test_the_window_offers_to_try_again(server, open_window, qtbot):
    server.gated.add(CARD.repository)
    window = open_window()
    window.compose.apply_settings({"model": WITH_LORAS, "prompt": "a red ball"})
    window.compose.generate()
    qtbot.waitUntil(lambda: window.notices.notices != [], timeout=20_000)
    notice = window.notices.notices[0]
    assert notice.wrong and "gated" in notice.text
    assert [label for label, _ in notice.actions] == ["Try Again"]
    assert window.model_jobs.job(WITH_LORAS) is None
    notice.actions[0][1]()
    assert window.model_jobs.job(WITH_LORAS) is not None


def test_a_queue_that_waits_for_a_download_has_no_hour(queue, database, server, qtbot):
    server.pace = 1
    line = QueueSummary(database, queue.runner, queue)
    qtbot.addWidget(line)
    database.insert_jobs([lacking()])
    line.show_jobs(database.jobs())
    assert line.text().endswith("plus\u00a0a\u00a0download")


def test_a_download_that_no_clip_waits_for_any_more_is_in_sight(server, open_window, qtbot, home):
    server.pace = 0.3
    window = open_window()
    bar = window.way_in.fetch_bar
    assert not bar.isVisible()
    window.database.add_clip(home / "a.mp4", {"prompt": "a"}, 16, 9, 64, 64)  # no welcome page
    (number,) = window.database.insert_jobs([lacking()])
    window.database.remove_jobs([number])
    state = bar.findChild(QLabel, "fetch-state")
    title = window.choices.find(WITH_LORAS).title
    qtbot.waitUntil(lambda: f"{title} · Downloading, " in state.text(), timeout=20_000)
    assert bar.isVisible()
    bar.findChild(QToolButton, "fetch-close").click()
    assert not bar.isVisible() and window.model_jobs.busy
    with qtbot.waitSignal(window.model_jobs.stopped, timeout=20_000):
        window.model_jobs.stop(WITH_LORAS)
    window.model_jobs.again(WITH_LORAS)
    assert bar.isVisible()  # this is another
    with qtbot.waitSignal(window.model_jobs.stopped, timeout=20_000):
        bar.findChild(QPushButton, "fetch-pause").click()
    assert not bar.isVisible()


@pytest.mark.parametrize("end", ["paused", "failed"])
def test_a_clip_whose_download_has_ended_can_be_resumed_in_its_row(server, open_window, qtbot, end):
    server.pace = 0.1
    if end == "failed":
        server.gated.add(CARD.repository)
    window = open_window()
    window.database.insert_jobs([lacking()])
    if end == "failed":
        qtbot.waitUntil(lambda: window.model_jobs.failure(WITH_LORAS) != "", timeout=20_000)
    else:
        with qtbot.waitSignal(window.model_jobs.stopped, timeout=20_000):
            window.model_jobs.stop(WITH_LORAS)
    assert window.model_jobs.job(WITH_LORAS) is None
    index = window.queue.model.index(0)
    assert [button.name for button in index.data(BUTTONS)] == ["resume", "remove"]
    window.queue.view.setCurrentIndex(index)
    assert window.queue.resume_action.isEnabled()
    window.queue.resume_action.trigger()
    assert window.model_jobs.job(WITH_LORAS) is not None
    assert [button.name for button in index.data(BUTTONS)] == ["pause", "remove"]
    assert not window.queue.resume_action.isEnabled()


def test_a_models_folder_that_cannot_be_written_is_refused_before_the_click(
    choices, machine, monkeypatch, home, small_disk
):
    disk = small_disk(home / "disk", 10**6)
    freeze(disk, "ro")
    folder = disk / "models"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    assert f"{folder} can't be written" in why_not(choices.find(WITH_LORAS))
    found = variants_of(CARD, CARD.download_bytes, Disks.at(folder, home), machine)
    assert all(f"{folder} can't be written" in variant.problem for variant in found)
