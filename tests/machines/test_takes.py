"""Takes of which one fails, can't be saved, or whose machine dies: the others don't suffer."""

from __future__ import annotations

from pathlib import Path

from mlxvid.media.clip import read_settings
from mlxvid.run.cache_files import latents_folder, newest, runs_folder

from .launched import launched
from .test_lost import mine
from .test_same_clips import FLAGS

# The command, in which the second machine's second clip meets with a fault.
FAULTY = """
import os, sys, time
from mlxvid import machines
from mlxvid.errors import DegenerateClipError, MediaError
from mlxvid.run import checks, jobs
count = 0
def once(call, fault):
    def counted(*given, **named):
        global count
        count += 1
        if count == {when}:
            fault()
        return call(*given, **named)
    return counted
def broken():
    raise DegenerateClipError("The clip is one single colour; try another `seed`.")
def full():
    raise MediaError("The disk is full; make room.")
def killed():
    time.sleep(3)  # the first one is done
    os.kill(os.getpid(), 9)
if machines.number() == {number}:
    {change}
from mlxvid.generate import main
sys.exit(main(sys.argv[1:]))
"""
CHECKED = "checks.check_frames = once(checks.check_frames, {})"


def made(folder: Path, number: int, when: int, change: str, count: int) -> tuple[list, list]:
    """The clips that are there afterwards, and our lines on standard error."""
    (folder / "faulty.py").write_text(FAULTY.format(number=number, when=when, change=change))
    flags = ["--count", count, "--progress", "none", "-o", "x.mkv"]
    out, err = launched(folder, 2, "faulty.py", *FLAGS[2:], *flags)
    files = sorted(path.name for path in folder.glob("*.mkv"))
    assert sorted(out.split()) == files
    return files, mine(err)


def test_a_broken_take_does_not_cost_the_others(tmp_path):
    files, lines = made(tmp_path, 2, 1, CHECKED.format("broken"), 4)
    assert files == ["x-1.mkv", "x-3.mkv", "x-4.mkv"]
    assert read_settings(tmp_path / "x-4.mkv")["seed"] == 10
    assert any("Machine 2 of 2: Clip 2 of 4 failed" in line for line in lines)
    assert lines[-1].startswith("Of 4 clips, these failed: 2;")


def test_what_can_not_be_saved_is_kept_on_each_machine(tmp_path):
    files, lines = made(tmp_path, 1, 2, "jobs.save = once(jobs.save, full)", 4)
    assert files == ["x-1.mkv"]
    assert any(line.startswith("The disk is full") for line in lines)
    assert any(line.startswith("Machine 2: ") and "--decode-only" in line for line in lines)
    assert len(newest(latents_folder())) >= 1


def test_a_finished_take_is_kept_when_another_machine_dies(tmp_path):
    files, lines = made(tmp_path, 2, 1, CHECKED.format("killed"), 2)
    assert files == []
    assert lines[-1].startswith("Machine 2 of 2 was lost")
    assert "--decode-only" in lines[-1] or "--resume" in lines[-1]
    assert [*newest(latents_folder()), *newest(runs_folder())]
