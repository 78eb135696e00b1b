"""Clips: the gallery with one of them in view, and two compared."""

from __future__ import annotations

from .studio import CLIP, Studio, rest, scene, wait


@scene()
def gallery(studio: Studio) -> None:
    """A clip in view, its settings beside it."""
    window = studio.window
    clips = studio.clips()
    studio.compose(clips[0].prompt)
    window.gallery.open_clip.emit(clips[0].id)
    window.show_side(window.gallery)
    wait(lambda: len(window.stage.player.reel.frames) == CLIP["frames"], "The clip")
    window.stage.player.playhead.pause()
    rest(1500)
    studio.shoot("gallery")


@scene()
def compare(studio: Studio) -> None:
    """Two clips side by side."""
    studio.window.gallery.compare.emit([clip.id for clip in studio.clips()[:2]])
    rest(1000)
    studio.shoot("compare")
