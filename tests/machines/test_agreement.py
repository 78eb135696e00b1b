"""Machines that don't agree, or one of which can't begin: all end, and one sentence says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .launched import launched
from .test_lost import mine
from .test_same_clips import FLAGS

# The command, before which the second machine becomes another one.
OTHER = """
import os, sys
from mlxvid import machines
if machines.number() == 2:
    {change}
from mlxvid.generate import main
sys.exit(main(sys.argv[1:]))
"""
VERSION = "from mlxvid.run import sharing; sharing.__version__ = '0.0.7'"
FOLDER = "os.chdir('other')"
STEPS = "sys.argv[sys.argv.index('--steps') + 1] = '5'"


def told(folder: Path, change: str, *flags: object) -> str:
    """The one line that two machines end with, none of which makes a clip."""
    (folder / "other.py").write_text(OTHER.format(change=change))
    out, err = launched(folder, 2, "other.py", *FLAGS[2:], "--progress", "none", *flags)
    assert out == ""
    assert not list(folder.glob("*.mp4"))
    line = mine(err)[-1]
    assert all("share the run" in other for other in mine(err)[:-1])
    return line


@pytest.mark.parametrize(
    ("change", "flags", "facts"),
    [
        (VERSION, ("--count", 2), ("Machine 2 of 2", "version of mlxvid", "0.0.7")),
        (STEPS, (), ("Machine 2 of 2", "--steps", "5", "4")),
        (FOLDER, ("--model", "./tiny"), ("Machine 2 of 2", "./tiny")),
        ("pass", ("--parallel", "takes"), ("--count",)),
        ("pass", ("--parallel", "guidance", "--guidance", 1), ("--guidance", "layers")),
        ("pass", ("--steps", "many"), ("--steps", "many")),
    ],
    ids=["version", "settings", "no model", "too few takes", "one pass", "a mistake"],
)
def test_what_keeps_one_from_beginning_ends_all(tmp_path, tiny_folder, change, flags, facts):
    (tmp_path / "other").mkdir()
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    line = told(tmp_path, change, *flags)
    assert all(fact in line for fact in facts)


def test_another_model_by_the_same_name(tmp_path, tiny_folder):
    shutil.copytree(tiny_folder, tmp_path / "tiny")
    shutil.copytree(tiny_folder, tmp_path / "other" / "tiny")
    config = tmp_path / "other" / "tiny" / "vae" / "config.json"
    config.write_text(config.read_text().replace("{", '{"another": 1,', 1))
    line = told(tmp_path, FOLDER, "--model", "./tiny")
    assert "Machine 2 of 2 has another model" in line
