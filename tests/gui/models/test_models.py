"""The model manager, with a hub on this machine and the real commands.

Models are listed, downloaded, paused, verified, imported and deleted.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QListView, QProgressBar

from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.errors import MediaError
from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.downloads import ModelJobs, job_text
from mlxvid.gui.core.own_models import OwnModels
from mlxvid.gui.dialogs.log import LogView
from mlxvid.gui.models import manager as models_manager
from mlxvid.gui.models import panel as models_panel
from mlxvid.gui.models.list_model import ROW, Shown
from mlxvid.gui.models.panel import ModelsPanel
from mlxvid.gui.models.survey import ModelRow, Presence, size_text, survey
from mlxvid.gui.widgets.licence_dialog import LicenceDialog
from mlxvid.model.machine import GIB, Machine, mac
from tests.gui.cards import WITH_FIRST_PICTURE, WITH_LORAS
from tests.hub.fake_hub import FakeHub, folder_files

REPO = "org/tiny"
VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def server(tmp_path, monkeypatch, tiny_folder):
    """A hub with the tiny model, for this process and the commands that it starts."""
    with FakeHub().serving() as server:
        cache = tmp_path / "hub"
        for name, value in {
            "HF_ENDPOINT": server.address,
            "HF_HUB_CACHE": str(cache),
            "OMP_NUM_THREADS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        server.add(REPO, folder_files(tiny_folder))
        yield server


@pytest.fixture
def panel(server, preferences, machine, qtbot, themed):
    panel = ModelsPanel(preferences, machine)
    qtbot.addWidget(panel)
    panel.said = []
    panel.told.connect(lambda notice: panel.said.append(notice.text))
    panel.resize(900, 560)
    panel.show()
    qtbot.waitUntil(lambda: panel.chosen() is not None)
    yield panel
    panel.shutdown()


def error_label(panel) -> QLabel:
    """Where the details say what went wrong."""
    return panel.details.findChild(QLabel, "job-error")


def ended(panel, qtbot) -> str:
    """The message with which a job ended, once the panel has surveyed the disk again."""
    with qtbot.waitSignal(panel.changed, timeout=30_000):
        qtbot.waitUntil(lambda: bool(panel.said), timeout=30_000)
    return panel.said.pop()


def entries(panel) -> dict[str, QAction]:
    """What the menu of the selected model has."""
    return {action.text(): action for action in panel.menu().actions()}


def choose(panel, entry: str) -> None:
    entries(panel)[entry].trigger()


def download(panel, qtbot) -> ModelRow:
    panel.get_repository(REPO)
    assert ended(panel, qtbot) == "org/tiny is downloaded."
    return panel.chosen()


# --- what is shown --------------------------------------------------------------------------------


def test_the_catalog_with_what_is_here_and_what_is_not(panel):
    rows = {row.name: row for row in panel.list.rows}
    assert set(rows) == set(CATALOG)
    assert rows["mini"].presence is Presence.PACKAGED
    absent = rows[WITH_LORAS]
    assert absent.presence is Presence.ABSENT
    assert size_text(CATALOG[WITH_LORAS].download_bytes) in absent.facts
    panel.select("mini")
    assert panel.details.use.isVisibleTo(panel)
    for button in (panel.details.get, panel.details.remove, panel.details.pause):
        assert not button.isVisibleTo(panel), (
            "it comes with mlxvid: there is nothing to fetch or delete"
        )
    assert "Verify" not in entries(panel)
    panel.select(WITH_LORAS)
    assert panel.details.get.isVisibleTo(panel) and not panel.details.use.isVisibleTo(panel)


def test_the_best_comes_first_and_what_does_not_fit_last(server, preferences, qtbot, themed):
    panel = ModelsPanel(preferences, mac(8 * GIB))
    qtbot.addWidget(panel)
    qtbot.waitUntil(lambda: panel.chosen() is not None)
    rows = panel.list.rows
    assert [row.name for row in rows if row.recommended] == [rows[0].name]
    assert panel.chosen().name == rows[0].name
    ranks = [row.fit.rank for row in rows[1:]]
    assert ranks == sorted(ranks) and len(set(ranks)) > 2
    assert "Won't fit" in rows[-1].note
    spoken = panel.list.data(panel.list.index(0), Qt.ItemDataRole.AccessibleTextRole)
    assert "recommended" in spoken
    panel.shutdown()


def test_the_list_by_use(panel):
    def listed(shown: Shown) -> set[str]:
        panel.shown.setCurrentIndex(list(Shown).index(shown))
        panel.shown.activated.emit(panel.shown.currentIndex())
        places = range(panel.list.rowCount())
        return {panel.list.data(panel.list.index(place), ROW).name for place in places}

    assert listed(Shown.HERE) == {"mini"}
    assert WITH_FIRST_PICTURE in listed(Shown.PICTURE)
    assert WITH_FIRST_PICTURE not in listed(Shown.TEXT)
    assert WITH_LORAS in listed(Shown.TEXT)
    assert listed(Shown.CLIP) == {name for name, card in CATALOG.items() if _takes_clips(card)}
    panel.select(WITH_FIRST_PICTURE)  # which this list leaves out
    assert panel.chosen().name == WITH_FIRST_PICTURE
    assert listed(Shown.ALL) == set(CATALOG)


def _takes_clips(card) -> bool:
    return bool(card.takes & {"video", "extend"})


def test_every_control_has_a_name(panel):
    for kind in (QAbstractButton, QListView, QProgressBar, QComboBox):
        for widget in panel.findChildren(kind):
            if isinstance(widget, QListView) and widget is not panel.view:
                continue  # a combo box's
            assert widget.accessibleName() or getattr(widget, "text", str)(), widget


def test_a_model_that_won_t_fit_is_refused_before_the_click(server, preferences, qtbot, themed):
    panel = ModelsPanel(preferences, Machine("Small", 2 * GIB, GIB, False))
    qtbot.addWidget(panel)
    qtbot.waitUntil(lambda: panel.chosen() is not None)
    panel.select(WITH_LORAS)
    assert not panel.chosen().usable
    assert "Won't fit" in panel.chosen().fit.sentence
    assert not panel.details.get.isEnabled()
    assert "memory" in panel.details.findChild(QLabel, "variant-needs").text()
    panel.shutdown()


def test_the_survey_takes_folders_that_hold_models(
    server, tiny_folder, machine, tmp_path, preferences
):
    (tmp_path / "empty").mkdir()
    own = OwnModels(preferences)
    for folder in (tiny_folder, tmp_path / "empty", tmp_path / "gone"):
        own.add(folder)
    models = survey(own, machine).rows
    found = [model for model in models if model.name not in CATALOG]
    assert [(model.name, model.presence, model.folder) for model in found] == [
        (str(tiny_folder), Presence.COMPLETE, tiny_folder)
    ]


# --- downloads ------------------------------------------------------------------------------------


def test_download_verify_mend_use_and_delete(panel, qtbot, server):
    model = download(panel, qtbot)
    assert (model.presence, model.repo, model.title) == (Presence.COMPLETE, REPO, REPO)
    assert Path(model.name).is_dir()
    used = []
    panel.use_model.connect(used.append)
    qtbot.mouseClick(panel.details.use, Qt.MouseButton.LeftButton)
    assert used == [model.name]

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
    assert models_panel._repository(text) == "owner/name"


# --- imports --------------------------------------------------------------------------------------


def test_import_a_checkpoint_and_delete_it(
    panel, qtbot, tiny_folder, tmp_path, preferences, monkeypatch
):
    panel.ask_to_import()
    dialog = panel.findChild(models_panel.ImportDialog)
    dialog.import_button.click()
    assert "checkpoint" in dialog.error.text()
    assert "folder" in dialog.error.text()
    dialog.source.setText(str(tiny_folder))
    models = Path(os.environ["MLXVID_DATA"]) / "models"
    assert dialog.target.text() == str(models / tiny_folder.name)
    out = tmp_path / "imported"
    dialog.name.setText("My Own")
    assert dialog.target.text() == str(models / "My Own")
    dialog.target.setText(str(out))
    dialog.dtype.setCurrentIndex(2)
    dialog.import_button.click()
    assert ended(panel, qtbot) == "My Own is imported."
    assert panel.chosen().title == "My Own"
    assert preferences.model_folders == [str(out)]
    assert panel.chosen().name == str(out)
    assert panel.chosen().presence is Presence.COMPLETE
    # A test leaves the user's trash alone.
    monkeypatch.setattr(models_manager, "move_to_trash", shutil.rmtree)
    with qtbot.waitSignal(panel.changed, timeout=10_000):
        panel.manager.delete(panel.chosen())
    assert preferences.model_folders == [] and panel.list.find(str(out)) is None


def test_a_second_import_of_the_same_name_replaces_nothing(panel, qtbot, tiny_folder, tmp_path):
    models = Path(os.environ["MLXVID_DATA"]) / "models"
    others = tmp_path / "others" / tiny_folder.name
    shutil.copytree(tiny_folder, others)
    panel.ask_to_import()
    dialog = panel.findChild(models_panel.ImportDialog)
    dialog.source.setText(str(tiny_folder))
    dialog.import_button.click()
    ended(panel, qtbot)
    first = (models / tiny_folder.name / "model_index.json").stat()
    for count, expected in ((2, f"{tiny_folder.name}-2"), (3, f"{tiny_folder.name}-3")):
        panel.ask_to_import()
        dialog = panel.findChildren(models_panel.ImportDialog)[-1]
        dialog.source.setText(str(others))
        assert dialog.target.text() == str(models / expected)
        dialog.target.setText(str(models / tiny_folder.name))
        dialog.import_button.click()
        assert dialog.isVisible()
        assert "taken" in dialog.error.text()
        assert dialog.use_free.text() == f"Use {expected}"
        dialog.use_free.click()
        assert dialog.target.text() == str(models / expected)
        dialog.import_button.click()  # another may begin while this one is under way
        assert len(panel.list.rows) >= count
    ended(panel, qtbot)
    assert (models / tiny_folder.name / "model_index.json").stat() == first
    qtbot.waitUntil(lambda: (models / f"{tiny_folder.name}-3").is_dir(), timeout=60_000)


def test_an_import_that_fails_says_why_and_can_be_tried_again(panel, qtbot, tmp_path, tiny_folder):
    (tmp_path / "nothing").mkdir()
    out = tmp_path / "out"
    panel.import_checkpoint(out, "Mine", [str(tmp_path / "nothing"), "--out", str(out)])
    sentence = ended(panel, qtbot)
    assert str(tmp_path / "nothing") in sentence and "\n" not in sentence
    assert panel.chosen().title == "Mine"
    assert panel.details.get.text() == "Try Again"
    assert panel.details.get.isVisibleTo(panel)
    (notice,) = panel.notices.notices
    assert [label for label, _ in notice.actions] == ["Try Again"]
    (tmp_path / "nothing").rmdir()
    shutil.copytree(tiny_folder, tmp_path / "nothing")
    notice.actions[0][1]()
    assert panel.notices.notices == []
    assert ended(panel, qtbot) == "Mine is imported."


def test_what_can_not_be_deleted_is_said(panel, qtbot, monkeypatch):
    def refuse(repo):
        raise MediaError("It can't be removed.")

    model = download(panel, qtbot)
    monkeypatch.setattr(hub, "delete", refuse)
    panel.manager.delete(model)
    qtbot.waitUntil(lambda: panel.said == ["It can't be removed."])


# --- beside the window ----------------------------------------------------------------------------


def test_the_windows_beside_the_main_one_open_from_its_menu(
    server, open_window, qtbot, tiny_folder
):
    window = open_window()
    tools = window.tools
    entries = {action.text(): action for action in window.menus.window_menu.actions()}
    entries["Models"].trigger()
    qtbot.waitUntil(lambda: tools.models.chosen() is not None)
    assert tools.models.window().isVisible()
    tools.models.use_model.emit(str(tiny_folder))
    assert window.compose.picker.value().name == str(tiny_folder)
    assert not tools.models.window().isVisible()
    window.database.add_prompt("a red ball")
    logging.getLogger("mlxvid").info("made a red ball")
    entries["Log"].trigger()
    log = window.findChild(LogView)
    log.copy.click()
    qtbot.waitUntil(log.copy.isEnabled, timeout=20_000)
    copied = QGuiApplication.clipboard().text()
    assert "made <prompt>" in copied
    assert "a red ball" not in copied


def test_the_model_manager_learns_of_the_machine_when_the_worker_is_ready(
    server, open_window, machine
):
    window = open_window()
    window.tools.show_models()
    assert window.tools.models.manager.machine != machine
    facts = {
        "name": machine.name,
        "total": machine.total,
        "usable": machine.usable,
        "metal": machine.metal,
    }
    window.client.ready.emit({"event": "ready", "machine": facts})
    assert window.tools.models.manager.machine == window.choices.machine == machine


# --- licences -------------------------------------------------------------------------------------


def test_a_licence_with_conditions_is_accepted_before_the_first_download(panel, qtbot, monkeypatch):
    begun = []
    monkeypatch.setattr(panel.jobs, "download", lambda name, *_: begun.append(name))
    asking = [row for row in panel.list.rows if row.card.family.terms]
    panel.select(asking[0].name)
    panel.details.get.click()
    dialog = panel.findChild(LicenceDialog)
    assert begun == []
    assert "Licence" in dialog.findChild(QLabel, "licence-text").text()
    dialog.reject()
    assert begun == []
    panel.details.get.click()
    with qtbot.waitSignal(panel.changed):
        panel.findChildren(LicenceDialog)[-1].accept_button.click()
    assert begun == [asking[0].name]
    panel.select(asking[1].name)  # of the same licence
    panel.details.get.click()
    assert begun == [asking[0].name, asking[1].name]
