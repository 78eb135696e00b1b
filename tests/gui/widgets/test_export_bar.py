"""The export bar shows progress, and says how it ended."""

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


def test_the_bar_shows_progress_and_reports_the_end(tmp_path, qtbot, clip):
    bar = ExportBar(Export())
    qtbot.addWidget(bar)
    assert not bar.isVisible()
    with qtbot.waitSignal(bar.message, timeout=WAIT) as said:
        bar.export(clip, tmp_path / "out.gif")
        assert bar.isVisible()
        with qtbot.waitSignal(bar.message) as busy:
            bar.export(clip, tmp_path / "other.gif")
    assert "wait" in busy.args[0]
    assert "cancel" in busy.args[0]
    qtbot.waitUntil(lambda: not bar.isVisible(), timeout=WAIT)
    assert (tmp_path / "out.gif").exists() and not (tmp_path / "other.gif").exists()
    with qtbot.waitSignal(bar.message, timeout=WAIT) as said:
        bar.export(clip, tmp_path / "out.gif", 0, 5)
    assert "out.gif" in said.args[0]
    assert str(tmp_path) in said.args[0]
    with qtbot.waitSignal(bar.message, timeout=WAIT) as said:
        bar.export(clip, tmp_path / "third.webm")
        qtbot.mouseClick(bar.findChild(QPushButton), Qt.MouseButton.LeftButton)
    assert "cancelled" in said.args[0]
    assert not (tmp_path / "third.webm").exists()
    with qtbot.waitSignal(bar.warning, timeout=WAIT) as said:
        bar.export(clip, clip)
    assert "another name" in said.args[0]
    assert not bar.isVisible()
