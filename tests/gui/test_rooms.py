"""The rooms of the app import what they stand on, and never each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

GUI = Path(__file__).resolve().parents[2] / "gui"
NAME = "mlxvid.gui"
# What each room may import; the modules at the top may import every one.
FLOORS = {
    "widgets": {"widgets"},
    "core": {"core"},
    **{
        room: {room, "core", "widgets"}
        for room in (
            *("compose", "dialogs", "export", "gallery", "models", "player", "queue"),
            *("takes", "welcome"),
        )
    },
}
# Modules of what can only be on a screen; colours and pictures are in others.
WIDGETS = ("PySide6.QtWidgets", "PySide6.QtSvgWidgets")


def name_of(path: Path) -> str:
    """The module that a file is."""
    parts = path.relative_to(GUI).with_suffix("").parts
    return ".".join((NAME, *parts)).removesuffix(".__init__")


MODULES = {name_of(path): path for path in GUI.rglob("*.py")}


def room_of(module: str) -> str:
    """The room that a module of the app is in; "" at the top."""
    room = module.removeprefix(NAME).lstrip(".").partition(".")[0]
    return room if room in FLOORS else ""


def imports(module: str) -> set[str]:
    """Everything that a module imports, at any place in it, and for types alone too."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*parents, source]).rstrip(".")
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) or {source}
    return found


def test_every_folder_is_a_room():
    assert {path.parent.name for path in GUI.glob("*/__init__.py")} == FLOORS.keys()


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_what_it_stands_on(room):
    strangers = {
        (module, name)
        for module in MODULES
        if room_of(module) == room
        for name in imports(module)
        if name.startswith(NAME) and room_of(name) not in FLOORS[room]
    }
    assert not strangers


def test_the_core_has_no_widgets():
    for module in MODULES:
        if room_of(module) == "core":
            assert not [name for name in imports(module) if name.startswith(WIDGETS)], module


def test_widgets_know_nothing_of_mlxvid():
    for module in MODULES:
        if room_of(module) == "widgets":
            own = [name for name in imports(module) if name.startswith("mlxvid")]
            assert all(room_of(name) == "widgets" for name in own), (module, own)


def test_no_module_imports_itself_by_way_of_others():
    known = {module: imports(module) & MODULES.keys() for module in MODULES}
    while known:  # take away what imports nothing that is left
        ready = [module for module, needs in known.items() if not needs & known.keys()]
        assert ready, f"a circle among {sorted(known)}"
        for module in ready:
            del known[module]
