"""Where clips are saved: nothing half-written stays, and nobody else's files are touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from mlxvid import in_use
from mlxvid.errors import CancelledError, MediaError
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.targets import check_writable

from .moving import SETTINGS, moving


def test_folder_of_frames(tmp_path):
    Clip(moving(3), 8, SETTINGS).save(f"{tmp_path}/run.1/")
    assert sorted(os.listdir(tmp_path / "run.1")) == [
        "frame_0000.png",
        "frame_0001.png",
        "frame_0002.png",
        "settings.json",
    ]
    assert json.loads((tmp_path / "run.1" / "settings.json").read_text())["settings"] == SETTINGS
    # Saved again, shorter, beside what Finder leaves: replaced whole.
    (tmp_path / "run.1" / ".DS_Store").touch()
    Clip(moving(2), 5, {"second": 1}).save(tmp_path / "run.1")
    assert sorted(os.listdir(tmp_path / "run.1")) == [
        ".DS_Store",
        "frame_0000.png",
        "frame_0001.png",
        "settings.json",
    ]
    assert read_settings(tmp_path / "run.1") == {"second": 1}
    assert Clip.load(tmp_path / "run.1").fps == 5
    (tmp_path / "run.1" / "frame_0001.png").unlink()
    with pytest.raises(MediaError, match=r"run\.1 holds 1 of 2 frames"):
        Clip.load(tmp_path / "run.1")


@pytest.mark.parametrize("name", ["notes.txt", "settings.json", "frame_0000.png"])
def test_folder_with_other_files_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("{}")
    for attempt in (check_writable, Clip(moving(2), 8, {}).save):
        with pytest.raises(MediaError, match=rf"{tmp_path.name} holds other files \({name}\)"):
            attempt(tmp_path)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "{}"


def test_folder_named_as_a_file_is(tmp_path):
    (tmp_path / "clip").touch()
    with pytest.raises(MediaError, match=r"clip is a file, not a folder"):
        check_writable(tmp_path / "clip")


def test_bad_names(tmp_path):
    for name, facts in {
        "clip.avi": ["clip.avi", ".avi", ".mp4"],
        "none/clip.mp4": [f"{tmp_path}/none", "does not exist", "clip.mp4"],
        "none/clip/": [f"{tmp_path}/none", "does not exist"],
        "x" * 300 + ".mp4": ["File name too long): choose another name"],
        "nul\0.mp4": ["choose another name"],
    }.items():
        for attempt in (check_writable, Clip(moving(1), 8, {}).save):
            with pytest.raises(MediaError) as caught:
                attempt(f"{tmp_path}/{name}")
            assert all(fact in str(caught.value) for fact in facts)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("", ["name one", "clip.mp4"]),
        (" ", ["name one", "clip.mp4"]),
        ("/", ["name one", "clip.mp4"]),
        (".", ["name one", "clip.mp4"]),
        ("takes/..", ["name one", "clip.mp4"]),
        ("-", ["standard output", "clip.mp4"]),
        (".mp4", [".mp4", "nothing before", "clip.mp4"]),
        ("takes/.GIF", [".GIF", "nothing before"]),
        (".png/", [".png", "nothing before"]),
        ("clip.mp4/", ["clip.mp4/", "folder", ".mp4"]),
        ("clip.webm//", ["clip.webm//", "folder", ".webm"]),
        ("clip\udcff.mp4", ["UTF-8", "another"]),
    ],
)
def test_what_is_no_name(tmp_path, monkeypatch, name, facts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "takes").mkdir()
    for attempt in (check_writable, Clip(moving(1), 8, {}).save):
        with pytest.raises(MediaError) as caught:
            attempt(name)
        for fact in facts:
            assert fact in str(caught.value)
    assert os.listdir(tmp_path) == ["takes"]


def test_a_folder_that_is_called_as_a_file_is_one(tmp_path):
    (tmp_path / "clip.mp4").mkdir()
    Clip(moving(1), 8, {}).save(f"{tmp_path}/clip.mp4/")
    assert sorted(os.listdir(tmp_path / "clip.mp4")) == ["frame_0000.png", "settings.json"]


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a pipe"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    place = tmp_path / "clip.mp4"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/null")
    else:
        os.mkfifo(tmp_path / "pipe")
        place.symlink_to("pipe")
    with pytest.raises(MediaError, match=r"clip\.mp4 is a device or a pipe"):
        check_writable(place)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip", "link.mp4"])
def test_what_is_there_can_be_kept(tmp_path, name):
    path = tmp_path / name
    if name == "link.mp4":
        path.symlink_to("nowhere.mp4")
    else:
        Clip(moving(2), 8, {"first": 1}).save(path)
    for attempt in (check_writable, Clip(moving(1), 8, {}).save):
        with pytest.raises(MediaError, match=rf"{name} is there already: choose another"):
            attempt(path, overwrite=False)
    if name != "link.mp4":
        assert read_settings(path) == {"first": 1}
    Clip(moving(1), 8, {}).save(tmp_path / "new.mp4", overwrite=False)


def test_an_empty_folder_is_nothing_to_keep(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / ".DS_Store").touch()
    Clip(moving(1), 8, {"first": 1}).save(tmp_path / "clip", overwrite=False)
    assert read_settings(tmp_path / "clip") == {"first": 1}


def test_several_frames_do_not_fit_a_png(tmp_path):
    path = tmp_path / "clip.png"
    with pytest.raises(MediaError, match=r"2 frames: .*\.mp4"):
        Clip(moving(2), 8, {}).save(path)
    with pytest.raises(MediaError, match=r"2 frames: .*\.mp4"):
        check_writable(path, frames=2)
    assert check_writable(path) == check_writable(path, frames=1) == path
    assert os.listdir(tmp_path) == []


def test_check_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "clip.mp4").write_text("old")
    for name in ("clip.mp4", "new.gif", "folder", "folder/"):
        check_writable(f"{tmp_path}/{name}", frames=33)
    assert os.listdir(tmp_path) == ["clip.mp4"] and (tmp_path / "clip.mp4").read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(MediaError, match=r"can't be written \(Permission denied\)"):
            check_writable(tmp_path / "clip.mp4")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_write_protected_file(tmp_path):
    (tmp_path / "clip.mp4").touch(0o400)
    with pytest.raises(MediaError, match=r"clip\.mp4 is write-protected"):
        check_writable(tmp_path / "clip.mp4")


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="needs a folder that not even root can write to"
)
def test_folder_that_nobody_can_write_to():
    with pytest.raises(MediaError, match=r"^/proc/clip\.mp4 can't be written \("):
        Clip(moving(1), 8, {}).save("/proc/clip.mp4")


@pytest.mark.parametrize(
    "name", ["clip.mp4", "clip.webm", "clip.mkv", "clip.gif", "clip.webp", "clip.png", "folder"]
)
def test_full_disk_leaves_nothing(tmp_path, name):
    """With a limit on the size of files, writes fail midway, at the end, or on closing the file."""
    script = """
        import os, resource, signal, sys
        import numpy as np
        from mlxvid.media.clip import Clip
        from mlxvid.errors import MediaError
        folder, name = sys.argv[1:]
        shape = (1 if name == "clip.png" else 3, 48, 48, 3)
        frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        path = Clip(frames, 8, {"kept": 1}).save(f"{folder}/{name}")
        first = path / "frame_0000.png" if path.is_dir() else path
        before = first.read_bytes()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for limit in (0, 10, 1000, len(before) // 2, len(before) - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            for goal in (name, "new-" + name):
                try:
                    Clip(frames, 8, {"kept": 1}).save(f"{folder}/{goal}")
                    sys.exit(f"no error at {limit} bytes")
                except MediaError as error:
                    assert "(File too large)" in str(error), error
            assert os.listdir(folder) == [name], os.listdir(folder)
        assert first.read_bytes() == before and Clip.load(path).settings == {"kept": 1}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["clip.mp4", "clip.webm", "clip.mkv", "clip.gif", "clip.webp", "clip.png", "folder"]
)
@pytest.mark.parametrize("error", [KeyboardInterrupt, CancelledError, BrokenPipeError])
def test_stopping_leaves_nothing(tmp_path, name, error):
    frames = moving(1 if name == "clip.png" else 4)

    def save_until(last: int) -> None:
        def stop(done: int, total: int) -> None:
            if done == last:
                raise error("stopped")

        with pytest.raises(error, match="^stopped$"):
            Clip(frames, 8, {}).save(tmp_path / name, on_progress=stop)

    for last in {1, len(frames)}:
        save_until(last)
        assert os.listdir(tmp_path) == []
    Clip(frames, 8, {"first": 1}).save(tmp_path / name)
    save_until(len(frames))
    assert os.listdir(tmp_path) == [name] and Clip.load(tmp_path / name).settings == {"first": 1}


def test_replacing_a_folder_fails_as_a_whole(tmp_path, monkeypatch):
    """The third rename of a replacement fails: the old clip is put back."""
    Clip(moving(3), 8, {"first": 1}).save(tmp_path / "clip")
    real = os.replace
    calls = []

    def replace(source, goal):
        calls.append(source)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        real(source, goal)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(MediaError, match=r"can't be written \(Input/output error\)"):
        Clip(moving(2), 8, {}).save(tmp_path / "clip")
    assert len(os.listdir(tmp_path / "clip")) == 4
    assert np.array_equal(Clip.load(tmp_path / "clip").frames, moving(3))


def test_files_get_ordinary_permissions_and_links_stay(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    Clip(moving(1), 8, {"x": 1}).save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink() and read_settings(tmp_path / "real.png") == {"x": 1}
    assert (tmp_path / "real.png").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "folder"])
def test_temporary_files_of_the_dead_go_and_those_of_the_living_stay(tmp_path, name):
    """Also in a folder of frames, which they don't keep from being replaced."""
    folder = tmp_path / name if name == "folder" else tmp_path
    Clip(moving(2), 8, {"first": 1}).save(tmp_path / name)
    (folder / ".mlxvid-dead.mp4").write_text("half a clip")
    (folder / ".mlxvid-dead").mkdir()
    (folder / ".mlxvid-dead" / "frame_0000.png").touch()
    living = in_use.create(folder / ".mlxvid-living", folder=True)
    Clip(moving(3), 8, {"second": 2}).save(tmp_path / name)
    assert [path.name for path in folder.glob(".*")] == [".mlxvid-living"]
    assert read_settings(tmp_path / name) == {"second": 2}
    living.release()


@pytest.mark.parametrize("there", [True, False])
def test_two_clips_saved_at_once_into_one_folder(tmp_path, there):
    """The second begins and ends while the first is written: the last one is there, whole."""
    if there:
        (tmp_path / "clip").mkdir()

    def save_another(done: int, total: int) -> None:
        if done == 1:
            Clip(moving(2), 8, {"inner": 1}).save(tmp_path / "clip")

    Clip(moving(5), 8, {"outer": 1}).save(tmp_path / "clip", save_another)
    assert read_settings(tmp_path / "clip") == {"outer": 1}
    assert len(Clip.load(tmp_path / "clip").frames) == 5
    assert os.listdir(tmp_path) == ["clip"]
