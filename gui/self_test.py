"""A clip made and exported by the real window and its processes, without a person.

This is how a bundle is tested on the machine that it was built on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.export import Outcome
from mlxvid.media.clip import Clip

SETTINGS = {
    "model": "mini",
    "prompt": "a red ball bouncing on a navy background",
    "seed": 1,
    "width": 64,
    "height": 64,
    "frames": 9,
    "fps": 16.0,
    "steps": 4,
    "guidance": 2.0,
}
PATIENCE = 180  # seconds


def main(folder: str) -> int:
    """Make one clip with all data in `folder`, export it, and quit.

    Returns 0 if clip and copy are what was asked for, else 1.
    """
    os.environ["MLXVID_DATA"] = str(Path(folder) / "data")
    os.environ["MLXVID_CLIPS"] = str(Path(folder) / "clips")
    from mlxvid.gui.core.database import Database
    from mlxvid.gui.core.preferences import Preferences
    from mlxvid.gui.core.recipes import Recipe
    from mlxvid.gui.core.worker_client import WorkerClient

    from .app import follow_appearance, make_application
    from .window import Window

    app = make_application(["mlxvid"])
    preferences = Preferences()
    follow_appearance(app, preferences)
    database = Database()
    window = Window(database, preferences, WorkerClient())
    window.show()
    window.runner.saved.connect(
        lambda number, path: window.exports.start([_copy(path, Path(folder))], Recipe())
    )
    window.exports.job.ended.connect(lambda copies, outcome: _end_well(app, copies[0], outcome))
    window.exports.warning.connect(lambda why: _end(app, why, 1))
    window.runner.ended.connect(lambda job: _end(app, job.message, 1))
    window.runner.halted.connect(lambda why: _end(app, why, 1))
    QTimer.singleShot(PATIENCE * 1000, lambda: _end(app, f"no clip came within {PATIENCE} s", 1))
    window.compose.apply_settings(SETTINGS)
    QTimer.singleShot(0, window.compose.generate)
    code = app.exec()
    window.quit_now()
    database.close()
    return code


def _copy(path: Path, folder: Path) -> Copy:
    """What is exported: the whole clip."""
    return Copy(Source(path, 9, 16.0, 64, 64), folder / "copy.mp4")


def _end_well(app: QApplication, copy: Copy, outcome: Outcome) -> None:
    """End, well if the clip and its copy are what they must be; a failed export has said so."""
    if not outcome.saved:
        return
    good = _is_good(copy.source.path) and _is_good(copy.target)
    _end(app, f"saved {copy.source.path}", 0 if good else 1)


def _is_good(path: Path) -> bool:
    clip = Clip.load(path)
    return (
        clip.frames.shape == (9, 64, 64, 3)
        and clip.settings["prompt"] == SETTINGS["prompt"]
        and clip.frames.std() > 1
    )


def _end(app: QApplication, words: str, code: int) -> None:
    print(words, file=sys.stdout if code == 0 else sys.stderr, flush=True)
    app.exit(code)
