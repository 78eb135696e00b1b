"""The window that scenes are played in, and what takes its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEventLoop, QPoint, QTimer
from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtWidgets import QApplication, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.window import Window

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


class NeverCame(MlxvidError):
    """The app did not do what the scene waits for."""


@dataclass(frozen=True)
class Look:
    """What a scene is shot in: sizes in pixels by name, appearances, and the text's enlargement."""

    sizes: dict[str, tuple[int, int]]
    appearances: tuple[Appearance, ...]
    text: float = 1.0


@dataclass(frozen=True)
class Scene:
    """Something to shoot. empty: in a library without clips."""

    play: Callable[[Studio], None]
    empty: bool = False


SCENES: dict[str, Scene] = {}


def scene(empty: bool = False) -> Callable[[Callable[[Studio], None]], Scene]:
    """Make a scene of a function, under its name."""

    def made(play: Callable[[Studio], None]) -> Scene:
        found = Scene(play, empty)
        SCENES[play.__name__] = found
        return found

    return made


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
    """The window on a library, with its worker."""

    def __init__(self, out: Path, preferences: Preferences, look: Look):
        self.out = out
        self.preferences = preferences
        self.look = look
        self.database = Database()
        self.window = Window(self.database, preferences, WorkerClient())
        self.window.show()

    def shoot(self, name: str, dialog: QWidget | None = None) -> None:
        """One scene in every size and appearance, a dialog over the middle of the window."""
        text = "" if self.look.text == 1 else f"-text{self.look.text:g}"
        for appearance in self.look.appearances:
            self.preferences.appearance = appearance
            for label, size in self.look.sizes.items():
                self.window.resize(*size)
                rest()
                QApplication.processEvents()  # what came last is laid out
                picture = self.window.grab()
                if dialog is not None:
                    over(picture, dialog.grab())
                file = self.out / f"app-{name}-{label}-{appearance.value}{text}.png"
                picture.save(str(file))
                print(file, flush=True)

    def compose(self, prompt: str, seed: int = 7, **settings: object) -> None:
        self.window.compose.apply_settings({**CLIP, "prompt": prompt, "seed": seed, **settings})

    def close(self) -> None:
        self.window.runner.cancel()
        self.window.quit_now()
        self.database.close()

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

    def clips(self) -> list[ClipRow]:
        """The usual clips, the newest first: not the short ones of other scenes."""
        return [row for row in self.database.clips() if row.frames == CLIP["frames"]]

    def _has_at_most(self, jobs: int) -> bool:
        """Whether no more jobs than that are left."""
        return len(self.database.jobs()) <= jobs


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
