"""Ways to a first clip, and models that are not here yet."""

from __future__ import annotations

import sys

from mlxvid.catalog import CATALOG
from mlxvid.gui.core import downloads

from .studio import Studio, scene, wait

# A download that is under way for ever.
_SLOW = """
import json, time
event = {"event": "progress", "stage": "download", "step": 9300, "total": 28900, "remaining": 720.0}
print(json.dumps(event), flush=True)
time.sleep(600)
"""


@scene(empty=True)
def downloading(studio: Studio) -> None:
    """Clips that wait for their model, and the same download on the welcome page."""
    kept = downloads.tool_command
    downloads.tool_command = lambda module: [sys.executable, "-S", "-c", _SLOW]
    window = studio.window
    wait(lambda: window.welcome.rows != [], "The offers")
    name = next(row.name for row in window.welcome.rows if row.button.text() == "Download")
    window.compose.apply_settings({"model": name, "prompt": "a lighthouse in a storm at night"})
    window.compose.generate()
    window.compose.generate()
    wait(lambda: bool(window.model_jobs.job(name).progress), "The download")
    studio.shoot("downloading")
    downloads.tool_command = kept
    window.model_jobs.shutdown()
    studio.database.remove_jobs([job.number for job in studio.database.jobs()])


@scene(empty=True)
def refused_download(studio: Studio) -> None:
    """A model that is got in the Models window, and a prompt that another does not know."""
    window = studio.window
    window.runner.pause(True)
    studio.compose("a dragon over the sea")
    window.compose.generate()
    in_files = next(card.name for card in CATALOG.values() if card.is_in_files)
    window.compose.picker.set_name(in_files)
    wait(lambda: not window.compose.button.isEnabled(), "The refusal")
    studio.shoot("refused-download")
    studio.database.remove_jobs([job.number for job in studio.database.jobs()])


@scene()
def downloading_beside(studio: Studio) -> None:
    """A download that no clip waits for, under a clip that is watched."""
    kept = downloads.tool_command
    downloads.tool_command = lambda module: [sys.executable, "-S", "-c", _SLOW]
    window = studio.window
    name = next(card.name for card in CATALOG.values() if not card.is_in_files and card.places)
    window.model_jobs.download(name)
    wait(lambda: bool(window.model_jobs.job(name).progress), "The download")
    studio.shoot("downloading-beside")
    downloads.tool_command = kept
    window.model_jobs.stop(name)
    wait(lambda: not window.model_jobs.busy, "The end of the download")
