"""From a prompt to a clip in the gallery, with the real worker and the embedded model."""

from __future__ import annotations

import os
import shlex
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from PySide6.QtWidgets import QPushButton

from mlxvid.gui.core.commands import worker_command
from mlxvid.gui.core.jobs import Job, State
from mlxvid.media.clip import Clip, read_settings
from tests.gui.windows import notice_buttons, said

SMALL = {
    "model": "mini",
    "width": 64,
    "height": 64,
    "frames": 9,
    "fps": 16.0,
    "steps": 3,
    "guidance": 2.0,
}
# Milliseconds that no clip takes.
PATIENCE = 60_000


@pytest.fixture
def window(open_window, qtbot):
    """The window with its real worker, composed for a small clip."""
    return opened(open_window)


def opened(open_window, command=None):
    window = open_window(command=command)
    window.compose.apply_settings({**SMALL, "prompt": "", "seed": 3})
    return window


def wait_for_step(window, qtbot, step: int) -> None:
    """Wait until the running job has finished `step` steps."""
    steps = []

    def note(job, event) -> None:
        if event["stage"] == "denoise":
            steps.append(event["step"])

    window.runner.progressed.connect(note)
    qtbot.waitUntil(lambda: any(done >= step for done in steps), timeout=PATIENCE)


def make(window, prompt: str, **settings) -> None:
    window.compose.apply_settings({**SMALL, "seed": 3, "prompt": prompt, **settings})
    window.compose.generate()


def test_a_clip_that_is_made_again_names_what_has_changed(window, qtbot, home):
    picture = home / "first.png"
    Image.new("RGB", (64, 64), (9, 90, 90)).save(picture)
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE) as saved:
        make(window, "a red ball", image=str(picture))
    made = read_settings(saved.args[1])
    assert set(made["digests"]) == {str(picture)}
    window.gallery.use_settings.emit(made)
    assert said(window) == ""
    Image.new("RGB", (64, 64), (200, 90, 90)).save(picture)
    window.gallery.use_settings.emit(made)
    assert str(picture) in said(window)
    noted = []
    window.runner.noted.connect(noted.append)
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE):
        window.gallery.make_variations.emit(made)
    assert any(str(picture) in note for note in noted)


def test_the_next_clip_is_made_by_a_worker_that_knows_the_models_folder(
    window, qtbot, home, monkeypatch, tiny_folder
):
    monkeypatch.setenv("MLXVID_MODELS", "")
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE):
        make(window, "a red ball")
    shutil.copytree(tiny_folder, home / "disk" / "mine")
    window.preferences.models_folder = home / "disk"
    job = Job({**SMALL, "model": "mine", "prompt": "a red ball", "seed": 3})
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE) as saved:
        window.database.insert_jobs([job])
        window.runner.advance()
    assert read_settings(saved.args[1])["model"] == str((home / "disk" / "mine").resolve())


def test_type_generate_watch(window, qtbot, home):
    previews = []
    window.runner.previewed.connect(lambda frames, fps: previews.append((frames.shape, fps)))
    window.compose.prompt.setFocus()
    qtbot.keyClicks(window.compose.prompt, "a red ball bouncing")
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE) as saved:
        window.compose.button.click()
        assert window.stage.strip.isVisible() and window.side.tabText(1) == "Queue · 1"
    number, path = saved.args
    clip = Clip.load(path)
    assert path == home / "clips" / "a-red-ball-bouncing-3.mp4"
    assert clip.frames.shape == (9, 64, 64, 3)
    assert clip.settings["seed"] == 3 and clip.settings["prompt"] == "a red ball bouncing"
    assert previews and previews[0] == ((9, 64, 64, 3), 16.0)
    row = window.database.clip(number)
    assert (row.settings, row.frames, row.fps) == (clip.settings, 9, 16.0)
    assert window.gallery.model.rowCount() == 1
    # It is decoded, and can be played.
    qtbot.waitUntil(lambda: len(window.stage.player.reel.frames) == 9, timeout=PATIENCE)
    assert window.stage.player.path == path
    assert not window.stage.strip.isVisible()
    assert window.side.tabText(1) == "Queue"
    window.compose.replan()
    qtbot.waitUntil(lambda: "about" in window.compose.plan_line.text)
    # The settings in the gallery make the same clip again.
    window.gallery.use_settings.emit(row.settings)
    with qtbot.waitSignal(window.runner.saved, timeout=PATIENCE) as again:
        window.compose.button.click()
    assert again.args[1].name == "a-red-ball-bouncing-3-2.mp4"
    assert np.array_equal(Clip.load(again.args[1]).frames, clip.frames)


def test_cancel_in_mid_run_and_resume(window, qtbot, home):
    make(window, "a blue star", steps=300)
    wait_for_step(window, qtbot, 2)
    with qtbot.waitSignal(window.runner.ended, timeout=5000) as ended:
        window.stage.strip.findChild(QPushButton, "cancel-clip").click()
    assert ended.args[0].state is State.CANCELLED and said(window) == "" and window.client.alive
    assert list((home / "clips").iterdir()) == [] and window.gallery.model.rowCount() == 0
    make(window, "a red ring")
    qtbot.waitUntil(lambda: window.gallery.model.rowCount() == 1, timeout=PATIENCE)
    window.queue.select(ended.args[0].id)
    window.queue.history.resume_action.trigger()
    assert window.runner.current.title == "a blue star" and window.runner.current.resume
    window.runner.cancel()
    qtbot.waitUntil(lambda: window.runner.current is None, timeout=PATIENCE)


def test_a_worker_that_is_killed_costs_nothing_but_time(window, qtbot, home):
    make(window, "a green ball", steps=12)
    window.database.insert_jobs([Job({**SMALL, "prompt": "a red ring", "seed": 4})])
    wait_for_step(window, qtbot, 2)
    saved = []
    window.runner.saved.connect(lambda number, path: saved.append(path))
    killed = window.client.pid
    os.kill(killed, signal.SIGKILL)
    qtbot.waitUntil(lambda: said(window) != "")
    assert "The generator was killed: resume" in said(window)
    assert [button.text() for button in notice_buttons(window)] == ["Resume", "Edit…"]
    assert window.isVisible()
    states = [job.state for job in window.database.jobs()]
    assert states == [State.INTERRUPTED, State.RUNNING]  # the queue goes on by itself
    qtbot.waitUntil(lambda: len(saved) == 1, timeout=PATIENCE)
    assert saved[0].name == "a-red-ring-4.mp4" and window.client.pid not in (0, killed)
    notice_buttons(window)[0].click()
    qtbot.waitUntil(lambda: len(saved) == 2, timeout=PATIENCE)
    assert saved[1].name == "a-green-ball-3.mp4" and len(Clip.load(saved[1]).frames) == 9
    assert window.database.jobs() == [] and window.gallery.model.rowCount() == 2


def test_a_worker_that_another_program_ends_cancels_nothing(window, qtbot, home):
    made = []
    window.runner.saved.connect(lambda number, path: made.append(path))
    jobs = [Job({**SMALL, "prompt": prompt, "seed": 4}) for prompt in ("a red ring", "a blue ring")]
    window.database.insert_jobs(jobs)
    wait_for_step(window, qtbot, 1)
    with qtbot.waitSignal(window.runner.ended, timeout=PATIENCE) as ended:
        os.kill(window.client.pid, signal.SIGTERM)
    assert ended.args[0].state is State.INTERRUPTED
    assert "ended by another program" in said(window)
    qtbot.waitUntil(lambda: len(made) == 1, timeout=PATIENCE)
    window.runner.resume(ended.args[0].number)
    qtbot.waitUntil(lambda: len(made) == 2, timeout=PATIENCE)
    assert window.database.jobs() == []


def test_five_queued_jobs_are_there_after_quitting(open_window, qtbot):
    window = opened(open_window)
    window.compose.takes.setValue(5)
    make(window, "a yellow star", steps=300)
    wait_for_step(window, qtbot, 1)
    window.quit_now()
    assert not window.isVisible() and not window.client.alive
    window = open_window(command=None)
    assert "1 clip interrupted" in said(window)
    assert "4 clips waiting" in said(window)
    jobs = window.database.jobs()
    assert [job.settings["seed"] for job in jobs] == [3, 4, 5, 6, 7]
    assert [job.state for job in jobs] == [State.INTERRUPTED] + [State.WAITING] * 4
    notice_buttons(window)[0].click()
    wait_for_step(window, qtbot, 2)
    assert window.runner.current.settings["seed"] == 3


def test_a_setting_that_the_worker_refuses_fails_that_job_alone(window, qtbot, home):
    window.database.insert_jobs(
        [Job({**SMALL, "prompt": "a ball", "seed": 1, "keyframes": {"4": str(home / "gone.png")}})]
    )
    qtbot.waitUntil(lambda: window.database.jobs()[0].state is State.FAILED, timeout=PATIENCE)
    assert "gone.png" in said(window) and window.client.alive
    make(window, "a red ball")
    qtbot.waitUntil(lambda: window.gallery.model.rowCount() == 1, timeout=PATIENCE)


def test_a_full_disk(open_window, qtbot, home):
    # No file larger than a kilobyte: writing fails as on a full disk.
    command = f"ulimit -f 1; exec {shlex.join(worker_command())}"
    window = opened(open_window, ["bash", "-c", command])
    make(window, "a red ball")
    with qtbot.waitSignal(window.runner.ended, timeout=PATIENCE) as ended:
        pass
    job = ended.args[0]
    assert job.state is State.FAILED
    assert "make room" in job.message
    assert job.message in said(window)
    assert list((home / "clips").iterdir()) == []
    assert window.gallery.model.rowCount() == 0
    assert window.client.alive
