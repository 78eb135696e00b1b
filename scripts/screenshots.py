#!/usr/bin/env python3
"""Pictures of the app at work, in two sizes and both appearances.

They are of the real window, worker and model, and need no screen.

examples:
  scripts/screenshots                         all of them into docs/
  scripts/screenshots shots --only compare    one scene, into another folder
  scripts/screenshots --library DIR           clips and settings are kept there, for the next run
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
SCREEN = {
    "name": "screen",
    "x": 0,
    "y": 0,
    "width": 1920,
    "height": 1200,
    "logicalDpi": 96,
    "logicalBaseDpi": 96,
    "dpr": 1,
}
_CONFIG = Path(tempfile.gettempdir()) / f"mlxvid-screen-{os.getpid()}.json"
_CONFIG.write_text(json.dumps({"screens": [SCREEN]}))
os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={_CONFIG}"

from PySide6.QtCore import QEventLoop, QPoint, QTimer  # noqa: E402
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPainter, QPixmap  # noqa: E402
from PySide6.QtWidgets import QApplication, QDialog  # noqa: E402

from mlxvid.catalog import CATALOG  # noqa: E402
from mlxvid.cli.parser import Parser, run  # noqa: E402
from mlxvid.errors import MlxvidError  # noqa: E402
from mlxvid.gui.app import follow_appearance, make_application  # noqa: E402
from mlxvid.gui.core.database import Database  # noqa: E402
from mlxvid.gui.core.jobs import Job  # noqa: E402
from mlxvid.gui.core.preferences import Appearance, Preferences  # noqa: E402
from mlxvid.gui.core.worker_client import WorkerClient  # noqa: E402
from mlxvid.gui.window import Window  # noqa: E402

SIZES = {"1440x900": (1440, 900), "1100x700": (1100, 700)}
APPEARANCES = (Appearance.DARK, Appearance.LIGHT)
# The embedded model's usual clips: a few seconds each.
CLIP = {
    "model": "mini",
    "width": 96,
    "height": 96,
    "frames": 33,
    "fps": 16.0,
    "steps": 20,
    "guidance": 3.0,
}
PROMPTS = (
    "a red ball bouncing on a navy background",
    "a small green star spinning",
    "a blue ring rising",
    "a yellow square moving left",
    "a cyan ball moving right on a black background",
    "a purple star rising",
    "an orange ring orbiting on a white background",
    "a red square growing",
    "a green ball falling",
    "a blue star shrinking on a beige background",
    "a pink ring moving left",
    "a large yellow ball bouncing",
)
PATIENCE = 300  # seconds that a scene may take to come about
FONTS = ("Inter", "Noto Sans", "Cantarell")


class NeverCame(MlxvidError):
    """The app did not do what the scene waits for."""


def wait(until: Callable[[], bool], what: str) -> None:
    """Let the app run until something is so."""
    loop = QEventLoop()
    looks = QTimer()
    end = QTimer(singleShot=True)

    def look() -> None:
        if until():
            loop.quit()

    looks.timeout.connect(look)
    end.timeout.connect(loop.quit)
    looks.start(20)
    end.start(PATIENCE * 1000)
    loop.exec()
    if not until():
        raise NeverCame(f"{what} did not come within {PATIENCE} s.")


def rest(milliseconds: int = 700) -> None:
    """Let the app come to rest: decode what is shown, lay out, paint."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


class Studio:
    """The window, and what takes its pictures."""

    def __init__(self, out: Path, preferences: Preferences):
        self.out = out
        self.preferences = preferences
        self.database = Database()
        self.window = Window(self.database, preferences, WorkerClient())
        self.window.show()

    def shoot(self, name: str, dialog: QDialog | None = None) -> None:
        """One scene in every size and appearance, a dialog over the middle of the window."""
        for appearance in APPEARANCES:
            self.preferences.appearance = appearance
            for label, size in SIZES.items():
                self.window.resize(*size)
                rest()
                picture = self.window.grab()
                if dialog is not None:
                    over(picture, dialog.grab())
                file = self.out / f"app-{name}-{label}-{appearance.value}.png"
                picture.save(str(file))
                print(file, flush=True)

    def compose(self, prompt: str, seed: int = 7, **settings: object) -> None:
        self.window.compose.apply_settings({**CLIP, "prompt": prompt, "seed": seed, **settings})

    def close(self) -> None:
        self.window.runner.cancel()
        self.window.quit_now()
        self.database.close()

    # --- the scenes, in the order in which one meets them -----------------------------------------

    def first_start(self) -> None:
        wait(lambda: self.window.client.alive, "The worker")
        self.shoot("first-start")

    def fill(self) -> None:
        """Make the clips that are missing, those among them that a run left in the queue."""
        self.database.remove_jobs([job.id for job in self.database.jobs()])
        made = {clip.prompt for clip in self.database.clips()}
        missing = [prompt for prompt in PROMPTS if prompt not in made]
        jobs = []
        for prompt in missing:
            jobs.append(Job({**CLIP, "prompt": prompt, "seed": 7 + 4 * PROMPTS.index(prompt)}))
        self.database.insert_jobs(jobs)
        self.window.runner.pause(False)
        for left in reversed(range(len(missing))):
            wait(partial(self._has_at_most, left), "A clip")
        for clip in self.database.clips()[2::5]:
            if not clip.favourite:
                self.database.set_favourites([clip.id], True)

    def _has_at_most(self, jobs: int) -> bool:
        """Whether no more jobs than that are left."""
        return len(self.database.jobs()) <= jobs

    def gallery(self) -> None:
        clips = self.database.clips()
        self.compose(clips[0].prompt)
        self.window.gallery.open_clip.emit(clips[0].id)
        self.window.show_side(self.window.gallery)
        wait(lambda: len(self.window.stage.player.reel.frames) == CLIP["frames"], "The clip")
        self.window.stage.player.playhead.pause()
        rest(1500)
        self.shoot("gallery")

    def compare(self) -> None:
        self.window.gallery.compare.emit([clip.id for clip in self.database.clips()[:2]])
        rest(1000)
        self.shoot("compare")
        self.window.leave_compare()

    def models(self) -> None:
        self.window.tools.show_models()
        panel = self.window.tools.models
        wait(lambda: panel.chosen() is not None, "The models")
        panel.select(next(card.name for card in CATALOG.values() if card.places))
        dialog = panel.window()
        self.shoot("models", dialog)
        dialog.close()

    def generating(self) -> None:
        previews: list[object] = []
        self.window.runner.previewed.connect(lambda frames, fps: previews.append(frames))
        self.compose("a red ball bouncing on a navy background", seed=11, steps=200)
        self.window.compose.generate()
        jobs = [Job({**CLIP, "prompt": prompt, "seed": 3}) for prompt in PROMPTS[1:3]]
        self.database.insert_jobs(jobs)
        self.window.show_side(self.window.queue)
        wait(lambda: len(previews) >= 8, "A preview")
        self.shoot("generating")

    def error(self) -> None:
        """A worker that was killed."""
        if self.window.runner.current is None:
            self.generating()
        self.window.runner.pause(True)
        os.kill(self.window.client.pid, signal.SIGKILL)
        wait(lambda: self.window.notices.notices != [], "The notice")
        self.shoot("error")

    def problems(self) -> None:
        """A library that can't be written, and a clip without words."""
        runner = self.window.runner
        runner.cancel()
        wait(lambda: runner.current is None, "The end of the clip")
        runner.pause(True)
        ids = self.database.insert_jobs([Job({**CLIP, "prompt": PROMPTS[0], "seed": 5})])
        self.database._connection.execute("PRAGMA query_only = 1")
        runner.pause(False)
        self.window.compose.prompt.set_text("")
        self.window.compose.generate()
        self.shoot("problems")
        self.database._connection.execute("PRAGMA query_only = 0")
        self.database.remove_jobs(ids)
        self.window.notices.clear()


def over(picture: QPixmap, dialog: QPixmap) -> None:
    """Put a dialog with a thin edge and a shadow in the middle of the window's picture."""
    left = (picture.width() - dialog.width()) // 2
    top = (picture.height() - dialog.height()) // 2
    place = QPoint(left, top)
    painter = QPainter(picture)
    painter.fillRect(picture.rect(), QColor(0, 0, 0, 70))
    for spread in range(18, 0, -2):
        painter.fillRect(
            dialog.rect().translated(place).adjusted(-spread, -spread + 6, spread, spread + 6),
            QColor(0, 0, 0, 12),
        )
    painter.drawPixmap(place, dialog)
    painter.setPen(QColor(128, 128, 128, 110))
    painter.drawRect(dialog.rect().translated(place).adjusted(-1, -1, 0, 0))
    painter.end()


def parser() -> Parser:
    """The command's flags."""
    p = Parser(prog="scripts/screenshots", description=__doc__)
    p.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=ROOT / "docs",
        metavar="FOLDER",
        help="where the pictures go (default: docs/)",
    )
    p.add_argument("--only", choices=SCENES, action="append", help="this scene; may be given again")
    p.add_argument(
        "--library",
        type=Path,
        metavar="DIR",
        help="the app's data, kept for the next run (default: a folder that is deleted)",
    )
    return p


SCENES = ("first_start", "gallery", "compare", "models", "generating", "error", "problems")


@run
def main(argv: Sequence[str] | None = None) -> int:
    """Take the pictures; returns the exit code."""
    args = parser().parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    app = make_application(["mlxvid"])
    known = QFontDatabase.families()
    fonts = [name for name in FONTS if name in known]
    app.setFont(QFont(fonts[0] if fonts else app.font().family(), 10))
    with tempfile.TemporaryDirectory() as temporary:
        library = args.library or Path(temporary)
        wanted = args.only or SCENES
        if "first_start" in wanted:  # the only one in an empty library
            take(app, args.folder, library / "empty", ["first_start"])
        others = [name for name in SCENES if name in wanted and name != "first_start"]
        if others:
            take(app, args.folder, library / "data", ["fill", *others])
    _CONFIG.unlink()
    return 0


def take(app: QApplication, out: Path, data: Path, scenes: Sequence[str]) -> None:
    """Open the window on the library in `data`, and shoot these scenes."""
    os.environ["MLXVID_DATA"] = str(data)
    os.environ["MLXVID_CLIPS"] = str(data / "clips")
    preferences = Preferences()
    follow_appearance(app, preferences)
    studio = Studio(out, preferences)
    try:
        for scene in scenes:
            getattr(studio, scene)()
    finally:
        studio.close()


if __name__ == "__main__":
    sys.exit(main(None))
