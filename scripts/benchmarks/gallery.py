"""How long the gallery of a large library holds up the window."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication

from mlxvid.gui.app import make_application
from mlxvid.gui.core.clips_table import FoundClip
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.gallery.arrangement import Order
from mlxvid.gui.gallery.panel import GalleryPanel
from mlxvid.gui.widgets.theme import apply_theme

ROUNDS = 9
ORDERS = list(Order)
WORDS = ("ball", "star", "ring", "cube")


def fill(database: Database, count: int, folder: Path) -> None:
    """Put clips without files into a library."""
    clips = []
    for number in range(count):
        prompt = (
            f"a {WORDS[number % len(WORDS)]} number {number}, in the light of an autumn evening"
        )
        settings = {"prompt": prompt, "model": "mini", "seed": number, "steps": 20, "fps": 16.0}
        size = (832, 480)
        clips.append(FoundClip(folder / f"{number}.mp4", number, settings, 16.0, 81, size))
    database.add_found(clips)


def longest(app: QApplication, act: Callable[[int], object]) -> float:
    """The most milliseconds of the window's thread for an action and what Qt does after it."""
    times = []
    for number in range(ROUNDS):
        start = time.thread_time()
        act(number)
        app.processEvents()
        times.append(1000 * (time.thread_time() - start))
    return max(times)


def bench(count: int) -> None:
    """Print the milliseconds of what people do with a gallery of `count` clips."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    app = make_application([])
    apply_theme(app, dark=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Database(folder / "library.sqlite")
        fill(database, count, folder)
        panel = GalleryPanel(database, Preferences(folder / "settings.ini"), folder)
        panel.resize(300, 800)
        panel.show()
        app.processEvents()
        ids = [row.id for row in database.clips()]

        def new(number: int) -> None:
            database.add_clip(folder / f"new-{number}.mp4", {"prompt": "new"}, 16.0, 9, 64, 64)

        acts: dict[str, Callable[[int], object]] = {
            "a new clip": new,
            "a star": lambda number: database.set_favourites([ids[number]], True),
            "one is removed": lambda number: database.remove_clips([ids[100 + number]]),
            "another order": lambda n: panel.model.arrange(order=ORDERS[n % len(ORDERS)]),
            "a search": lambda n: panel.model.set_search(WORDS[n % 4] if n % 2 else ""),
        }
        for what, act in acts.items():
            print(f"{what:>20}: {longest(app, act):.1f} ms")
        panel.close()
        database.close()
