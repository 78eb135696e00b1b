"""The same settings make the same clips as before; unchanged_clips.py has the settings, and
records.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("diffusers")
from .unchanged_clips import CASES, RECORDED, Models, arithmetic  # noqa: E402

ELSEWHERE = 2  # of 255, where another processor adds in another order


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return Models(tmp_path_factory.mktemp("unchanged"))


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as clips:
        return dict(clips)


@pytest.mark.parametrize("case", CASES)
def test_clip_is_unchanged(models, recorded, case):
    frames = models.frames(case)
    assert frames.shape == recorded[case].shape and frames.std() > 5
    tolerance = 0 if str(recorded["arithmetic"]) == arithmetic() else ELSEWHERE
    assert np.abs(frames.astype(int) - recorded[case]).max() <= tolerance
