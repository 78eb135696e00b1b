"""The Settings window: every choice applies at once, is kept, and is answered."""

from __future__ import annotations

import os

import pytest

from mlxvid import hub
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.preferences import CLIPS, MODELS, RESERVE, WORK, Appearance, Preferences
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.dialogs.preferences import PreferencesDialog
from mlxvid.metal_errors import RELAXED
from mlxvid.model.machine import GIB, mac
from mlxvid.paths import cache_folder

CURRENT = {"model": "mini", "width": 96, "height": 64, "frames": 17, "steps": 9}


@pytest.fixture
def dialog(preferences, choices, themed, qtbot, monkeypatch):
    for variable in (MODELS, WORK, RESERVE, RELAXED):
        monkeypatch.setenv(variable, "")
    dialog = PreferencesDialog(preferences, choices, lambda: CURRENT)
    qtbot.addWidget(dialog)
    return dialog


def test_the_appearance_is_the_systems_until_another_is_chosen(dialog, preferences, qtbot):
    assert preferences.appearance is Appearance.SYSTEM
    field = dialog.general.appearance
    field.setCurrentIndex(1)
    with qtbot.waitSignal(preferences.appearance_changed):
        field.activated.emit(1)
    preferences.save()
    assert Preferences().appearance is Appearance.LIGHT
    preferences.appearance = Appearance.DARK  # in the View menu
    assert field.currentText() == "Dark"
    preferences._settings.setValue("appearance", "mauve")
    assert preferences.appearance is Appearance.SYSTEM


def test_switches_and_numbers_are_kept(dialog, preferences, qtbot):
    assert preferences.notifies and preferences.previews and not preferences.paused
    dialog.general.notifies.click()
    dialog.generation.previews.click()
    with qtbot.waitSignal(preferences.silence_changed):
        dialog.generation.patience.setValue(3)
    preferences.save()
    again = Preferences()
    assert not again.notifies and not again.previews and again.silence == 180
    again._settings.setValue("silence", "-3")
    assert again.silence == 900


def test_the_models_folder_is_the_one_chosen(home, monkeypatch, dialog, preferences, qtbot):
    usual = hub.hub_cache_folder()
    reset = dialog.models.folder.reset
    assert not reset.isEnabled()
    with qtbot.waitSignals([preferences.models_folder_changed, preferences.environment_changed]):
        dialog.models.set_folder(home / "disk")
    assert hub.hub_cache_folder() == home / "disk"
    assert reset.isEnabled()
    # The next session finds it, and what is in the environment wins.
    monkeypatch.setenv(MODELS, "")
    Preferences().apply_environment()
    assert hub.hub_cache_folder() == home / "disk"
    monkeypatch.setenv(MODELS, str(home / "other"))
    Preferences().apply_environment()
    assert hub.hub_cache_folder() == home / "other"
    reset.click()
    assert hub.hub_cache_folder() == usual
    assert preferences.models_folder is None


@pytest.mark.parametrize(
    ("variable", "row"),
    [
        (CLIPS, lambda dialog: dialog.clips.folder),
        (MODELS, lambda dialog: dialog.models.folder),
        (WORK, lambda dialog: dialog.general.work),
    ],
)
def test_a_folder_that_mlxvid_was_started_with_says_so(
    variable, row, home, preferences, choices, qtbot, monkeypatch, themed
):
    for name in (CLIPS, MODELS, WORK):
        monkeypatch.setenv(name, "")
    preferences.clips_folder = home / "chosen"
    preferences.models_folder = home / "chosen"
    preferences.work_folder = home / "chosen"
    free = PreferencesDialog(preferences, choices, dict)
    qtbot.addWidget(free)
    assert row(free).choose.isEnabled() and row(free).fixed.isHidden()
    monkeypatch.setenv(variable, str(home / "given"))
    dialog = PreferencesDialog(preferences, choices, dict)
    qtbot.addWidget(dialog)
    field = row(dialog)
    assert "given" in field._label.text()
    assert not field.choose.isEnabled() and not field.reset.isEnabled()
    assert not field.fixed.isHidden() and "started" in field.fixed.text()


def test_the_clips_folder_is_the_one_chosen_last(home, dialog, preferences):
    dialog.clips._set_folder(home / "films")
    assert preferences.clips_folder == home / "films"
    assert dialog.clips.folder._label.text().endswith("films")


def test_unfinished_clips_are_kept_in_the_chosen_folder(home, dialog, preferences, qtbot):
    usual = cache_folder("runs")
    with qtbot.waitSignal(preferences.environment_changed):
        dialog.general._set_work_folder(home / "fast")
    assert cache_folder("runs") == home / "fast" / "runs"
    dialog.general.work.reset.click()
    assert cache_folder("runs") == usual and preferences.work_folder is None


def test_memory_is_left_to_other_programs(preferences, qtbot, monkeypatch, themed):
    monkeypatch.setenv(RESERVE, "")
    choices = Choices(preferences)  # of this machine
    dialog = PreferencesDialog(preferences, choices, dict)
    qtbot.addWidget(dialog)
    field = dialog.generation.memory
    assert field.text() == "Automatic"
    with qtbot.waitSignal(preferences.environment_changed):
        field.setValue(1)
    assert os.environ[RESERVE] == "1"
    total = choices.machine.total
    assert choices.machine.usable == total - GIB
    assert f"{(total - GIB) / GIB:.0f} of {total / GIB:.0f}" in dialog.generation._room.text()
    field.setValue(0)
    assert choices.machine.usable < total - GIB


def test_the_worker_goes_by_it(preferences, qtbot, monkeypatch):
    monkeypatch.setenv(RESERVE, "")
    preferences.memory_left = 1
    client = WorkerClient()
    with qtbot.waitSignal(client.ready, timeout=60_000) as ready:
        client.load("1", {"model": "mini"})
    client.shutdown()
    machine = ready.args[0]["machine"]
    assert machine["usable"] == machine["total"] - GIB


def test_the_gpu_may_work_longer(preferences, qtbot, monkeypatch, themed):
    monkeypatch.setenv(RELAXED, "")
    choices = Choices(preferences, mac(24 * GIB))
    dialog = PreferencesDialog(preferences, choices, dict)
    qtbot.addWidget(dialog)
    with qtbot.waitSignal(preferences.environment_changed):
        dialog.generation.patient_gpu.click()
    assert os.environ[RELAXED] == "1"
    dialog.generation.patient_gpu.click()
    assert RELAXED not in os.environ


def test_the_name_of_a_file_is_shown_while_its_pattern_is_typed(dialog, preferences):
    page = dialog.clips
    assert page.example.text() == "a-lighthouse-in-the-snow-4711.mp4"
    page.names.setText("{seed} {prompt}")
    assert page.example.text() == "4711 a-lighthouse-in-the-snow.mp4"
    assert Preferences().file_names == "{seed} {prompt}"
    page.names.setText("{seed} {prom")
    assert "{" in page.example.text()
    page.names.setText("{seed} {promt}")
    assert "{promt}" in page.example.text() and "{prompt}" in page.example.text()
    assert preferences.file_names == "{seed} {prompt}"
    page.names.setText("")
    assert preferences.file_names == "{prompt}-{seed}"


def test_new_clips_begin_with_what_was_kept(dialog, preferences):
    page = dialog.generation
    assert not page.reset.isEnabled()
    page.take_current()
    assert preferences.new_clip == CURRENT
    for fact in ("96×64", "17 frames", "9 steps"):
        assert fact in page._begins.text()
    page.reset.click()
    assert preferences.new_clip == {}


def test_new_clip_shows_them(window):
    compose = window.compose
    compose.steps.setValue(7)
    compose.prompt.set_text("a fox")
    window.preferences.new_clip = compose.to_begin_with()
    compose.steps.setValue(11)
    compose.clear()
    assert compose.steps.value() == 7 and compose.prompt.toPlainText() == ""
    assert not {"prompt", "seed", "image"} & compose.to_begin_with().keys()


def test_one_settings_window_is_enough(window):
    for _ in range(2):
        window.menus.settings_chosen.emit()
    (dialog,) = window.findChildren(PreferencesDialog)
    assert dialog.isVisible() and not dialog.isModal()
