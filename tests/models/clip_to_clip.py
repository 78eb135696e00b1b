"""What must hold for clips that are made from others, of every model that can."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from mlxvid.errors import CancelledError, SettingError
from mlxvid.run import checkpoint
from mlxvid.run.pipeline import Pipeline
from tests.facts import facts
from tests.run.unchanged_clips import picture

PROMPT = "a red ball moving left"


def coarse_clip(seed: int, width: int, height: int, frames: int) -> np.ndarray:
    """A clip to begin from: coarse noise that stays, so that any VAE has something to keep."""
    return np.repeat(picture(seed, width, height)[None], frames, axis=0)


def check(
    pipe: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    *,
    steps: int = 5,
    stages: int = 1,
    near: float = 0.1,
    **settings: Any,
) -> None:
    """Make clips of the model's from another of its size: all that the shared pipeline promises.

    stages: of its runs. near: how far a clip of which the last of many steps is made anew may be
    from what the VAE makes of the one it is made from, in standard deviations of that.
    """
    size = {name: settings[name] for name in ("width", "height", "frames")}
    given = coarse_clip(3, **size)
    settings = {"seed": 4, **settings}
    _all_anew(pipe, given, steps, settings)
    _little_anew(pipe, given, stages, near, settings)
    _interrupted(pipe, monkeypatch, given, steps, settings)
    with pytest.raises(SettingError, match=facts("`strength`", f"none of {steps} `steps`")):
        pipe.generate(PROMPT, video=given, strength=0.5 / steps, steps=steps, **settings)


def _all_anew(pipe: Pipeline, given: np.ndarray, steps: int, settings: dict[str, Any]) -> None:
    plain = pipe.generate(PROMPT, steps=steps, **settings).frames
    anew = pipe.generate(PROMPT, video=given, strength=1, steps=steps, **settings).frames
    assert np.array_equal(anew, plain)


def _little_anew(
    pipe: Pipeline, given: np.ndarray, stages: int, near: float, settings: dict[str, Any]
) -> None:
    many = 900
    seen = []
    kept = pipe.generate(
        PROMPT, video=given, strength=1.5 / many, steps=many, on_progress=seen.append, **settings
    ).frames.astype(int)
    latents = pipe.model.encode_clip(given)
    through = np.concatenate(
        [
            np.clip(np.round(np.array(part) * 127.5 + 127.5), 0, 255)
            for part in pipe.model.decode(latents)
        ]
    )
    assert through.shape == kept.shape
    assert np.abs(kept - through).mean() < near * through.std()
    totals = {progress.total for progress in seen if progress.stage == "denoise"}
    assert totals == {stages}
    assert sum(progress.stage == "encode" and progress.step == 1 for progress in seen) == 2


def _interrupted(pipe, monkeypatch, given, steps, settings) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    wanted = {**settings, "video": given, "strength": 0.8, "steps": steps}
    made = int(0.8 * steps)
    seen = []
    whole = pipe.generate(PROMPT, **wanted, on_progress=seen.append).frames
    others = pipe.generate(PROMPT, **{**wanted, "strength": 1.0}).frames
    assert not np.array_equal(whole, others)
    total = max(progress.total for progress in seen if progress.stage == "denoise")
    assert total % made == 0  # a long clip has several stages
    for stop_at in range(1, total):
        cancel = threading.Event()

        def stop(progress, stop_at=stop_at, cancel=cancel):
            if progress.stage == "denoise" and progress.step == stop_at:
                cancel.set()

        with pytest.raises(CancelledError, match=facts("`resume`")):
            pipe.generate(PROMPT, **wanted, on_progress=stop, cancel=cancel)
        again = []
        clip = pipe.generate(PROMPT, **wanted, resume=True, on_progress=again.append)
        assert min(p.step for p in again if p.stage == "denoise") == stop_at
        assert np.array_equal(clip.frames, whole)
