"""Every dependency has a wheel for each Mac and Python that mlxvid claims. Asks PyPI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.test_packaging import PYPROJECT

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# Wheels for these install on macOS 14: every version since the first for Apple silicon, and
# universal ones from before.
PLATFORMS = [f"macosx_{version}_0_arm64" for version in (14, 13, 12, 11)]
PLATFORMS += [f"macosx_{version}_0_universal2" for version in (14, 13, 12, 11)]
PLATFORMS += [f"macosx_10_{version}_universal2" for version in (15, 13, 12, 10, 9)]


def requirements(python: str) -> list[str]:
    """The library's and the window's dependencies on a Mac with this Python."""
    project = PYPROJECT["project"]
    mac = {
        "platform_system": "Darwin",
        "sys_platform": "darwin",
        "platform_machine": "arm64",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    asked = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["gui"]])
    found = [item for item in asked if item.marker is None or item.marker.evaluate(mac)]
    return [f"{item.name}{item.specifier}" for item in found]


@pytest.mark.registry
@pytest.mark.parametrize("python", PYTHONS)
def test_everything_installs_on_macos_14(python: str, tmp_path: Path):
    # MLX names its Metal wheel by a marker that pip evaluates for this machine, not for the Mac.
    wanted = [*requirements(python), "mlx-metal>=0.32.4"]
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    version = ["--python-version", python, "--implementation", "cp", "--only-binary=:all:"]
    target = ["--target", str(tmp_path / "site"), "--ignore-installed"]
    report = tmp_path / "report.json"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--report", str(report)]
    done = subprocess.run(
        [*pip, *target, *version, *platforms, *wanted], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    installed = {
        item["metadata"]["name"].lower(): item["download_info"]["url"]
        for item in json.loads(report.read_text())["install"]
    }
    assert "macosx_14_0_arm64" in installed["mlx-metal"]
    for name in ("numpy", "av", "pillow", "sentencepiece", "tokenizers"):
        assert "macosx" in installed[name], installed[name]
