"""How takes and grids are laid out, by what they differ in."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QFontMetrics

from mlxvid.errors import SettingError
from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.grids import MOST, grid_of, values_of, variable
from mlxvid.gui.takes.layout import laid_out
from mlxvid.gui.takes.sheet import sheet_of
from tests.gui.windows import SETTINGS


def row(number: int, **settings) -> ClipRow:
    made = {**SETTINGS, **settings}
    place = Path(f"/clips/{number}.mp4")
    return ClipRow(number, place, 0.0, "", "mini", made, 16.0, 9, 64, 64, False, number, "g")


def test_takes_are_as_square_as_can_be_and_numbered():
    sheet = sheet_of([row(seed, seed=seed) for seed in range(5)])
    assert (sheet.title, sheet.columns, sheet.rows) == ("5 Takes", 3, 2)
    assert sheet.captions[:2] == ("1   Seed 0", "2   Seed 1") and sheet.across == ()


def test_two_settings_make_a_grid_and_what_is_missing_is_empty():
    pairs = [(steps, guidance) for guidance in (1.0, 2.5) for steps in (4, 8, 12)]
    clips = [row(n, steps=s, guidance=g) for n, (s, g) in enumerate(pairs) if n != 4]
    sheet = sheet_of(clips)
    assert sheet.title == "Steps × Guidance" and sheet.columns == 3
    assert sheet.across == ("Steps 4", "Steps 8", "Steps 12")
    assert sheet.down == ("Guidance 1", "Guidance 2.5")
    assert [None if cell is None else cell.id for cell in sheet.cells] == [0, 1, 2, 3, None, 5]


def test_clips_that_differ_at_random_are_no_grid():
    clips = [row(n, steps=n + 1, guidance=float(n)) for n in range(4)]
    sheet = sheet_of(clips)
    assert sheet.across == () and "2 steps" in sheet.captions[1] and sheet.columns == 2


def test_nothing_overlaps(qapp):
    pairs = [(steps, prompt) for prompt in ("a ball", "a star " * 20) for steps in (4, 8, 12)]
    sheet = sheet_of([row(n, steps=s, prompt=p) for n, (s, p) in enumerate(pairs)])
    area = QRectF(0, 0, 700, 400)
    layout = laid_out(sheet, area, QFontMetrics(qapp.font()))
    every = [*layout.cells, *layout.across, *layout.down]
    assert len(every) == 6 + 3 + 2
    for place, one in enumerate(every):
        assert area.adjusted(-0.1, -0.1, 0.1, 0.1).contains(one)
        assert not any(one.intersects(other) for other in every[place + 1 :])


def test_a_long_word_of_a_label_is_not_cut(qapp):
    metrics = QFontMetrics(qapp.font())
    sheet = sheet_of(
        [row(n, steps=n % 2 + 4, prompt="a lighthouse b"[: 12 + n // 2]) for n in range(4)]
    )
    word = metrics.horizontalAdvance("“lighthouse”")
    layout = laid_out(sheet, QRectF(0, 0, 3 * word, 400), metrics)
    assert all(label.width() >= metrics.horizontalAdvance("lighthouse") for label in layout.down)


def test_values_are_read_as_their_setting_has_them():
    assert values_of("steps", "10, 20,20, ") == [10, 20]
    assert values_of("guidance", "1, 2.5") == [1.0, 2.5]
    assert values_of("prompt", "a ball, red | a star") == ["a ball, red", "a star"]
    for text in ("", "ten", "1.5", "0"):
        with pytest.raises(SettingError, match="steps"):
            values_of("steps", text)


def test_grids_have_a_job_for_each_pair():
    jobs = grid_of(SETTINGS, "steps", [4, 8], "seed", [1, 2, 3])
    asked = [(job.settings["steps"], job.settings["seed"]) for job in jobs]
    assert asked == [(4, 1), (8, 1), (4, 2), (8, 2), (4, 3), (8, 3)]
    with pytest.raises(SettingError, match="Steps"):
        grid_of(SETTINGS, "steps", [4], "steps", [8])
    with pytest.raises(SettingError, match=str(MOST)):
        grid_of(SETTINGS, "steps", list(range(1, 7)), "seed", list(range(5)))
    assert variable(SETTINGS)[:4] == ["prompt", "steps", "guidance", "seed"]
    assert "model" not in variable(SETTINGS) and "keyframes" not in variable(SETTINGS)
