"""How long the app's window stands still at most.

Clips are opened, played and dragged through, while the window's worker makes another; then a film
is exported.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QElapsedTimer, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.app import make_application
from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import Recipe
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.player.player import Player
from mlxvid.gui.player.stage import Stage
from mlxvid.gui.widgets.theme import apply_theme
from mlxvid.gui.window import Window
from mlxvid.media.clip import Clip

TICK = 10  # ms between two looks at the clock
CLIPS = {"96x96, 33 frames": (96, 96, 33), "832x480, 81 frames": (832, 480, 81)}
FILM = (3840, 2160, 24)
FORMS = ("h264", "gif", "png")
WINDOW = (1440, 900)
PATIENCE = 120  # seconds for the worker's first steps


@dataclass(frozen=True)
class Stalls:
    """Milliseconds between two ticks, less the ticks' own interval.

    `late` is the share of them over 16 ms; `work` the most that the window's thread itself computed
    between two ticks: what is left of `longest` on a machine with nothing else to do.
    """

    longest: float
    typical: float
    late: float
    work: float

    def __str__(self) -> str:
        longest = f"longest stall {self.longest:.0f} ms ({self.work:.0f} ms of own work)"
        return f"{longest}, typical {self.typical:.1f} ms, {self.late:.1%} over 16 ms"


def measure(seconds: float, busy: Callable[[], None] | None = None, every: int = 30) -> Stalls:
    """Run the event loop for some seconds and measure how long it stood still.

    `busy`, if given, is called once in `every` milliseconds.
    """
    clock = QElapsedTimer()
    loop = QEventLoop()
    ticker = QTimer()
    worker = QTimer()
    gaps: list[float] = []
    work = [time.thread_time()]

    def tick() -> None:
        gaps.append(max(clock.nsecsElapsed() / 1e6 - TICK, 0))
        work.append(time.thread_time())
        clock.restart()

    ticker.setTimerType(Qt.TimerType.PreciseTimer)
    ticker.timeout.connect(tick)
    if busy is not None:
        worker.timeout.connect(busy)
        worker.start(every)
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    clock.start()
    ticker.start(TICK)
    loop.exec()
    late = float(np.mean([gap > 16 for gap in gaps]))
    return Stalls(max(gaps), float(np.median(gaps)), late, float(np.diff(work).max() * 1000))


def open_play_and_scrub(stage: Stage, path: Path, seconds: float) -> Stalls:
    """Open a clip; play it, drag through it and press keys for a third of the time each."""
    turn = iter(_turns(stage.player, round(seconds * 1000 / 30)))
    stage.open(path)
    return measure(seconds, lambda: next(turn, None))


def export(window: Window, film: Path, form: str, seconds: float) -> Stalls:
    """Export the film in a format, for as long as is measured."""
    width, height, frames = FILM
    recipe = Recipe(form)
    target = film.with_name(f"export{recipe.format.suffix}")
    window.exports.start([Copy(Source(film, frames, 24, width, height), target)], recipe)
    stalls = measure(seconds)
    window.exports.job.cancel()
    while window.exports.job.running:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    return stalls


def _turns(player: Player, count: int) -> Iterator[None]:
    strip = player.filmstrip
    for index in range(count):
        if index == count // 3:
            _mouse(strip, QMouseEvent.Type.MouseButtonPress, 0)
        elif count // 3 < index < 2 * count // 3:
            _mouse(strip, QMouseEvent.Type.MouseMove, abs(np.sin(index / 9)))
        elif index == 2 * count // 3:
            _mouse(strip, QMouseEvent.Type.MouseButtonRelease, 0.5)
        elif index > 2 * count // 3:
            player.playhead.step(1)
        yield


def _mouse(widget: QWidget, kind: QMouseEvent.Type, share: float) -> None:
    place = QPointF(share * (widget.width() - 1), widget.height() / 2)
    left = Qt.MouseButton.LeftButton
    event = QMouseEvent(
        kind,
        place,
        QPointF(widget.mapToGlobal(QPoint())) + place,
        left,
        left,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


@contextmanager
def open_window(folder: Path) -> Iterator[Window]:
    """The app's own window, its data and clips in `folder`."""
    os.environ |= {"MLXVID_DATA": str(folder / "data"), "MLXVID_CLIPS": str(folder / "clips")}
    database = Database()
    window = Window(database, Preferences(), WorkerClient())
    window.resize(*WINDOW)
    window.show()
    try:
        yield window
    finally:
        window.quit_now()
        database.close()


def begin_clip(window: Window) -> None:
    """Have the worker make a clip that takes longer than any measurement.

    Returns when its first steps are done.
    """
    loop = QEventLoop()

    def look(job: object, event: dict[str, Any]) -> None:
        if event["stage"] == "denoise" and event["step"] > 1:
            loop.quit()

    window.runner.progressed.connect(look)
    window.compose.apply_settings(
        {"model": "mini", "prompt": "a red ball bouncing", "steps": 1000, "force": True}
    )
    window.compose.generate()
    QTimer.singleShot(PATIENCE * 1000, loop.quit)
    loop.exec()
    if window.runner.current is None:
        raise MlxvidError("The worker made nothing: look in the log of python -m mlxvid.gui.")


def sample(folder: Path, width: int, height: int, frames: int) -> Path:
    """A clip with something to decode: a coloured texture that drifts."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    coarse = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    moving = np.stack([np.roll(coarse, 3 * index, axis=1) for index in range(frames)])
    return Clip(moving, 24, {"prompt": "a drifting texture"}).save(folder / f"{width}x{height}.mp4")


def bench(clips: Sequence[Path], seconds: float, idle: bool, display: bool) -> None:
    """Print one line for each clip, and one for an export; without clips, two are made for it.

    seconds: for each clip; idle: while no clip is being made; display: in a window that shows.
    """
    if not display:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    app = make_application([])
    apply_theme(app, dark=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        played = {str(path): path for path in clips}
        if not played:
            played = {what: sample(folder, *size) for what, size in CLIPS.items()}
        with open_window(folder) as window:
            if not idle:
                begin_clip(window)
            print(f"{'as it is':>20}: {measure(1)}")
            for what, path in played.items():
                print(f"{what:>20}: {open_play_and_scrub(window.stage, path, seconds)}")
            film = sample(folder, *FILM)
            for form in FORMS:
                print(f"{f'4K as {form}':>20}: {export(window, film, form, seconds)}")
