"""The player exports the clip in view."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QFileDialog, QToolButton

from mlxvid.gui.player.player import Player
from mlxvid.media.clip import Clip
from tests.gui.clips import number_of, write_clip

WAIT = 10_000


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=12)


def test_the_player_exports_what_is_between_its_marks(tmp_path, qtbot, clip, monkeypatch):
    player = Player()
    qtbot.addWidget(player)
    with qtbot.waitSignal(player.reel.ended, timeout=WAIT):
        player.open(clip)
    player.playhead.mark_in(2)
    player.playhead.mark_out(6)
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *args: (str(tmp_path / "part.mp4"), args[-1])
    )
    entries = player.findChild(QToolButton, "export").menu().actions()
    assert [entry.text() for entry in entries] == [
        "MP4 Video…",
        "Animated GIF…",
        "WebM Video…",
        "ProRes 422 HQ…",
        "PNG Sequence…",
    ]
    with qtbot.waitSignal(player.message, timeout=WAIT) as said:
        entries[0].trigger()
    assert "part.mp4" in said.args[0]
    assert str(tmp_path) in said.args[0]
    frames = Clip.load(tmp_path / "part.mp4").frames
    assert [number_of(frame) for frame in frames] == [2, 3, 4, 5, 6]
