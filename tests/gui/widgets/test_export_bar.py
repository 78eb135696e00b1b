"""The bar shows what goes on, and says how it ended."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from mlxvid.gui.core.export import Export
from mlxvid.gui.widgets.export_bar import ExportBar
from tests.gui.clips import write_clip

WAIT = 10_000


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12)


def test_the_bar_shows_what_goes_on_and_tells_the_end(tmp_path, qtbot, clip):
    bar = ExportBar(Export())
    qtbot.addWidget(bar)
    assert not bar.isVisible()
    with qtbot.waitSignal(bar.message, timeout=WAIT) as told:
        bar.export(clip, tmp_path / "out.gif")
        assert bar.isVisible()
        with qtbot.waitSignal(bar.message) as busy:
            bar.export(clip, tmp_path / "other.gif")
    assert busy.args[0] == "One clip is being exported already: wait for it, or cancel it."
    qtbot.waitUntil(lambda: not bar.isVisible(), timeout=WAIT)
    assert (tmp_path / "out.gif").exists() and not (tmp_path / "other.gif").exists()
    with qtbot.waitSignal(bar.message, timeout=WAIT) as told:
        bar.export(clip, tmp_path / "out.gif", 0, 5)
    assert told.args[0] == f"Saved out.gif in {tmp_path}."
    with qtbot.waitSignal(bar.message, timeout=WAIT) as told:
        bar.export(clip, tmp_path / "third.webm")
        qtbot.mouseClick(bar.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert (
        told.args[0] == "The export was cancelled; nothing was written."
        and not (tmp_path / "third.webm").exists()
    )
    with qtbot.waitSignal(bar.message, timeout=WAIT) as told:
        bar.export(clip, clip)
    assert told.args[0].endswith("choose another name for its copy.") and not bar.isVisible()
