"""The player has the clip in view exported."""

from __future__ import annotations

from PySide6.QtWidgets import QToolButton

from mlxvid.gui.player.player import Player
from tests.gui.clips import write_clip

WAIT = 10_000


def test_the_player_asks_for_what_is_between_its_marks(tmp_path, qtbot):
    clip = write_clip(tmp_path / "clip.mp4", frames=12)
    player = Player()
    qtbot.addWidget(player)
    asked = []
    player.export_asked.connect(asked.extend)
    button = player.findChild(QToolButton, "export")
    assert not button.isEnabled()
    with qtbot.waitSignal(player.reel.ended, timeout=WAIT):
        player.open(clip)
    button.click()
    player.playhead.mark_in(2)
    player.playhead.mark_out(6)
    button.click()
    whole, part = asked
    assert (whole.path, whole.frames, whole.fps) == (clip, 12, 8)
    assert (whole.width, whole.height) == (48, 32)
    assert not whole.marked
    assert part.marked
    assert (part.first, part.last, part.count) == (2, 6, 5)
