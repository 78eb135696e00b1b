"""The models that are listed, their order and names, and the windows beside the main one."""

from __future__ import annotations

import logging

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit, QListView, QProgressBar

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.own_models import OwnModels
from mlxvid.gui.dialogs.log import LogView
from mlxvid.gui.models.list_model import ROW, Shown
from mlxvid.gui.models.panel import ModelsPanel
from mlxvid.gui.models.survey import Presence, size_text, survey
from mlxvid.gui.widgets.licence_dialog import LicenceDialog
from mlxvid.model.machine import GIB, Machine, mac
from tests.gui.cards import WITH_FIRST_PICTURE, WITH_LORAS

from .steps import choose, entries


def test_the_catalog_with_what_is_here_and_what_is_not(panel):
    rows = {row.name: row for row in panel.list.rows}
    assert set(rows) == set(CATALOG)
    assert rows["mini"].presence is Presence.PACKAGED
    absent = rows[WITH_LORAS]
    assert absent.presence is Presence.ABSENT
    assert size_text(CATALOG[WITH_LORAS].download_bytes) in absent.facts
    panel.select("mini")
    assert panel.details.use.isVisibleTo(panel)
    details = panel.details
    for button in (details.get, details.remove, details.pause, details.more):
        assert not button.isVisibleTo(panel), (
            "it comes with mlxvid: there is nothing to fetch or delete"
        )
    assert not entries(panel)
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
    models = survey(own.known(), machine).rows
    found = [model for model in models if model.name not in CATALOG]
    assert [(model.name, model.presence, model.folder) for model in found] == [
        (str(tiny_folder), Presence.COMPLETE, tiny_folder)
    ]


def test_a_folder_of_the_users_only_leaves_the_list(panel, qtbot, preferences, tiny_folder):
    panel.manager.own.add(tiny_folder)
    panel.manager.refresh()
    qtbot.waitUntil(lambda: panel.list.find(str(tiny_folder)) is not None)
    panel.select(str(tiny_folder))
    assert panel.details.remove.text() == "Remove from List"
    panel.details.remove.click()
    qtbot.waitUntil(lambda: panel.list.find(str(tiny_folder)) is None)
    assert (tiny_folder / "model_index.json").exists()
    (notice,) = panel.notices.notices
    notice.actions[0][1]()  # Undo
    qtbot.waitUntil(lambda: panel.list.find(str(tiny_folder)) is not None)


def test_a_model_is_renamed_in_the_list(panel, qtbot, preferences, tiny_folder):
    panel.manager.own.add(tiny_folder)
    panel.manager.refresh()
    qtbot.waitUntil(lambda: panel.list.find(str(tiny_folder)) is not None)
    panel.select(str(tiny_folder))
    choose(panel, "Rename")
    editor = panel.view.findChild(QLineEdit)
    editor.setText("My Model")
    with qtbot.waitSignal(panel.changed):
        qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert panel.list.find(str(tiny_folder)).title == "My Model"
    index = panel.list.index_of("mini")
    assert not index.flags() & Qt.ItemFlag.ItemIsEditable


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
