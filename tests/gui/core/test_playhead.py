"""The playhead follows the clock, not the timer: its places are tried against a clock that the test
moves.
"""

from __future__ import annotations

import numpy as np
import pytest

from mlxvid.gui.core.playhead import Playhead


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def head(qapp, clock):
    head = Playhead(clock)
    head.set_length(1000, 24.0)
    return head


def pass_time(head, clock, seconds: float, irregular: bool = True) -> None:
    """Time goes by, with timers that fire when they like: early, late, or after a long stall."""
    rng = np.random.default_rng(3)
    parts = rng.exponential(0.03, 2000) if irregular else np.full(2000, 0.01)
    end = clock.now + seconds
    for part in parts:
        if clock.now + part >= end:
            break
        clock.now += part
        head.tick()
    clock.now = end
    head.tick()


@pytest.mark.parametrize("speed", [0.25, 0.5, 1, 1.5, 2])
def test_plays_at_its_rate_however_late_the_timer_is(head, clock, speed):
    head.set_speed(speed)
    head.play()
    pass_time(head, clock, 10.02)
    assert head.index == int(10.02 * 24 * speed)


def test_changing_speed_goes_on_from_where_it_is(head, clock):
    head.play()
    pass_time(head, clock, 2.0)
    head.set_speed(2.0)
    assert head.index == 48
    pass_time(head, clock, 1.0)
    assert head.index == 96
    for speed in (1.5, 1.0, 0.5, 0.25, 0.25):
        head.slower()
        assert head.speed == speed
    head.faster()
    assert head.speed == 0.5


def test_loops_between_the_marks_without_drifting(head, clock):
    head.mark_in(100)
    head.mark_out(147)  # 48 frames: 2 s
    assert head.trimmed
    head.play()
    assert head.index == 100
    pass_time(head, clock, 2 * 7 + 0.51)
    assert head.index == 100 + 12


def test_without_loop_it_stops_at_the_end(head, clock):
    seen = []
    head.playing_changed.connect(seen.append)
    head.set_loop(False)
    head.seek(990)
    head.play()
    pass_time(head, clock, 5)
    assert head.index == 999 and seen == [True, False]
    head.play()  # from the start again
    assert head.index == 0


def test_waits_for_what_is_not_decoded_and_goes_on_without_a_jump(head, clock):
    head.set_length(1000, 24.0, 10)
    head.play()
    pass_time(head, clock, 3)
    assert head.index == 9
    head.set_length(1000, 24.0, 500)
    pass_time(head, clock, 1)
    assert head.index == 9 + 24


def test_steps_pause_and_go_round(head):
    head.play()
    head.step(1)
    assert head.index == 1 and not head.playing
    head.step(-2)
    assert head.index == 999
    head.set_loop(False)
    head.step(1)
    assert head.index == 999
    head.set_loop(True)
    head.mark_in(10)
    head.mark_out(12)
    head.seek(12)
    head.step(1)
    assert head.index == 10


def test_marks_never_cross(head):
    head.mark_out(50)
    head.mark_in(80)
    assert (head.first, head.last) == (80, 999)
    head.mark_out(40)
    assert (head.first, head.last) == (0, 40)
    head.clear_marks()
    assert not head.trimmed


def test_a_new_length_keeps_place_and_marks(head, clock):
    head.mark_in(10)
    head.seek(20)
    head.play()
    pass_time(head, clock, 0.5)
    assert head.index == 32
    head.set_length(1200, 24.0)
    assert (head.index, head.first, head.last) == (32, 10, 1199) and head.playing
    pass_time(head, clock, 0.5)
    assert head.index == 44
    head.set_length(30, 24.0)
    assert (head.index, head.first, head.last) == (29, 10, 29)
    head.set_length(0, 24.0)
    assert head.index == 0 and not head.trimmed
    head.rewind()
    head.pause()
    head.play()  # nothing to play
    assert not head.playing


def test_the_same_length_again_does_not_touch_the_clock(head, clock):
    """As with every preview of the clip that is forming."""
    head.play()
    for _ in range(100):
        clock.now += 0.021
        head.tick()
        head.set_length(1000, 24.0, 1000)
    assert head.index == int(100 * 0.021 * 24)


def test_a_real_timer_moves_it(head, qtbot):
    real = Playhead()
    real.set_length(5, 100.0)
    with qtbot.waitSignals([real.moved] * 6, timeout=5000):
        real.play()
    real.pause()


def test_the_shuttle_goes_twice_as_fast_each_time_and_backwards(head, clock):
    head.shuttle(1)
    pass_time(head, clock, 2.01)
    assert head.index == 48
    for pace in (2, 4, 8, 8):
        head.shuttle(1)
        assert head.pace == pace
    pass_time(head, clock, 1)
    assert head.index == int(48.24 + 8 * 24)
    head.shuttle(-1)
    assert head.pace == -1
    pass_time(head, clock, 1)
    assert head.index == int(48.24 + 7 * 24)
    head.pause()
    head.shuttle(-1)  # its frame stands as long as every other
    pass_time(head, clock, 0.99 / 24)
    assert head.index == int(48.24 + 7 * 24)
    head.set_speed(2)
    assert head.playing and head.pace == 2
    head.pause()
    assert head.speed == 2


def test_backwards_it_loops_between_the_marks_or_stops_at_the_first(head, clock):
    head.mark_in(100)
    head.mark_out(147)
    head.seek(110)
    head.shuttle(-1)
    pass_time(head, clock, 0.51 + 2 * 3)
    assert head.index == 146
    head.set_loop(False)
    pass_time(head, clock, 5)
    assert head.index == 100 and not head.playing and head.pace == 1
    head.shuttle(-1)  # from the end again
    assert head.index == 147
