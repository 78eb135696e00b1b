"""The window's words: nothing of the command line, whoever wrote the sentence."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlxvid.gui.core.messages import shown
from tests import ROOT

# Flags, variables of the environment, commands, and what only programmers know.
TERMINAL = re.compile(
    r"(?<![\w/])--?[a-z]+\b(?!-)|\b(?:MLXVID|AGX|HF)_[A-Z_]+|python -m|\benvironment\b|\bpip\b"
    r"|(?i:traceback|stderr|stdout)"
)
# What only the command line says, or only a program reads; examples are for --help.
NOT_SHOWN = (
    *("mlxvid/cli/", "mlxvid/generate.py", "mlxvid/plan.py", "mlxvid/doctor.py"),
    *("mlxvid/hub/__main__.py", "convert/__main__.py", "mlxvid/run/checkup.py"),
    *("mlxvid/kernels/", "mlxvid/macos.py", "gui/core/messages.py"),
)
ALLOWED = (
    "is no size: give the GiB to leave free",  # of a variable that somebody has set
    "a name of --list-models",  # help of a flag; the window has a picker
)


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """What a file may say, with its line: strings with a space that are no docstrings.

    Constants of the module are filled in where they are used; everything else that is filled in
    stands as X.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
        elif isinstance(node, ast.keyword) and node.arg == "examples":
            passed |= set(ast.walk(node))
        elif isinstance(node, ast.Assign) and _is_constant(node.targets[0]):
            passed |= set(ast.walk(node.value))
    for node in ast.walk(tree):
        text = ""
        if node in passed:
            continue
        if isinstance(node, ast.JoinedStr):
            passed |= set(node.values)
            text = "".join(_piece(part, path) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if " " in text.strip():
            yield node.lineno, text


def _is_constant(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id.isupper()


def _piece(part: ast.expr, path: Path) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    name = part.value if isinstance(part, ast.FormattedValue) else None
    if not isinstance(name, ast.Name) or not name.id.isupper():
        return "X"
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts if parts[0] == "mlxvid" else ("mlxvid", *parts))
    return str(getattr(importlib.import_module(module), name.id, "X"))


def strange(room: str) -> list[str]:
    found = []
    for path in sorted((ROOT / room).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(NOT_SHOWN):
            continue
        for line, text in sentences(path):
            said = shown(text) if room != "gui" else text
            if TERMINAL.search(said) and not any(words in said for words in ALLOWED):
                found.append(f"{name}:{line}: {said}")
    return found


@pytest.mark.parametrize("room", ["gui", "mlxvid", "convert"])
def test_nothing_of_the_command_line_reaches_the_window(room):
    assert strange(room) == []


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "The latents could not be kept in /a (full); set MLXVID_CACHE to another folder.",
            "The latents could not be kept in /a (full); choose another folder for unfinished "
            "clips in Settings.",
        ),
        (
            "make a model of it with python -m mlxvid.convert '/a b/c.1' and go on",
            "make a model of it with Import in the Models window and go on",
        ),
        (
            "convert it: python -m mlxvid.convert /a/b.safetensors.",
            "convert it: Import in the Models window.",
        ),
        (
            "save it as PNG, on a Mac with: sips -s format png a b.heic -o a b.heic.png.",
            "save it as PNG, on a Mac with Preview.",
        ),
        (
            "let the display sleep, make it smaller, or set AGX_X_Y=1 in the environment",
            "let the display sleep, make it smaller, or let the GPU work longer in Settings",
        ),
    ],
)
def test_what_is_done_in_a_terminal_is_told_by_what_does_it_in_the_window(message, words):
    assert shown(message) == words
