"""What LTX-Video does where memory is short: tiles of the VAE, where they hold less."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.model.machine import GIB, Machine
from mlxvid.models.ltx import model as ltx

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import pictures  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    return tiny_ltx.saved(pipe, tmp_path_factory.mktemp("ltx") / "m", "0.9.5")


@pytest.mark.parametrize(
    ("frames", "usable", "held", "tiled"),
    [
        (17, 5, 1, True),  # a short clip on a small Mac
        (121, 5, 1, False),  # of which tiles would hold more
        (17, 12, 1, False),
        (1, 12, 2, True),  # a picture to encode
        (1, 24, 2, False),
    ],
)
def test_when_there_are_tiles(folder, monkeypatch, frames, usable, held, tiled):
    mac = Machine("Mac", 2 * usable * GIB, usable * GIB, True)
    monkeypatch.setattr(ltx, "this_machine", lambda: mac)
    found = mlxvid.load(str(folder)).model._tile(frames, 896, 1600, held)
    assert found == (ltx.SMALL_TILE if tiled else None)


def test_a_clip_in_tiles_is_near_the_whole(folder, monkeypatch):
    pipe = mlxvid.load(str(folder))
    (still,) = pictures(1, 160, 96)
    settings = dict(image=still, width=160, height=96, frames=9, steps=2, seed=1)
    settings["options"] = {"prepare": False, "stg": 0}
    whole = pipe.generate("a red ball", **settings).frames.astype(int)
    asked = []
    monkeypatch.setattr(pipe.model, "_tile", lambda *size, **held: asked.append(size) or 3)
    tiled = pipe.generate("a red ball", **settings).frames.astype(int)
    assert asked == [(1, 96, 160), (9, 96, 160)]
    assert 0 < np.abs(tiled - whole).mean() < whole.std()
