"""The stage: what is known of the clip in view, a part of it marked, notices over it."""

from __future__ import annotations

from mlxvid.gui.widgets.notices import Notice

from .studio import CLIP, Studio, rest, scene, wait


def _show_clip(studio: Studio) -> None:
    stage = studio.window.stage
    stage.open_clip(studio.clips()[0].id)
    wait(lambda: len(stage.player.reel.frames) == CLIP["frames"], "The clip")
    stage.player.playhead.pause()
    rest(1500)


@scene()
def inspector(studio: Studio) -> None:
    """What made the clip in view, a part of which is marked."""
    _show_clip(studio)
    head = studio.window.stage.player.playhead
    head.mark_in(5)
    head.mark_out(22)
    studio.window.stage.info.setChecked(True)
    studio.shoot("inspector")
    studio.window.stage.info.setChecked(False)


@scene()
def notices(studio: Studio) -> None:
    """A note and a problem over the picture."""
    _show_clip(studio)
    again = [("Save Again", lambda: None), ("Save Elsewhere…", lambda: None)]
    full = "The disk is full, so the clip was not saved: it is kept until you save it."
    studio.window.notices.show_notice(Notice(full, again, wrong=True))
    studio.window.announcements.inform("The frame is on the clipboard.")
    studio.shoot("notices")
    studio.window.notices.clear()
