"""The workflows for GitHub: valid YAML of the right form, and commands that are there.

They have not run: this says no more than that they can be read.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_a_workflow_says_when_where_and_for_how_long_it_runs(workflow):
    assert workflow["name"]
    assert workflow[True]  # "on", as YAML 1.1 reads it
    for job in workflow["jobs"].values():
        assert re.fullmatch(r"(ubuntu|macos)-\d+(\.\d+)?", job["runs-on"])
        assert job["timeout-minutes"] <= 90


def test_a_step_either_uses_an_action_of_a_version_or_runs_a_command(workflow):
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_commands_are_valid_and_start_files_that_are_there(workflow):
    for step in steps(workflow):
        command = step.get("run", "")
        subprocess.run(["bash", "-n", "-c", command], check=True)
        for name in re.findall(r"(?:^|\s)((?:scripts|\.ci)/[\w./]+)", command):
            assert (ROOT / name).is_file(), name
        for module in re.findall(r"-m (mlxvid\.\w+)", command):
            assert Path(ROOT, *module.split(".")).with_suffix(".py").is_file(), module


def test_a_mac_runs_what_only_a_mac_can_show():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    for command in ("scripts/demo", "scripts/test", "scripts/build_app", "bench.py kernels"):
        assert command in text
