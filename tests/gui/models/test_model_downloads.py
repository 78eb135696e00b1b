"""Downloads, with a hub on this machine and the real commands: paused, verified, deleted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialogButtonBox, QInputDialog, QLabel

from mlxvid import hub
from mlxvid.errors import MediaError
from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.downloads import ModelJobs, job_text
from mlxvid.gui.dialogs.preferences import PreferencesDialog
from mlxvid.gui.models.hub_question import repository_of
from mlxvid.gui.models.survey import Presence
from tests.hub.fake_hub import folder_files

from .steps import REPO, VAE, choose, download, ended, error_label


def test_download_verify_mend_use_and_delete(panel, qtbot, server):
    model = download(panel, qtbot)
    assert (model.presence, model.repo, model.title) == (Presence.COMPLETE, REPO, REPO)
    assert Path(model.name).is_dir()
    used = []
    panel.use_model.connect(used.append)
    qtbot.mouseClick(panel.details.use, Qt.MouseButton.LeftButton)
    ((label, use),) = panel.notices.notices[0].actions
    assert label == "Use It"
    use()
    assert used == [model.name, model.name]

    choose(panel, "Verify")
    assert "valid" in ended(panel, qtbot)
    blob = (Path(model.name) / VAE).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
    choose(panel, "Verify")
    sentence = ended(panel, qtbot)
    assert VAE in sentence
    assert "download" in sentence
    assert error_label(panel).text() == sentence
    assert panel.chosen().presence is Presence.PARTIAL
    assert panel.details.get.text() == "Try Again"
    qtbot.mouseClick(panel.details.get, Qt.MouseButton.LeftButton)
    assert ended(panel, qtbot) == "org/tiny is downloaded."
    assert panel.chosen().presence is Presence.COMPLETE
    assert not error_label(panel).isVisibleTo(panel)

    with qtbot.waitSignal(panel.changed, timeout=10_000):
        panel.manager.delete(panel.chosen())
    assert hub.size_on_disk(REPO) == 0 and panel.list.find(model.name) is None


def test_pause_keeps_what_is_here_and_resume_goes_on(panel, qtbot, server, tiny_folder):
    data = os.urandom(2_500_000)
    files = folder_files(tiny_folder)
    configs = {path: files[path] for path in files if not path.endswith(".safetensors")}
    server.add("org/large", {**configs, "weights.safetensors": data})
    server.pace = 0.02
    panel.get_repository("org/large")
    name = panel.chosen().name
    job = panel.jobs.job(name)
    qtbot.waitUntil(lambda: job.progress.get("step", 0) >= 1, timeout=20_000)
    assert panel.details.pause.text() == "Pause"
    assert "Downloading" in panel.details.findChild(QLabel, "job-progress").text()
    assert job_text(job).split(" · ")[0] in (
        "Downloading, 1 of 3 MB",
        "Downloading, 2 of 3 MB",
    )
    with qtbot.waitSignal(panel.jobs.stopped, timeout=5000):
        qtbot.mouseClick(panel.details.pause, Qt.MouseButton.LeftButton)
    assert panel.jobs.job(name) is None and not panel.said
    kept = hub.size_on_disk("org/large")
    assert 10**6 <= kept < len(data)
    server.pace = 0
    qtbot.mouseClick(panel.details.get, Qt.MouseButton.LeftButton)
    assert ended(panel, qtbot) == "org/large is downloaded."
    assert any(int(part[6:-1]) >= 500_000 for part in server.ranges())


def test_what_the_hub_refuses_is_said_and_stays_to_be_read(panel, qtbot, server):
    panel.get_repository("no/such")
    sentence = ended(panel, qtbot)
    assert "'no/such'" in sentence
    assert panel.chosen().name == "no/such"
    assert error_label(panel).text() == sentence
    panel.get_repository("nonsense")
    (sentence,) = panel.said
    assert "'nonsense'" in sentence
    assert "owner/name" in sentence


def test_a_gated_model_says_where_access_is_asked_for(panel, qtbot, server):
    panel.details.page_wanted.disconnect()  # no browser
    server.gated.add(REPO)
    panel.get_repository(REPO)
    sentence = ended(panel, qtbot)
    assert "gated" in sentence and "token in Settings" in sentence and "`" not in sentence
    assert panel.details.page.isVisibleTo(panel)
    with qtbot.waitSignal(panel.details.page_wanted) as wanted:
        panel.details.page.click()
    assert wanted.args == [f"https://huggingface.co/{REPO}"]
    server.gated.clear()
    panel.details.get.click()
    assert ended(panel, qtbot) == "org/tiny is downloaded."
    assert not panel.details.page.isVisibleTo(panel)


def test_closing_the_window_ends_the_downloads(panel, qtbot, server):
    server.pace = 5
    panel.get_repository(REPO)
    job = panel.jobs.job(REPO)
    qtbot.waitUntil(lambda: bool(job.progress), timeout=20_000)
    process = job.process
    panel.shutdown()
    assert process.state() == process.ProcessState.NotRunning


def test_a_command_that_can_not_be_started(qtbot, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert tool_command("mlxvid.hub") == [sys.executable, "--run", "mlxvid.hub"]
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    jobs = ModelJobs()
    with qtbot.waitSignal(jobs.failed, timeout=5000) as failed:
        jobs.download("x", REPO, None)
    name, sentence = failed.args
    assert name == "x"
    assert "install mlxvid again" in sentence
    assert jobs.job("x") is None


@pytest.mark.parametrize(
    "text",
    [
        "owner/name",
        " https://huggingface.co/owner/name ",
        "huggingface.co/owner/name/tree/main?x=1",
    ],
)
def test_an_address_is_as_good_as_a_name(text):
    assert repository_of(text) == "owner/name"


def test_the_failure_of_a_model_that_is_not_in_view_is_a_notice(panel, qtbot, tmp_path):
    (tmp_path / "nothing").mkdir()
    out = tmp_path / "out"
    panel.import_checkpoint(out, "Mine", [str(tmp_path / "nothing"), "--out", str(out)])
    panel.select("mini")
    sentence = ended(panel, qtbot)
    (notice,) = panel.notices.notices
    assert notice.text == sentence and notice.wrong
    ((label, again),) = notice.actions
    assert label == "Try Again"
    again()
    assert panel.notices.notices == []
    ended(panel, qtbot)


def test_what_can_not_be_deleted_is_said(panel, qtbot, monkeypatch):
    def refuse(repo):
        raise MediaError("It can't be removed.")

    model = download(panel, qtbot)
    monkeypatch.setattr(hub, "delete", refuse)
    panel.manager.delete(model)
    qtbot.waitUntil(lambda: panel.said == ["It can't be removed."])


def test_what_is_no_name_on_the_hub_can_not_be_sent_off(panel, qtbot):
    panel.ask_for_repository()
    dialog = panel.findChild(QInputDialog)
    download = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    assert download.text() == "Download" and not download.isEnabled()
    for text, is_name in (("nonsense", False), ("a/b/c", False), ("org/", False), (REPO, True)):
        dialog.setTextValue(text)
        assert download.isEnabled() is is_name
    dialog.accept()
    assert ended(panel, qtbot) == "org/tiny is downloaded."


def test_settings_are_a_click_away_where_they_help(open_window, server, qtbot):
    window = open_window()
    window.tools.show_models()
    panel = window.tools.models
    qtbot.waitUntil(lambda: panel.chosen() is not None)
    panel.select("mini")
    assert not panel.details.settings.isVisibleTo(panel)
    server.gated.add(REPO)
    panel.get_repository(REPO)
    qtbot.waitUntil(lambda: panel.details.settings.isVisibleTo(panel), timeout=30_000)
    panel.details.settings.click()
    dialog = window.findChild(PreferencesDialog)
    assert dialog.isVisible() and dialog.pages.currentWidget() is dialog.models
