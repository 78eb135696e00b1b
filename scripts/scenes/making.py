"""A clip that is being made, and what can go wrong with it."""

from __future__ import annotations

import os
import signal

from mlxvid.gui.core.jobs import Job

from .studio import CLIP, PROMPTS, Studio, scene, wait


def _begin(studio: Studio) -> None:
    """Make a long clip, as far as its previews, with two behind it."""
    previews: list[object] = []
    studio.window.runner.previewed.connect(lambda frames, fps: previews.append(frames))
    studio.compose("a red ball bouncing on a navy background", seed=11, steps=200)
    studio.window.compose.generate()
    jobs = [Job({**CLIP, "prompt": prompt, "seed": 3}) for prompt in PROMPTS[1:3]]
    studio.database.insert_jobs(jobs)
    studio.window.show_side(studio.window.queue)
    wait(lambda: len(previews) >= 8, "A preview")


@scene()
def generating(studio: Studio) -> None:
    """A preview, and the queue beside it."""
    _begin(studio)
    studio.shoot("generating")


@scene()
def error(studio: Studio) -> None:
    """A worker that was killed."""
    _begin(studio)
    studio.window.runner.pause(True)
    os.kill(studio.window.client.pid, signal.SIGKILL)
    wait(lambda: studio.window.notices.notices != [], "The notice")
    studio.shoot("error")


@scene()
def problems(studio: Studio) -> None:
    """A library that can't be written, and a clip without words."""
    runner = studio.window.runner
    runner.pause(True)
    ids = studio.database.insert_jobs([Job({**CLIP, "prompt": PROMPTS[0], "seed": 5})])
    studio.database._connection.execute("PRAGMA query_only = 1")
    runner.pause(False)
    studio.window.compose.prompt.set_text("")
    studio.window.compose.generate()
    studio.shoot("problems")
    studio.database._connection.execute("PRAGMA query_only = 0")
    studio.database.remove_jobs(ids)
