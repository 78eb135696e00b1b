"""A clip made by the real window and worker without a person.

This is how a bundle is tested on the machine that it was built on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

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
    """Make one clip with all data in `folder`, and quit.

    Returns 0 if the clip is what was asked for, else 1.
    """
    os.environ["MLXVID_DATA"] = str(Path(folder) / "data")
    os.environ["MLXVID_CLIPS"] = str(Path(folder) / "clips")
    from mlxvid.gui.core.database import Database
    from mlxvid.gui.core.preferences import Preferences
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
        lambda number, path: _end(app, f"saved {path}", 0 if _is_good(path) else 1)
    )
    window.runner.ended.connect(lambda job: _end(app, job.message, 1))
    window.runner.halted.connect(lambda why: _end(app, why, 1))
    QTimer.singleShot(PATIENCE * 1000, lambda: _end(app, f"no clip came within {PATIENCE} s", 1))
    window.compose.apply_settings(SETTINGS)
    QTimer.singleShot(0, window.compose.generate)
    code = app.exec()
    window.quit_now()
    database.close()
    return code


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
