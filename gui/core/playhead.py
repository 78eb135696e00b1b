"""The playhead: which frame is shown when; playing, looping, stepping, speed and marks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer, Signal

SPEEDS = (0.25, 0.5, 1.0, 1.5, 2.0)
# How many times its rate the shuttle goes at most.
FASTEST = 8.0
# The most frames a second that are shown; a faster clip keeps its speed, and some are left out.
MOST_TICKS = 120
# Milliseconds between looks for a frame that isn't decoded yet.
WAIT = 15
# The place in a frame where it begins, going backwards.
_LATE = 1 - 1e-6


class Playhead(QObject):
    """A place among `count` frames, and its movement.

    Its place follows from the time since it was set moving, so that a late timer makes a frame late
    but never the clip slower. Frames are counted from 0; `first` and `last` are the marks, both
    included. The shuttle goes at a speed of its own, backwards too, until the clip stands.
    """

    moved = Signal(int)
    playing_changed = Signal(bool)
    marks_changed = Signal(int, int)
    speed_changed = Signal(float)
    loop_changed = Signal(bool)
    length_changed = Signal()

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, parent: QObject | None = None
    ):
        """`clock` gives seconds; another than the system's is for tests."""
        super().__init__(parent)
        self._clock = clock
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self.count = 0
        self.fps = 24.0
        self.available = 0
        self.index = 0
        self.first = 0
        self.last = 0
        self.speed = 1.0
        self._shuttle = 0.0  # times the clip's rate, below 0 backwards; 0 where it is not in use
        self.loop = True
        self.playing = False
        # The place, in frames, at a time of the clock.
        self._from = 0.0
        self._since = 0.0

    # --- what is played ---------------------------------------------------------------------------

    def set_length(self, count: int, fps: float, available: int | None = None) -> None:
        """Play `count` frames at `fps`, of which the first `available` are decoded.

        The place, the movement and the marks stay, as far as there are frames for them; marks at
        the ends stay at the ends.
        """
        at_end = self.last >= self.count - 1
        changed = (count, fps) != (self.count, self.fps)
        moving = self._place()
        self.count = count
        self.fps = fps
        self.available = count if available is None else available
        if not changed:
            return
        end = max(count - 1, 0)
        self._set_marks(min(self.first, end), end if at_end else min(self.last, end))
        self._anchor(moving)
        self.length_changed.emit()
        self._go(min(self.index, end))

    def rewind(self) -> None:
        """Clear the marks and the speed and go to the first frame, as for another clip."""
        self.set_speed(1.0)
        self._set_marks(0, max(self.count - 1, 0))
        self.seek(0)

    # --- moving -----------------------------------------------------------------------------------

    @property
    def pace(self) -> float:
        """How many times the clip's rate it goes; below 0 backwards."""
        return self._shuttle or self.speed

    def play(self) -> None:
        if self.playing or self.count < 1:
            return
        self._start_forward()

    def _start_forward(self) -> None:
        start = self.index if self.first <= self.index < self.last else self.first
        self._start(start, start)

    def _start(self, index: int, place: float) -> None:
        """Go to a frame, and on from a place in it."""
        self.playing = True
        self._anchor(place)
        self.playing_changed.emit(True)
        self._go(index)
        self._wait()

    def shuttle(self, direction: int) -> None:
        """Go forward (1) or backward (-1); twice as fast each time that it goes so already."""
        if self.count < 1:
            return
        going = self.playing and self._shuttle * direction > 0
        self._set_shuttle(direction * min(abs(self._shuttle) * 2, FASTEST) if going else direction)
        if self.playing:
            self._wait()
        elif direction > 0:
            self._start_forward()
        else:
            start = self.index if self.first < self.index <= self.last else self.last
            self._start(start, start + _LATE)

    def _set_shuttle(self, shuttle: float) -> None:
        before = self.pace
        self._anchor(self._place())
        self._shuttle = shuttle
        if self.pace != before:
            self.speed_changed.emit(self.pace)

    def pause(self) -> None:
        if self.playing:
            self._set_shuttle(0.0)
            self.playing = False
            self._timer.stop()
            self.playing_changed.emit(False)

    def toggle(self) -> None:
        (self.pause if self.playing else self.play)()

    def seek(self, index: int) -> None:
        """Go to a frame, and on from there if playing."""
        index = max(0, min(index, self.count - 1))
        self._anchor(index + _LATE if self.pace < 0 else index)
        self._go(index)
        if self.playing:
            self._wait()

    def step(self, frames: int) -> None:
        """Pause, and go `frames` on or back; between the marks it loops."""
        self.pause()
        index = self.index + frames
        if self.first <= self.index <= self.last and self.loop:
            index = self.first + (index - self.first) % (self.last - self.first + 1)
        self.seek(index)

    def set_speed(self, speed: float) -> None:
        """Go at this speed, in place of the shuttle's too."""
        before = self.pace
        self._anchor(self._place())
        self._shuttle = 0.0
        self.speed = speed
        if self.pace != before:
            self.speed_changed.emit(speed)
        if self.playing:
            self._wait()

    def faster(self) -> None:
        self.set_speed(min((speed for speed in SPEEDS if speed > self.speed), default=SPEEDS[-1]))

    def slower(self) -> None:
        self.set_speed(max((speed for speed in SPEEDS if speed < self.speed), default=SPEEDS[0]))

    def set_loop(self, loop: bool) -> None:
        if loop != self.loop:
            self.loop = loop
            self.loop_changed.emit(loop)

    # --- the marks --------------------------------------------------------------------------------

    @property
    def trimmed(self) -> bool:
        """Whether the marks leave anything out."""
        return self.count > 0 and (self.first, self.last) != (0, self.count - 1)

    def mark_in(self, index: int | None = None) -> None:
        """Set the in mark, at the current frame for None; an out mark before it goes to the end."""
        index = self.index if index is None else max(0, min(index, self.count - 1))
        self._set_marks(index, self.last if self.last >= index else self.count - 1)

    def mark_out(self, index: int | None = None) -> None:
        """Set the out mark, at the current frame for None; an in mark after it goes to frame 0."""
        index = self.index if index is None else max(0, min(index, self.count - 1))
        self._set_marks(self.first if self.first <= index else 0, index)

    def clear_marks(self) -> None:
        self._set_marks(0, max(self.count - 1, 0))

    def _set_marks(self, first: int, last: int) -> None:
        if (first, last) != (self.first, self.last):
            self.first = first
            self.last = last
            self.marks_changed.emit(first, last)

    # --- time -------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Go to the place at this time; for the timer, and for tests."""
        place = self._place()
        backward = self.pace < 0
        if place < self.first if backward else place >= self.last + 1:
            if not self.loop:
                self._go(self.first if backward else self.last)
                self.pause()
                return
            place = self.first + (place - self.first) % (self.last - self.first + 1)
            self._anchor(place)
        if int(place) >= self.available:  # wait at the last frame that is decoded
            place = max(self.available - 1, 0)
            self._anchor(place)
        self._go(int(place))
        self._wait()

    def _anchor(self, place: float) -> None:
        """Move on from a place, in frames, at this time."""
        self._from = float(place)
        self._since = self._clock()

    def _place(self) -> float:
        """The place at this time, in frames."""
        if not self.playing:
            return float(self.index)
        return self._from + (self._clock() - self._since) * self.fps * self.pace

    def _wait(self) -> None:
        """Wake up when the next frame is due."""
        place = self._place()
        rate = self.fps * abs(self.pace)
        passed = place - math.floor(place)
        due = (passed if self.pace < 0 else 1 - passed) / rate
        if self.index + 1 >= self.available and self.available < self.count:
            due = WAIT / 1000
        self._timer.start(math.ceil(1000 * max(due, 1 / MOST_TICKS)))

    def _go(self, index: int) -> None:
        if index != self.index:
            self.index = index
            self.moved.emit(index)
