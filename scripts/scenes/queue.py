"""The queue and its history; takes side by side, a grid of two settings, and asking for one."""

from __future__ import annotations

from mlxvid.gui.core.jobs import PAUSED, Job, State, grouped
from mlxvid.gui.takes.dialog import GridDialog

from .studio import CLIP, PROMPTS, Studio, rest, scene, wait

# Small clips of few steps: what they show doesn't matter here.
_QUICK = {**CLIP, "steps": 4, "frames": 9}


def _make(studio: Studio, jobs: list[Job]) -> str:
    """Make a group of clips and return its name."""
    made = grouped(jobs)
    studio.window.runner.pause(False)
    studio.database.insert_jobs(made)
    wait(lambda: studio.window.queue.model.jobs == [], "The clips")
    return str(made[0].settings["group"])


def _show(studio: Studio, group: str) -> None:
    takes = studio.window.side_by_side.takes
    studio.window.stage.show_page(takes)
    takes.open(takes.of_group(group))
    rest(1500)
    takes.playhead.pause()


@scene()
def queue(studio: Studio) -> None:
    """A clip that is made, one that waits, one that was set aside."""
    previews: list[object] = []
    studio.window.runner.previewed.connect(lambda frames, fps: previews.append(frames))
    jobs = [Job({**CLIP, "prompt": prompt, "seed": 3, "steps": 400}) for prompt in PROMPTS[:3]]
    ids = studio.database.insert_jobs(jobs)
    studio.database.set_job_state(ids[2], State.INTERRUPTED, PAUSED)
    studio.window.runner.pause(False)
    studio.window.show_side(studio.window.queue)
    studio.window.queue.select(ids[0])
    wait(lambda: len(previews) >= 4, "A preview")
    studio.shoot("queue")


@scene()
def history(studio: Studio) -> None:
    """What was made, and a clip that failed."""
    studio.window.runner.pause(True)
    (number,) = studio.database.insert_jobs([Job({**CLIP, "prompt": PROMPTS[3], "seed": 3})])
    studio.database.note_end(number, 12.0)
    studio.database.set_job_state(number, State.FAILED, "The clip was too large: make it smaller.")
    studio.window.show_side(studio.window.queue)
    studio.window.queue.select(number)
    rest(1000)
    studio.shoot("history")
    studio.database.remove_jobs([number])


@scene()
def takes(studio: Studio) -> None:
    """Four takes, one of them kept and one rejected."""
    group = _make(studio, [Job({**_QUICK, "prompt": PROMPTS[0], "seed": n}) for n in range(4)])
    _show(studio, group)
    panel = studio.window.side_by_side.takes
    panel.keep_action.trigger()
    panel.canvas.choose(2)
    panel.reject_action.trigger()
    panel.canvas.choose(1)
    studio.shoot("takes")
    panel.canvas.choose(2)
    panel.reject_action.trigger()


@scene()
def grid(studio: Studio) -> None:
    """A grid of steps and prompts."""
    jobs = []
    for prompt in PROMPTS[:3]:
        jobs += [Job({**_QUICK, "prompt": prompt, "seed": 1, "steps": n}) for n in (2, 6, 12)]
    _show(studio, _make(studio, jobs))
    studio.shoot("grid")


@scene()
def grid_dialog(studio: Studio) -> None:
    """Two settings and their values."""
    studio.compose(PROMPTS[0])
    studio.window.side_by_side.grid_action.trigger()
    dialog = studio.window.findChild(GridDialog)
    dialog.values[0].setText("10, 20, 30")
    dialog.values[1].setText("1, 3, 5")
    studio.shoot("grid-dialog", dialog)
    dialog.close()
