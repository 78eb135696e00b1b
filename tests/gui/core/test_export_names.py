"""Copies get free names, and a name that can't be is told."""

from __future__ import annotations

import pytest

from mlxvid.gui.core.copies import Source
from mlxvid.gui.core.export_names import free_copies, free_name, name_problem, named
from mlxvid.gui.core.recipes import ORIGINAL, PRESETS


def test_free_names_go_on_counting(tmp_path):
    assert free_name(tmp_path, "fox", ".gif").name == "fox.gif"
    (tmp_path / "fox.gif").touch()
    (tmp_path / "fox 2.gif").symlink_to("nowhere")
    assert free_name(tmp_path, "fox", ".gif").name == "fox 3.gif"
    assert free_name(tmp_path, "fox", ".gif", {tmp_path / "fox 3.gif"}).name == "fox 4.gif"
    (tmp_path / "fox v1.0").mkdir()
    assert free_name(tmp_path, "fox v1.0", "").name == "fox v1.0 2"


def test_clips_of_the_same_name_do_not_collide(tmp_path):
    sources = []
    for folder in ("a", "b"):
        sources.append(Source(tmp_path / folder / "fox.mp4", 9, 8, 48, 32))
    sources.append(Source(tmp_path / "frames", 9, 8, 48, 32))
    copies = free_copies(sources, tmp_path, PRESETS["Chat"].format, ())
    assert [copy.target.name for copy in copies] == ["fox.gif", "fox 2.gif", "frames.gif"]
    copies = free_copies(sources, tmp_path, ORIGINAL, ())
    assert [copy.target.name for copy in copies] == ["fox.mp4", "fox 2.mp4", "frames"]


def test_the_ending_may_be_typed(tmp_path):
    assert named(tmp_path, " fox ", ".gif").name == "fox.gif"
    assert named(tmp_path, "fox.GIF", ".gif").name == "fox.gif"
    assert named(tmp_path, "fox.mp4", ".gif").name == "fox.mp4.gif"
    assert named(tmp_path, "fox", "").name == "fox"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "name"),
        (" . ", "name"),
        ("a/b", "slash"),
        ("fox", "gallery"),
        ("busy", "still being made"),
        ("folder", "folder"),
        ("free", ""),
        ("there", ""),
    ],
)
def test_problems_of_names(tmp_path, name, words):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "there.mp4").touch()
    target = named(tmp_path, name, ".mp4")
    problem = name_problem(name, target, {str(tmp_path / "fox.mp4")}, {tmp_path / "busy.mp4"})
    assert words in problem
    assert bool(problem) == bool(words)


def test_a_folder_that_has_gone(tmp_path):
    problem = name_problem("fox", tmp_path / "gone" / "fox.mp4", (), ())
    assert "folder" in problem
