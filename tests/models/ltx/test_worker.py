"""LTX-Video by the worker."""

from __future__ import annotations

import mlxvid  # noqa: F401  before MLX

# isort: split
import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip
from tests.worker.client import Client

from .pipelines import pictures


@pytest.fixture
def worker(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    client = Client(here)
    client.event()
    yield client
    client.process.kill()
    client.process.wait()


def test_a_clip_in_two_passes_by_the_worker(worker, folder_of):
    first, later = pictures(2, 64, 64)
    Image.fromarray(first).save(worker.folder / "first.png")
    Clip(np.stack(9 * [later]), 24).save(worker.folder / "later.mp4")
    folder = str(folder_of("0.9.8-2b-distilled"))
    worker.send(op="load", id="model", model=folder)
    told = worker.until("loaded", "error")
    assert {"upscale", "stg", "keyframes", "image_noise"} <= set(told["takes"])
    settings = {
        "width": 64,
        "height": 64,
        "frames": 17,
        "steps": 4,
        "seed": 3,
        "image": "first.png",
        "keyframes": {"8": ["later.mp4", 0.6]},
        "options": {"decode_noise": 0.0},
    }
    previews = {"previews": True}
    request = {"prompt": "a red ball", **settings}
    worker.send(op="generate", id=1, output="clip.mp4", settings=request, **previews)
    saved = worker.until("saved", "error")
    assert saved["event"] == "saved", saved
    options = saved["settings"]["options"]
    assert (options["upscale"], options["decode_noise"]) == (True, 0.0)
    shown = [event for event in worker.passed if event["event"] == "preview"]
    # The first pass is half as large as the second, which is as large as what was asked for.
    # How many there are depends on how busy the machine is.
    sizes = {(event["width"], event["height"]) for event in shown}
    assert {(32, 32)} <= sizes <= {(32, 32), (64, 64)}
    steps = [event for event in worker.passed if event.get("stage") == "denoise"]
    assert {event["total"] for event in steps} == {6}
    clip = Clip.load(worker.folder / "clip.mp4")
    assert clip.frames.shape == (17, 64, 64, 3) and clip.frames.std() > 5
    worker.send(op="generate", id=2, output="two.mp4", settings={**request, "steps": 9})
    assert "8 steps" in worker.until("error", "saved")["message"].replace("`", "")
