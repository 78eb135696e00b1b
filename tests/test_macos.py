"""What macOS is asked for, with scripts in the place of its programs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import mlxvid
from mlxvid import macos


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the system's programs write down what they are started with."""
    commands = {
        "caffeinate": "CAFFEINATE",
        "osascript": "OSASCRIPT",
        "systemd-inhibit": "INHIBIT",
        "notify-send": "NOTIFY_SEND",
    }
    for name, constant in commands.items():
        script = tmp_path / name
        # Written under another name first, so that a test never reads half of it.
        words = f'printf "%s\\n" "$@" >{tmp_path}/$$; mv {tmp_path}/$$ {tmp_path}/{name}.said'
        script.write_text(f"#!/bin/sh\n{words}\nexec sleep 60\n")
        script.chmod(0o700)
        monkeypatch.setattr(macos, constant, script)
    monkeypatch.setattr(macos, "SYSTEMD", tmp_path)
    return tmp_path


def said(path: Path) -> list[str]:
    """The arguments that a program was started with."""
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return path.read_text().splitlines()


def helpers() -> list[str]:
    """The command lines of the helpers that this process has, where /proc tells them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (OSError, IndexError):
            continue
    return [line for line in found if "caffeinate" in line or "sleep 60" in line]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_helper_keeps_the_mac_awake_and_is_gone_afterwards(programs):
    with macos.awake():
        assert said(programs / "caffeinate.said") == ["-i", "-s", "-w", str(os.getpid())]
        assert helpers()
    assert not helpers()


def test_it_is_gone_after_an_error_too(programs):
    with pytest.raises(ValueError), macos.awake():
        said(programs / "caffeinate.said")
        raise ValueError
    assert not helpers()


def test_generating_keeps_the_mac_awake(programs, tiny_folder):
    pipe = mlxvid.load(str(tiny_folder))
    stages = []

    def on_progress(progress):
        if not stages:
            assert said(programs / "caffeinate.said")[:2] == ["-i", "-s"]
        stages.append(progress.stage)

    pipe.generate("a", frames=1, steps=1, on_progress=on_progress)
    assert stages


def test_sleep_is_left_as_it_is_where_that_is_asked_for(programs, monkeypatch):
    monkeypatch.setenv("MLXVID_AWAKE", "0")
    with macos.awake():
        time.sleep(0.05)
    assert not (programs / "caffeinate.said").exists()


def test_a_helper_that_can_not_start_is_said_and_costs_nothing(programs, caplog):
    (programs / "caffeinate").chmod(0o600)
    with macos.awake():
        pass
    assert "caffeinate" in caplog.text


def test_other_systems_have_neither(tmp_path, monkeypatch):
    for name in ("CAFFEINATE", "OSASCRIPT", "SYSTEMD", "NOTIFY_SEND"):
        monkeypatch.setattr(macos, name, tmp_path / "none")
    with macos.awake():
        macos.notify("Done.")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_on_linux_systemd_keeps_the_machine_awake(programs, tmp_path):
    (programs / "caffeinate").unlink()
    with macos.awake():
        words = said(programs / "systemd-inhibit.said")
        assert "--what=idle:sleep" in words
        assert words[-4:] == ["tail", f"--pid={os.getpid()}", "-f", "/dev/null"]
        assert helpers()
    assert not helpers()


def test_on_linux_the_desktop_shows_notifications(programs):
    (programs / "osascript").unlink()
    macos.notify("--help <b>1 & 2")
    words = said(programs / "notify-send.said")
    assert words[-3:] == ["--", "mlxvid", "--help &lt;b&gt;1 &amp; 2"]


@pytest.mark.parametrize(("answer", "asked"), [("[Included]", True), ("[Excluded]", False)])
def test_downloads_are_kept_out_of_time_machine(tmp_path, monkeypatch, caplog, answer, asked):
    script = tmp_path / "tmutil"
    script.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\necho "{answer} $2"\n')
    script.chmod(0o700)
    monkeypatch.setattr(macos, "TMUTIL", script)
    caplog.set_level("INFO", logger="mlxvid")
    folder = tmp_path / "two words"
    macos.leave_out_of_backups(folder)  # not there yet
    folder.mkdir()
    macos.leave_out_of_backups(folder)
    words = (tmp_path / "said").read_text().splitlines()
    assert words == [f"isexcluded {folder}"] + [f"addexclusion {folder}"] * asked
    assert ("Time Machine" in caplog.text) == asked


def test_a_notification_is_text_and_never_a_script(programs):
    text = 'a "red" ball\\ end run'
    macos.notify(text)
    words = said(programs / "osascript.said")
    assert words[-3:] == ["--", text, "mlxvid"]
    assert not any(text in word for word in words[:-2])
