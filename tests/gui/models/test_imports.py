"""Imports and smaller copies by the real command: looked at, begun, resumed, put away."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from PySide6.QtWidgets import QMessageBox

from mlxvid import hub
from mlxvid.gui.models import manager as models_manager
from mlxvid.gui.models import panel as models_panel
from mlxvid.gui.models.panel import ModelsPanel
from mlxvid.gui.models.survey import Presence

from .steps import REPO, VAE, download, ended


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
    assert panel.notices.notices == []  # the details say it
    (tmp_path / "nothing").rmdir()
    shutil.copytree(tiny_folder, tmp_path / "nothing")
    panel.details.get.click()
    assert ended(panel, qtbot) == "Mine is imported."


def test_a_smaller_copy_and_the_download_that_it_no_longer_needs(panel, qtbot, preferences):
    model = download(panel, qtbot)
    name = panel.manager.copy(model, 8)
    assert ended(panel, qtbot).startswith("org/tiny, 8 bits is ready.")
    copy = panel.list.find(name)
    assert copy.title == "org/tiny, 8 bits" and copy.made
    assert Path(name) == Path(os.environ["MLXVID_DATA"]) / "models" / "tiny-8bit"
    config = json.loads((Path(name) / "transformer" / "config.json").read_text())
    assert config["quantization"]["bits"] == 8
    notice = panel.notices.notices[0]  # the newest
    labels = [label for label, _ in notice.actions]
    assert labels == ["Use It", "Delete the Download…"]
    notice.actions[1][1]()
    box = panel.findChild(QMessageBox)
    assert REPO in box.text()
    assert hub.size_on_disk(REPO) > 0
    delete = next(button for button in box.buttons() if button.text() == "Delete")
    with qtbot.waitSignal(panel.changed, timeout=10_000):
        delete.click()
    assert hub.size_on_disk(REPO) == 0
    assert [row.name for row in panel.list.rows if row.repo == REPO] == []


def test_an_import_that_was_begun_is_there_after_a_restart(
    panel, qtbot, preferences, machine, tiny_folder, tmp_path
):
    out = tmp_path / "out"
    panel.jobs.stop(panel.manager.convert(out, "Mine", [str(tiny_folder), "--out", str(out)]))
    qtbot.waitUntil(lambda: not panel.jobs.busy, timeout=20_000)
    again = ModelsPanel(preferences, machine)
    again.said = []
    again.told.connect(lambda notice: again.said.append(notice.text))
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: again.chosen() is not None)
    again.select(str(out))
    assert again.chosen().title == "Mine"
    assert again.details.get.text() == "Resume"
    again.details.get.click()
    assert ended(again, qtbot) == "Mine is imported."
    again.shutdown()


def test_what_is_imported_is_looked_at_first(panel, qtbot, tiny_folder, tmp_path):
    panel.ask_to_import()
    dialog = panel.findChild(models_panel.ImportDialog)
    (tmp_path / "empty").mkdir()
    dialog.source.setText(str(tmp_path / "empty"))
    with qtbot.waitSignal(dialog.look.refused, timeout=20_000):
        pass
    assert "empty" in dialog.kind.text()
    dialog.import_button.click()
    assert dialog.isVisible() and "no model" in dialog.error.text()
    dialog.source.setText(str(tiny_folder))
    with qtbot.waitSignal(dialog.look.recognised, timeout=20_000):
        pass
    assert dialog.kind.text().startswith("It is ")
    file = tiny_folder / VAE
    dialog.source.setText(str(file))
    assert dialog.name.text() == file.stem
    dialog.reject()
