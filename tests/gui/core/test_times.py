"""Times in words, and where they come from."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QDateTime, QLocale

from mlxvid.gui.core.progress_text import duration
from mlxvid.gui.core.times import Expected, end_in, expected


def test_a_guess_is_round_and_says_so():
    assert str(Expected(8.4, guessed=True)) == "about 8 s, a guess"
    assert str(Expected(3288.0, guessed=True)) == "about 55 min, a guess"
    assert str(Expected(20530.0, guessed=True)) == "about 5 h 40 min, a guess"
    assert str(Expected(210000.0, guessed=True)) == "about 2 days 12 h, a guess"
    assert str(Expected(3288.0)) == "about 54 min"


def test_one_guess_makes_the_sum_a_guess():
    assert (Expected(1.0) + Expected(2.0, guessed=True)) == Expected(3.0, guessed=True)


def test_a_model_that_ran_here_is_timed_by_its_runs(database, machine):
    settings = {"model": "mini", "steps": 20}
    guess = expected(settings, database, machine)
    assert guess is not None and guess.guessed
    database.add_timing("mini", 324, 40.0, 8.0)
    assert expected(settings, database, machine) == Expected(pytest.approx(8.0))


def test_a_small_clip_says_nothing_of_a_large_one(database, machine):
    large = {"model": "mini", "width": 512, "height": 512, "frames": 121, "steps": 50}
    guess = expected(large, database, machine)
    database.add_timing("mini", 48, 1.0, 0.9)  # half a second of it is loading
    assert expected(large, database, machine) == guess
    database.add_timing("mini", 31744, 50.0, 2000.0)
    assert expected(large, database, machine) == Expected(pytest.approx(4000.0))


def test_a_model_that_is_not_here_has_no_time(database, machine):
    assert expected({"model": "/nowhere"}, database, machine) is None


def test_long_times_are_days():
    assert duration(81000) == "22 h 30 min"
    assert duration(200000) == "2 days 7 h"


def test_an_hour_of_another_day_names_the_day():
    day = QDateTime.currentDateTime().addDays(3).date()
    assert end_in(3 * 24 * 3600).startswith(QLocale().toString(day, "dddd") + " at ")
    assert end_in(20 * 24 * 3600).startswith("on ")


def test_a_few_step_lora_is_guessed_as_it_is_run(database, machine):
    settings = {"model": "wan2.1-t2v-14b", "frames": 81}
    usual = expected(settings, database, machine)
    lora = "lightx2v/Wan2.1-Distill-Loras:wan2.1_t2v_14b_lora_rank64_lightx2v_4step.safetensors"
    few = expected({**settings, "loras": [lora]}, database, machine)
    assert usual is not None and few is not None
    assert few.seconds < usual.seconds / 10
