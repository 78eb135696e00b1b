"""The plan under the fields."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.job_requests import plan_of
from mlxvid.gui.core.times import estimate
from mlxvid.model.machine import GIB, Machine
from tests.gui.cards import WITH_LORAS


def plan_text(panel, qtbot, part) -> str:
    qtbot.waitUntil(lambda: part in panel.plan_line.text)
    return panel.plan_line.text


def test_the_plan_follows(panel, qtbot, database):
    begin = "33 frames · 324 tokens · 365 MiB of 200.0 GiB · about "
    text = plan_text(panel, qtbot, "324 tokens")
    assert text.startswith(begin) and text.endswith(", a guess")
    database.add_timing("mini", 324, 40.0, 8.0)
    panel.replan()
    plan_text(panel, qtbot, "about 8 s")
    panel.takes.setValue(10)
    plan_text(panel, qtbot, "about 1 min 20 s")
    panel.picker.set_name(WITH_LORAS)
    text = plan_text(panel, qtbot, "after the download")
    assert text.startswith("81 frames · 32,760 tokens")
    assert panel.button.text() == "Download 28.9 GB and Generate"


def test_the_plan_breaks_between_its_parts(panel, qtbot, database):
    database.add_timing("mini", 324, 40.0, 8.0)
    panel.replan()
    plan = panel.plan_line
    words = panel.findChild(QLabel, "plan_text")
    plain = plan_text(panel, qtbot, "about 8 s")
    wide = words.fontMetrics().horizontalAdvance(plain)
    for width, lines in (
        (wide + 1, [plain]),
        (wide - 1, [*plain.rsplit(" · ", 1)]),
        (10, plain.split(" · ")),
    ):
        plan.resize(width, 60)
        assert words.text().split("<br>") == lines


def test_a_clip_that_does_not_fit_is_told_with_a_remedy_that_works(preferences, make_panel, qtbot):
    panel = make_panel(Choices(preferences, Machine("Small", 2 * GIB, GIB, False)))
    panel.prompt.set_text("a ball")
    panel.size_box.set_value(1024, 1024)
    panel.length_box.set_value(257)
    panel.replan()
    text = plan_text(panel, qtbot, "What fits")
    assert text.startswith("Needs ") and "this machine has 1.0 GiB to give" in text
    assert panel.findChild(QLabel, "plan_text").property("role") == "danger"
    panel.generate()
    assert panel.messages == [text]
    assert panel.jobs == []
    panel.findChild(QLabel, "plan_text").linkActivated.emit("0")
    plan_text(panel, qtbot, "tokens")
    assert panel.settings()["prompt"] == "a ball"
    panel.generate()
    assert len(panel.jobs) == 1
    panel.size_box.set_value(1024, 1024)
    panel.length_box.set_value(257)
    panel.advanced.force.setChecked(True)
    panel.generate()
    assert panel.jobs[-1].settings["force"] is True


def test_the_estimate_is_the_median_rate_of_the_runs_nearest_in_size():
    assert estimate([], 100, 40) is None
    assert estimate([(100, 40.0, 8.0)], 200, 40) == pytest.approx(16.0)
    near = [
        (100, 40.0, 8.0),
        (100, 40.0, 9.0),
        (110, 40.0, 8.8),
        (90, 40.0, 7.2),
        (100, 40.0, 80.0),
    ]
    far = [(1, 1.0, 9.0)] * 50
    assert estimate(far + near, 100, 40) == pytest.approx(8.0, rel=0.13)


def test_the_plan_knows_the_options_of_the_model():
    two = next(card.name for card in CATALOG.values() if card.options.get("upscale"))
    machine = Machine("test", 64 * GIB, 48 * GIB, metal=True)
    one = plan_of({"model": two, "options": {"upscale": False}}, machine)
    assert one.peak_bytes < plan_of({"model": two}, machine).peak_bytes


def test_a_download_that_can_not_be_is_refused_before_the_click(panel, qtbot, choices):
    in_files = next(card for card in CATALOG.values() if card.is_in_files)
    panel.picker.set_name(in_files.name)
    text = plan_text(panel, qtbot, "Models window")
    assert not panel.button.isEnabled()
    assert panel.button.toolTip() == text
    panel.prompt.set_text("a ball")
    panel.generate()
    assert panel.jobs == []
    panel.picker.set_name("mini")
    plan_text(panel, qtbot, "324 tokens")
    assert panel.button.isEnabled() and panel.button.text() == "Generate"
