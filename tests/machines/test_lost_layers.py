"""A machine that dies while layers are shared: the others end, and what is done is kept."""

from __future__ import annotations

import signal
import time

import pytest

import mlxvid
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from tests.run.resuming import saved_runs

from .launched import launched
from .test_lost import OUTPUT, SIGNALLED
from .test_same_clips import FLAGS, SMALL, difference


@pytest.mark.slow
@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_killed_machine_ends_the_run_which_goes_on_alone(tmp_path, victim, monkeypatch):
    script = tmp_path / "signalled.py"
    script.write_text(SIGNALLED)
    begun = time.monotonic()
    flags = [*FLAGS[2:], "--parallel", "layers", *OUTPUT]
    _, err = launched(tmp_path, 3, script, victim, 3, int(signal.SIGKILL), *flags)
    assert time.monotonic() - begun < 60, err
    assert len(saved_runs()) == 1 and not (tmp_path / "x.mkv").exists()
    monkeypatch.chdir(tmp_path)
    assert main(["--resume", *OUTPUT]) == 0
    whole = mlxvid.load("mini").generate("a red ball", **SMALL)
    assert difference(Clip.load("x.mkv"), whole) <= 2
    assert saved_runs() == []
