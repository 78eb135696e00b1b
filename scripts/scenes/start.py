"""The app without clips."""

from __future__ import annotations

from .studio import Studio, scene, wait


@scene(empty=True)
def first_start(studio: Studio) -> None:
    """What a newcomer sees."""
    wait(lambda: studio.window.client.alive, "The worker")
    studio.shoot("first-start")
