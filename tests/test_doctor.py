"""The doctor's command, as people and programs call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mlxvid.doctor", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def test_a_machine_that_is_well():
    done = doctor()
    assert (done.returncode, done.stderr) == (0, "")
    assert "  float32      exact (MLX_ENABLE_TF32=0)\n" in done.stdout


def test_what_is_wrong_is_marked_with_advice_and_an_exit_code():
    done = doctor(MLX_ENABLE_TF32="1")
    assert done.returncode == 1
    assert "! float32      ten bits on an M5 (MLX_ENABLE_TF32=1)\n" in done.stdout
    assert "-> Take MLX_ENABLE_TF32 out of the environment" in done.stdout


def test_json_has_every_finding():
    done = doctor("--json")
    findings = json.loads(done.stdout)["findings"]
    assert {"name", "state", "value", "advice"} == set(findings[0])
    assert {"good", "note"} >= {finding["state"] for finding in findings}


def test_a_mistaken_flag_is_one_sentence():
    done = doctor("--jsn")
    assert done.returncode == 2
    assert "--json" in done.stderr
    assert done.stderr.count("\n") == 1
