"""The window's downloads: one of a model at a time, and how the last of it ended."""

from __future__ import annotations

import sys
import time

import pytest

from mlxvid.gui.core import downloads
from mlxvid.gui.core.downloads import ModelJobs, job_text
from tests.hub.fake_hub import folder_files

REPO = "org/tiny"


@pytest.fixture
def server(hub, tiny_folder):
    """A hub with the tiny model."""
    hub.add(REPO, folder_files(tiny_folder))
    return hub


@pytest.fixture
def jobs(qapp):
    jobs = ModelJobs()
    yield jobs
    jobs.shutdown()


def test_a_failed_download_says_why_and_is_done_again(jobs, server, qtbot):
    server.gated.add(REPO)
    with qtbot.waitSignal(jobs.failed, timeout=30_000) as failed:
        jobs.download(REPO)
    assert "gated" in failed.args[1]
    assert jobs.failure(REPO) == failed.args[1]
    server.gated.clear()
    with qtbot.waitSignal(jobs.done, timeout=30_000) as done:
        jobs.again(REPO)
        assert jobs.failure(REPO) == ""
    assert done.args[1]["kind"] == "download"


def test_whoever_asks_second_gets_the_download_that_runs(jobs, server, qtbot):
    server.pace = 0.2
    jobs.download(REPO)
    first = jobs.job(REPO)
    jobs.download(REPO)
    assert jobs.job(REPO) is first
    with qtbot.waitSignal(jobs.stopped, timeout=30_000):
        jobs.stop(REPO)
    assert jobs.is_paused(REPO)
    assert jobs.failure(REPO) == ""
    jobs.again(REPO)
    assert not jobs.is_paused(REPO)


def test_a_download_that_gets_no_answer_says_so(jobs, server, qtbot, monkeypatch):
    monkeypatch.setattr(downloads, "STALLED", 0.5)
    monkeypatch.setattr(downloads, "NO_ANSWER", "No answer")
    server.pace = 30
    jobs._clock.setInterval(100)
    jobs.download(REPO)
    job = jobs.job(REPO)
    with qtbot.waitSignal(jobs.changed, timeout=20_000, check_params_cb=lambda name: job.stalled):
        pass
    assert job_text(job).startswith("No answer")
    job.moved = time.monotonic()
    assert job_text(job).startswith("Downloading")


def test_a_command_that_breaks_down_leaves_its_last_words(jobs, qtbot, monkeypatch):
    breaks = (
        "import sys; print('\\n'.join(map(str, range(40))), file=sys.stderr); raise KeyError(1)"
    )
    monkeypatch.setattr(downloads, "tool_command", lambda module: [sys.executable, "-c", breaks])
    with qtbot.waitSignal(jobs.failed, timeout=30_000) as failed:
        jobs.convert("x", ["source"])
    assert "unexpectedly (KeyError: 1)" in failed.args[1]
    words = jobs.last_words("x")
    assert words[-1] == "KeyError: 1" and words[0] != "0"
    assert 2 < len(words) <= downloads.LAST_LINES
    jobs.forget("x")
    assert jobs.last_words("x") == []
