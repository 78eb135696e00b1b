"""What is installed, and the two scripts that install it."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import ROOT
from tests.conftest import THOROUGH

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NO_PYTHON = (
    "mlxvid needs Python 3.10 or newer with its venv module (on a Mac, one for Apple silicon): "
    "install it from https://www.python.org/downloads/ "
    "(on Debian or Ubuntu: apt install python3-venv), then run this again.\n"
)


def modules_in_tree() -> dict[str, Path]:
    """Every module that should be installed, by the name it is imported by."""
    found = {}
    for folder, package in (
        ("mlxvid", "mlxvid"),
        ("gui", "mlxvid.gui"),
        ("convert", "mlxvid.convert"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *parts))] = path
    return found


def test_every_package_is_listed():
    packages = {name.rpartition(".")[0] for name in modules_in_tree()}
    assert packages == set(PYPROJECT["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("command", sorted(PYPROJECT["project"]["scripts"]))
def test_commands_exist(command):
    module, _, function = PYPROJECT["project"]["scripts"][command].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("mlxvid", "gui", "convert", "scripts"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    (tree / "tests").mkdir()
    (tree / "tests" / "test_nothing.py").touch()
    # Through the build backend itself: pip would fetch setuptools from the network first.
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    built = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(
            f"mlxvid-{PYPROJECT['project']['version']}.dist-info/METADATA"
        ).decode()
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    modules = {name.replace(".", "/") + ".py" for name in modules_in_tree()}
    data = [
        *(ROOT / "mlxvid" / "assets").rglob("*"),
        *(ROOT / "mlxvid" / "kernels").glob("*.metal"),
    ]
    assert names == modules | {str(path.relative_to(ROOT)) for path in data if path.is_file()} | {
        "mlxvid/py.typed"
    }
    assert licences and "License-Expression: Apache-2.0" in metadata
    assert re.search(r"^Requires-Dist: mlx\[cpu\].*Linux", metadata, re.MULTILINE)


@pytest.mark.parametrize("place", THOROUGH)
def test_what_the_quick_tier_leaves_out_is_there(place):
    assert (ROOT / place).exists()


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/venv.sh", ".ci/run"])
def test_scripts_parse(script):
    shell = "bash" if script == ".ci/run" else "sh"
    subprocess.run([shell, "-n", ROOT / script], check=True)
    assert script.endswith(".sh") or os.access(ROOT / script, os.X_OK)


class Checkout:
    """A copy of what the scripts need, and a PATH with only the test's Pythons.

    The folder has a space and brackets in its name.
    """

    def __init__(self, folder: Path):
        self.root = folder / "my [repo]"
        (self.root / "scripts").mkdir(parents=True)
        for name in ("scripts/demo", "scripts/test", "scripts/venv.sh", "pyproject.toml"):
            shutil.copy(ROOT / name, self.root / name)
        self.log = folder / "log"
        self.log.touch()
        self.elsewhere = folder / "else where"
        self.elsewhere.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("sh", "dirname", "cksum", "cat", "rm", "mkdir", "cp", "tr", "cut"):
            (self.bin / tool).symlink_to(shutil.which(tool))

    def add_python(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\nlog='{self.log}'\n{body}")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            cwd=self.elsewhere,
            env={"PATH": str(self.bin), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        """The calls of Python since the last time."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines


# Stands for a Python that fits: its venvs hold a copy of itself, and it logs its calls.
FITTING = """
case "$1 ${2-}" in
'-V ') echo 'Python 3.12.0' ;;
'-c '*) ;;
'-m venv') mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; echo venv >>"$log" ;;
'-m pip')
    shift 2; echo "pip $*" >>"$log"
    [ -z "${BREAK_PIP-}" ] || { echo 'ERROR: no such thing' >&2; exit 1; } ;;
'-m mlxvid.generate')
    shift 2; printf '%s' generate >>"$log"; printf ' [%s]' "$@" >>"$log"; echo >>"$log" ;;
*) echo "$*" >>"$log" ;;
esac
"""
SHIM = "echo 'python3: command not found' >&2; exit 127\n"
INSTALL = "pip --disable-pip-version-check install --editable ."


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def pretending(lines: str) -> str:
    """The Python that runs the tests, with `lines` run before what it is given by -c."""
    return f"""[ "$1" = -c ] && exec '{sys.executable}' -c "{lines}
$2"
"""


def test_the_python_that_runs_the_tests_fits(checkout):
    """Else the cases below would prove nothing."""
    checkout.add_python("python3", pretending("pass"))
    assert checkout.run("demo").stderr != NO_PYTHON


@pytest.mark.parametrize(
    "found",
    [
        None,
        SHIM,
        pretending("import sys; sys.version_info = (3, 9, 18)"),
        pretending("import sys; sys.modules['ensurepip'] = None"),
        pretending(
            "import ensurepip, venv, sys, platform; sys.platform = 'darwin'; "
            "platform.machine = lambda: 'x86_64'"
        ),
    ],
    ids=["none", "shim", "3.9", "no ensurepip", "Intel Mac"],
)
@pytest.mark.parametrize("script", ["demo", "test"])
def test_without_a_fitting_python_one_sentence_says_so(checkout, script, found):
    if found:
        checkout.add_python("python3", found)
    result = checkout.run(script)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", NO_PYTHON)
    assert sorted(path.name for path in checkout.root.iterdir()) == ["pyproject.toml", "scripts"]


def test_a_python_that_was_named_and_does_not_fit_is_named_again(checkout):
    checkout.add_python("python3", FITTING)
    checkout.add_python("old python", SHIM)
    result = checkout.run("demo", PYTHON="old python")
    assert (result.returncode, result.stderr) == (1, "PYTHON=old python does not fit: " + NO_PYTHON)


def test_demo_installs_once_and_starts_at_once_the_next_time(checkout):
    checkout.add_python("python3", SHIM)
    checkout.add_python("python3.11", FITTING)
    first = checkout.run("demo", "A star, spinning!", "--seed", "3")
    assert first.returncode == 0
    assert (
        first.stderr
        == "Installing mlxvid and what it needs into .venv (once; this takes a few minutes) ...\n"
    )
    assert checkout.calls() == [
        "venv",
        INSTALL,
        "generate [--prompt] [A star, spinning!] [--seed] [3]",
    ]

    again = checkout.run("demo", "A star, spinning!")
    assert (again.returncode, again.stderr) == (0, "")
    assert checkout.calls() == ["generate [--prompt] [A star, spinning!]"]


BALL = "a red ball bouncing on a navy background"


@pytest.mark.parametrize(
    ("arguments", "prompt", "rest"),
    [
        ([], BALL, ""),
        (["--seed", "3"], BALL, " [--seed] [3]"),
        (["", "--seed", "3"], BALL, " [--seed] [3]"),
        (["a ball", "-o", "my clip.gif"], "a ball", " [-o] [my clip.gif]"),
    ],
)
def test_demo_passes_its_arguments_on(checkout, arguments, prompt, rest):
    checkout.add_python("python3", FITTING)
    assert checkout.run("demo", *arguments).returncode == 0
    assert checkout.calls()[-1] == f"generate [--prompt] [{prompt}]{rest}"


def test_a_failed_installation_shows_why_and_is_done_again_from_nothing(checkout):
    checkout.add_python("python3", FITTING)
    failed = checkout.run("test", BREAK_PIP="1")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[1:] == [
        "ERROR: no such thing",
        "mlxvid could not be installed for the reason above: put it right "
        "(PYTHON=python3.12 chooses another Python), then run this again.",
    ]
    assert checkout.calls() == ["venv", INSTALL + "[test]"]
    (checkout.root / ".venv-test" / "half-installed").touch()
    assert checkout.run("test", "-k", "a b").returncode == 0
    assert checkout.calls() == ["venv", INSTALL + "[test]", "-m pytest -k a b"]
    assert not (checkout.root / ".venv-test" / "half-installed").exists()


def test_quick_leaves_out_what_is_thorough_and_passes_the_rest_on(checkout):
    checkout.add_python("python3", FITTING)
    assert checkout.run("test", "--quick", "-k", "a b").returncode == 0
    assert checkout.calls()[-1] == "-m pytest -m not slow and not registry and not thorough -k a b"


def test_changed_dependencies_are_added_and_a_moved_checkout_is_installed_anew(checkout):
    checkout.add_python("python3", FITTING)
    checkout.run("test")
    checkout.calls()
    with (checkout.root / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert checkout.run("test").returncode == 0
    assert checkout.calls() == [INSTALL + "[test]", "-m pytest"]
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.run("test").returncode == 0
    assert checkout.calls() == ["venv", INSTALL + "[test]", "-m pytest"]
