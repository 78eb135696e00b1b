"""Orders, days, models, sizes and stacks of takes."""

from __future__ import annotations

import time
from datetime import date, datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction

from mlxvid.gui.core.clips_table import FoundClip
from mlxvid.gui.core.jobs import Job, State, grouped
from mlxvid.gui.gallery.arrangement import Order, Stack, day_text
from mlxvid.gui.gallery.list_model import GalleryModel
from mlxvid.gui.gallery.panel import GalleryPanel

from .steps import delegate_of, listed, select, tile

DAY = 24 * 3600


@pytest.fixture
def rows(database, tmp_path):
    """Clips of several days, models and lengths; the newest is C."""
    now = time.time()
    facts = (
        ("b fox", "owner/two", 24, 3 * DAY),
        ("A fox", "one", 48, 2 * DAY),
        ("C fox", "one", 12, 0),
    )
    clips = []
    for prompt, model, frames, age in facts:
        settings = {"prompt": prompt, "model": model}
        path = tmp_path / f"{prompt}.mp4"
        clips.append(FoundClip(path, now - age, settings, 24.0, frames, (64, 64)))
    database.add_found(clips)
    return database.clips()


@pytest.fixture
def takes(database, tmp_path):
    """Three takes of one prompt, and a clip before and after them; their ids, the oldest first."""
    jobs = grouped([Job({"prompt": "a take", "seed": seed}) for seed in range(3)])
    numbers = []
    jobs = [Job({"prompt": "before"}), *jobs, Job({"prompt": "after"})]
    for job, number in zip(jobs, database.insert_jobs(jobs), strict=True):
        path = tmp_path / f"{number}.mp4"
        numbers.append(database.add_clip(path, job.settings, 8, 9, 48, 32, number))
    return numbers


def entry(panel, text: str) -> QAction:
    """An entry of the menu that arranges, at any depth."""
    menu = panel.options.menu
    menu.aboutToShow.emit()
    found = [menu, *menu.findChildren(type(menu))]
    return next(action for one in found for action in one.actions() if action.text() == text)


def titles(model) -> list[str]:
    return [model.index(row).data()[0] for row in range(model.rowCount())]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (Order.NEWEST, "CAb"),
        (Order.OLDEST, "bAC"),
        (Order.NAME, "AbC"),
        (Order.MODEL, "CAb"),
        (Order.LENGTH, "AbC"),
    ],
)
def test_orders(rows, database, order, wanted):
    model = GalleryModel(database)
    model.arrange(order=order)
    assert "".join(titles(model)) == wanted


def test_favourites_first_follows_the_star(rows, database):
    model = GalleryModel(database)
    model.arrange(order=Order.FAVOURITES)
    oldest = rows[-1]
    database.set_favourites([oldest.id], True)
    assert titles(model) == ["b", "C", "A"]
    assert model.index_of(oldest.id).data(GalleryModel.ROW).favourite
    database.set_favourites([oldest.id], False)
    assert titles(model) == ["C", "A", "b"]


def test_new_clips_come_to_their_place(rows, database):
    model = GalleryModel(database)
    model.arrange(order=Order.NAME)
    database.add_clip("/x/b2.mp4", {"prompt": "b2"}, 8, 9, 48, 32)
    assert titles(model) == ["A", "b", "b", "C"]


def test_the_first_clip_of_a_day_says_which(rows, database):
    model = GalleryModel(database)
    days = [model.index(row).data(GalleryModel.MARKS).day for row in range(3)]
    assert days[0] == "Today"
    assert all(days)
    database.add_clip("/x/new.mp4", {"prompt": "new"}, 8, 9, 48, 32)
    assert [model.index(row).data(GalleryModel.MARKS).day for row in range(4)] == [
        "Today",
        "",
        *days[1:],
    ]
    model.arrange(order=Order.NAME)
    assert not any(model.index(row).data(GalleryModel.MARKS).day for row in range(4))


def test_days_in_words(rows):
    today = date(2026, 3, 2)

    def day(*moment: int) -> str:
        row = rows[0]
        created = datetime(*moment).timestamp()
        return day_text(type(row)(**{**row.__dict__, "created": created}), today)

    assert day(2026, 3, 2, 23, 59) == "Today"
    assert day(2026, 3, 1, 0, 0) == "Yesterday"
    assert day(2026, 2, 3) == f"3 {date(2026, 2, 3):%b}"
    assert day(2025, 12, 31) == f"31 {date(2025, 12, 31):%b} 2025"


def test_one_model_only(rows, panel):
    entry(panel, "two").trigger()
    assert listed(panel) == ["b fox"]
    assert entry(panel, "two").isChecked()
    entry(panel, "All Models").trigger()
    assert len(listed(panel)) == 3


def test_choices_are_kept(rows, panel, database, preferences, qtbot):
    entry(panel, "Name").trigger()
    entry(panel, "Large").trigger()
    entry(panel, "Stack Takes").trigger()
    again = GalleryPanel(database, preferences)
    qtbot.addWidget(again)
    again.show()
    assert listed(again) == ["A fox", "b fox", "C fox"]
    assert entry(again, "Name").isChecked()
    assert entry(again, "Large").isChecked()
    assert not again.model.arrangement.stacked
    assert delegate_of(again).least == delegate_of(panel).least


def test_sizes_of_tiles(rows, panel):
    widths = []
    for size in ("Small", "Medium", "Large"):
        entry(panel, size).trigger()
        widths.append(panel.view.gridSize().width())
    assert widths == sorted(set(widths))


def test_takes_are_one_tile_that_opens(qtbot, takes, panel):
    assert listed(panel) == ["after", "a take", "before"]
    first = takes[3]
    assert panel.model.index_of(first).data(GalleryModel.MARKS).stack == Stack(3, False)
    text = panel.model.index_of(first).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "3 takes" in text
    badge = delegate_of(panel).stack_rect(tile(panel, first), Stack(3, False), panel.view.font())
    opened = []
    panel.open_clip.connect(opened.append)
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=badge.center())
    assert listed(panel) == ["after", "a take", "a take", "a take", "before"]
    assert not opened
    select(panel, first)
    assert panel.stack_action.text() == "Hide Takes"
    panel.stack_action.trigger()
    assert len(listed(panel)) == 3
    select(panel, takes[0])
    assert not panel.stack_action.isEnabled()


def test_takes_stand_for_themselves_where_they_are_told_apart(takes, panel, database):
    panel.model.set_search("seed 1")
    assert listed(panel) == ["a take"]
    panel.model.set_search("")
    panel.model.arrange(stacked=False)
    assert len(listed(panel)) == 5
    panel.model.arrange(stacked=True)
    database.remove_clips([takes[3]])
    assert panel.model.index_of(takes[2]).data(GalleryModel.MARKS).stack == Stack(2, False)
    database.remove_clips([takes[2]])
    assert panel.model.index_of(takes[1]).data(GalleryModel.MARKS).stack is None


def test_a_stack_takes_in_a_new_take(takes, panel, database):
    group = database.clip(takes[1]).group
    (number,) = database.insert_jobs([Job({"prompt": "a take", "seed": 9, "group": group})])
    newest = database.add_clip("/x/9.mp4", {"prompt": "a take", "seed": 9}, 8, 9, 48, 32, number)
    assert database.job(number).state is State.DONE
    assert panel.model.index_of(newest).data(GalleryModel.MARKS).stack == Stack(4, False)
    assert not panel.model.index_of(takes[3]).isValid()


def test_the_clip_in_view_is_marked(takes, panel, database):
    def marked() -> list[str]:
        rows = [panel.model.index(row) for row in range(panel.model.rowCount())]
        return [index.data() for index in rows if index.data(GalleryModel.MARKS).in_view]

    panel.set_in_view(database.clip(takes[0]).path)
    assert marked() == ["before"]
    panel.set_in_view(database.clip(takes[2]).path)  # hidden behind the first take
    assert marked() == ["a take"]
    panel.view.grab()
    panel.set_in_view(None)
    assert marked() == []
