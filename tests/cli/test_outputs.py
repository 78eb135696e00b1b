"""Names of the files that clips are written to: as asked for, or after the prompt, never taken."""

from __future__ import annotations

import pytest

from mlxvid.cli.outputs import Take, numbered, outputs, still_free, takes_of
from mlxvid.errors import MediaError, SettingError
from mlxvid.media.prompt_names import LONGEST


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("output", ["clip.mp4", "takes/clip.gif", "clip", "clip/"])
def test_one_clip_goes_where_it_was_asked_for(output):
    assert outputs(output, "a ball", 1) == [output]


@pytest.mark.parametrize(
    ("output", "first"),
    [
        ("clip.mp4", "clip-1.mp4"),
        ("takes/v1.0.webm", "takes/v1.0-1.webm"),
        ("clip", "clip-1"),
        ("v1.0/", "v1.0-1/"),
    ],
)
def test_several_clips_are_numbered_before_the_ending(output, first):
    names = outputs(output, "a ball", 3)
    assert names == [first.replace("-1", f"-{n}") for n in (1, 2, 3)]


def test_a_folder_that_is_there_is_numbered_as_a_folder(here):
    (here / "v1.0").mkdir()
    assert numbered("v1.0", 2) == ["v1.0-1/", "v1.0-2/"]


def test_numbers_are_as_long_as_the_last(here):
    names = numbered("clip.mp4", 12)
    assert (names[0], names[-1]) == ("clip-01.mp4", "clip-12.mp4")
    assert sorted(names) == names


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A red ball!", "a-red-ball.mp4"),
        ("  ../../etc/passwd", "etc-passwd.mp4"),
        ("紅い球", "紅い球.mp4"),
        ("x" * 500, "x" * LONGEST + ".mp4"),
    ],
)
def test_a_name_after_the_prompt_is_plain(prompt, name):
    assert outputs(None, prompt, 1) == [name]


def test_a_name_after_the_prompt_is_none_that_is_taken(here):
    for name in ("a-ball.mp4", "a-ball-1.mp4"):
        assert outputs(None, "a ball", 1) == [name]
        (here / name).touch()
    (here / "a-ball-2.mp4").symlink_to("nowhere")
    assert outputs(None, "a ball", 1) == ["a-ball-3.mp4"]


def test_of_several_names_after_the_prompt_none_is_taken(here):
    assert outputs(None, "a ball", 2) == ["a-ball-1.mp4", "a-ball-2.mp4"]
    (here / "a-ball-2.mp4").touch()
    assert outputs(None, "a ball", 2) == ["a-ball-1-1.mp4", "a-ball-1-2.mp4"]


# --- the clips of a command ----------------------------------------------------------------------


def test_every_clip_of_every_prompt_has_a_name_of_its_own(here):
    (here / "a-star.mp4").touch()
    named = takes_of(None, ["A ball", "a star", "a ball"], 1)
    assert [take.target for take in named] == ["a-ball.mp4", "a-star-1.mp4", "a-ball-1.mp4"]
    several = takes_of(None, ["A ball", "a ball"], 2)
    names = ["a-ball-1.mp4", "a-ball-2.mp4", "a-ball-1-1.mp4", "a-ball-1-2.mp4"]
    assert [take.target for take in several] == names
    assert [take.seed_step for take in several] == [0, 1, 0, 1]


def test_an_asked_for_name_is_numbered_through_all_prompts():
    assert takes_of("x.gif", ["a", "b"], 2) == [
        Take("a", 0, "x-1.gif"),
        Take("a", 1, "x-2.gif"),
        Take("b", 0, "x-3.gif"),
        Take("b", 1, "x-4.gif"),
    ]
    assert takes_of("x.gif", ["a"], 1) == [Take("a", 0, "x.gif")]


@pytest.mark.parametrize("output", ["", ".", "-", ".mp4", "clip.mp4/", "clip.avi", "../.."])
def test_what_is_no_name_is_refused_before_it_is_numbered(output):
    with pytest.raises(MediaError):
        takes_of(output, ["a"], 2)


@pytest.mark.parametrize(
    ("output", "pattern"),
    [("clip-%03d.mp4", "%03d"), ("clip%d", "%d"), ("{n}.gif", "{n}"), ("x-{}/", "{}")],
)
def test_a_place_for_the_number_is_refused(output, pattern):
    with pytest.raises(SettingError) as caught:
        takes_of(output, ["a", "b"], 1)
    for fact in (f"leave {pattern} out", output):
        assert fact in str(caught.value)
    assert takes_of(output, ["a"], 1)[0].target == output


def test_a_name_that_was_taken_meanwhile_is_left_alone(here):
    chosen = Take("a ball", 0, "a-ball.mp4", is_named=True)
    assert still_free(chosen) == "a-ball.mp4"
    (here / "a-ball.mp4").touch()
    (here / "a-ball-1.mp4").touch()
    assert still_free(chosen) == "a-ball-2.mp4"
    assert still_free(Take("a ball", 0, "a-ball.mp4")) == "a-ball.mp4"
