"""The library: what it keeps, and what it does with a file that is damaged or can't be written."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mlxvid.gui.core.database import TIMINGS_KEPT, Database
from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.jobs import Job, State, variations
from mlxvid.gui.core.statements import NOTHING

# A library as the window's first edition wrote it.
FIRST_EDITION = """
CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, position REAL NOT NULL,
    state TEXT NOT NULL, settings TEXT NOT NULL, message TEXT NOT NULL DEFAULT '',
    resume INTEGER NOT NULL DEFAULT 0);
CREATE TABLE clips (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL,
    created REAL NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL,
    fps REAL NOT NULL, frames INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0, job INTEGER);
CREATE TABLE timings (id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL,
    tokens INTEGER NOT NULL, passes REAL NOT NULL, seconds REAL NOT NULL);
CREATE TABLE prompts (text TEXT NOT NULL, negative INTEGER NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (text, negative));
INSERT INTO jobs (id, position, state, settings, message) VALUES
    (1, 1.0, 'done', '{"prompt": "a red ball"}', ''),
    (2, 2.0, 'waiting', '{"prompt": "a blue star"}', ''),
    (3, 3.0, 'failed', '{"prompt": "a green ring"}', 'It failed.');
INSERT INTO clips VALUES (1, '/clips/a.mp4', 5.0, 'a red ball', 'mini',
    '{"prompt": "a red ball"}', 16.0, 9, 64, 64, 1, 1);
INSERT INTO timings VALUES (1, 'mini', 324, 40.0, 8.0);
INSERT INTO prompts VALUES ('a red ball', 0, 5.0);
"""


@pytest.fixture
def heard(database):
    sentences = []
    database.message.connect(sentences.append)
    return sentences


def clip(database, name, prompt, **settings) -> int:
    return database.add_clip(
        f"/clips/{name}.mp4",
        {"prompt": prompt, "model": "mini", **settings},
        16.0,
        9,
        64,
        48,
        job=3,
    )


def test_clips(database, qtbot):
    with qtbot.waitSignal(database.clips_changed):
        first = clip(database, "a", "a red ball", seed=7)
    second = clip(database, "b", "a blue Ring")
    row = database.clip(first)
    assert (
        row.prompt,
        row.model,
        row.settings["seed"],
        row.fps,
        row.frames,
        row.width,
        row.height,
    ) == (
        "a red ball",
        "mini",
        7,
        16,
        9,
        64,
        48,
    )
    assert (row.favourite, row.job, row.path.name) == (False, 3, "a.mp4")
    assert [row.id for row in database.clips()] == [second, first]
    with qtbot.waitSignal(database.clips_changed) as changed:
        database.set_favourites([second, first], True)
    assert changed.args == [[second, first]]
    assert all(row.favourite for row in database.clips())
    database.remove_clips([first])
    assert database.clip(first) is None and [row.id for row in database.clips()] == [second]


def test_a_clip_saved_again_is_there_once(database):
    clip(database, "a", "a red ball")
    again = clip(database, "a", "a green ball")
    assert [(row.id, row.prompt) for row in database.clips()] == [(again, "a green ball")]


def test_jobs_keep_their_order_ids_and_state(database):
    ids = database.insert_jobs([Job({"prompt": name}) for name in "abc"])
    assert [job.settings["prompt"] for job in database.jobs()] == ["a", "b", "c"]
    middle = database.job(ids[1])
    database.remove_jobs([ids[1]])
    assert database.insert_jobs([middle]) == [ids[1]] and database.jobs()[1] == middle
    database.place_jobs({ids[2]: 0.5})
    assert [job.id for job in database.jobs()] == [ids[2], ids[0], ids[1]]
    database.set_job_state(ids[0], State.DONE)
    assert (
        ids[0] not in [job.id for job in database.jobs()]
        and database.job(ids[0]).state is State.DONE
    )


def test_a_running_job_stays_and_is_interrupted_by_the_next_start(database, qtbot):
    (number,) = database.insert_jobs([Job({"prompt": "a"})])
    database.set_job_state(number, State.RUNNING)
    database.remove_jobs([number])
    assert database.job(number).state is State.RUNNING
    assert database.interrupt_running("It broke off.") == [number]
    assert database.job(number) == replace(
        database.job(number), state=State.INTERRUPTED, message="It broke off."
    )


def test_variations_have_seeds_of_their_own():
    jobs = variations({"prompt": "a", "seed": 1}, 4)
    assert len({job.settings["seed"] for job in jobs} | {1}) == 5 and {
        job.settings["prompt"] for job in jobs
    } == {"a"}


def test_timings_and_prompts(database):
    for seconds in range(TIMINGS_KEPT + 2):
        database.add_timing("mini", 100, 40.0, seconds)
    assert len(database.timings("mini")) == TIMINGS_KEPT and database.timings("mini")[0] == (
        100,
        40.0,
        TIMINGS_KEPT + 1,
    )
    assert database.timings("other") == []
    for text in ("a ball", "a star", "a ball", "  "):
        database.add_prompt(text)
    database.add_prompt("blurry", negative=True)
    assert database.prompts() == ["a ball", "a star"] and database.prompts(negative=True) == [
        "blurry"
    ]


def test_all_is_there_again_after_closing(database):
    clip(database, "a", "a red ball")
    database.insert_jobs([Job({"prompt": "b"})])
    database.close()
    again = Database()
    assert (
        again.notice is None
        and again.clips()[0].prompt == "a red ball"
        and again.jobs()[0].title == "b"
    )
    again.close()


@pytest.mark.parametrize("damage", ["garbage", "middle", "other tables"])
def test_a_damaged_file_is_set_aside(home, qapp, damage):
    path = data_folder() / "library.sqlite"
    whole = Database()
    for number in range(200):
        clip(whole, str(number), "a ball " * 20)
    whole.close()
    content = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif damage == "middle":
        path.write_bytes(content[:8192] + b"\xff" * 8192 + content[16384:])
    else:
        path.write_bytes(content[: len(content) // 2])
    before = path.read_bytes()
    database = Database()
    (aside,) = path.parent.glob("library.sqlite.broken-20*")
    assert (
        aside.read_bytes() == before
        and aside.name in database.notice
        and database.notice.startswith("The library was damaged (")
    )
    assert database.clips() == [] and clip(database, "new", "a star") == 1
    database.close()


def test_no_file_at_all_is_told_and_lived_with(home, qapp, monkeypatch):
    (home / "file").write_text("in the way")
    monkeypatch.setenv("MLXVID_DATA", str(home / "file" / "data"))
    database = Database()
    assert str(home / "file" / "data") in database.notice
    assert clip(database, "a", "a ball") == 1
    assert len(database.clips()) == 1
    database.close()


def test_a_full_disk_is_told_and_changes_nothing(database, heard):
    # What SQLite then raises is what it raises on a full disk.
    database._connection.execute("PRAGMA max_page_count = 1")
    long = "a ball " * 3000
    assert clip(database, "a", long) == NOTHING
    assert database.insert_jobs([Job({"prompt": long}), Job({"prompt": "b"})]) == []
    assert database.clips() == []
    assert database.jobs() == []
    assert "full" in heard[0]
    assert str(database.path) in heard[0]
    database._connection.execute("PRAGMA max_page_count = 1000000")
    assert clip(database, "a", long) != NOTHING


def test_settings_that_are_no_json_are_empty(database):
    clip(database, "a", "a ball")
    sqlite = sqlite3.connect(database.path)
    sqlite.execute("UPDATE clips SET settings = '{'")
    sqlite.commit()
    sqlite.close()
    assert database.clips()[0].settings == {}


def test_every_prompt_is_known_wherever_it_is(database):
    database.insert_jobs([Job({"prompt": "of a job", "negative_prompt": "not of a job"})])
    settings = {"prompt": "of a clip", "negative_prompt": "not of a clip"}
    facts = {"fps": 16.0, "frames": 9, "width": 64, "height": 64}
    database.add_clip(Path("/a.mp4"), settings, **facts)
    database.add_clip(Path("/b.mp4"), {}, **facts)
    database.add_prompt("typed")
    database._connection.execute("UPDATE clips SET settings = 'damaged' WHERE path = '/b.mp4'")
    assert set(database.every_prompt()) == {
        *("of a job", "not of a job", "of a clip", "not of a clip", "typed")
    }


def test_a_library_of_the_first_edition_loses_nothing(home, qapp):
    path = data_folder() / "library.sqlite"
    path.parent.mkdir(parents=True)
    old = sqlite3.connect(path)
    old.executescript(FIRST_EDITION)
    old.commit()
    old.close()
    library = Database()
    assert library.notice is None
    (clip,) = library.clips()
    assert (clip.prompt, clip.favourite, clip.job, clip.group) == ("a red ball", True, 1, "")
    assert [(job.title, job.state) for job in library.jobs()] == [
        ("a blue star", State.WAITING),
        ("a green ring", State.FAILED),
    ]
    assert [past.job.title for past in library.history()] == ["a green ring", "a red ball"]
    assert library.timings("mini") == [(324, 40.0, 8.0)]
    assert library.prompts() == ["a red ball"]
    assert library.insert_jobs([Job({"prompt": "new"})]) == [4]
    library.close()
