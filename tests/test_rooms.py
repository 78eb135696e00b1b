"""The direction of imports in the library: from the commands downwards, never up or in a circle.

Imports inside functions and under TYPE_CHECKING count too. mlxvid/__init__.py may import whatever
it exports.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests import ROOT

PACKAGE = "mlxvid"
# Top to bottom. A module imports from its own room and from the levels below it.
COMMANDS = {"generate", "plan", "worker", "doctor", "hub.__main__"}
EVERYONE = {
    *("progress", "paths", "errors", "in_use", "json_files", "version", "machines"),
    "padded_heads",
    *("macos", "metal_errors", "_blas", "_malloc", "_before_mlx", "_starting"),
}
LEVELS: list[set[str]] = [
    COMMANDS,
    {"cli"},
    {"run"},
    {"hub"},
    {"catalog"},
    {"models"},
    {"weights", "media"},
    {"model"},
    {"schedulers", "text"},
    {"layers"},
    {"kernels"},
    EVERYONE,
]
# The package itself, which exports what is in run and below.
LEVEL_OF_PACKAGE = 1
# Rooms that are installed inside the package, and that it must not know.
OUTSIDE = ("gui", "convert")


def module_name(path: Path) -> str:
    """A file's name as a module below mlxvid: "" of the package itself, "run.load"."""
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {module_name(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def imported(module: str) -> Iterator[str]:
    """The modules below mlxvid that a module imports, each time it does."""
    path = FILES[module]
    package = f"{PACKAGE}.{module}".rstrip(".").split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE:
                yield nearest_module(name.split(".")[1:])


def nearest_module(parts: list[str]) -> str:
    """The module that a dotted name stands for, or that holds it."""
    while parts and ".".join(parts) not in FILES and parts[0] not in OUTSIDE:
        parts = parts[:-1]
    return ".".join(parts)


def room(module: str) -> str:
    """The room of a module: a folder, a family's folder, or a module that stands in none.

    The commands are one room, and so are the modules that everyone may know.
    """
    parts = module.split(".")
    if module in COMMANDS:
        return "commands"
    if parts[0] in EVERYONE:
        return "everyone"
    return ".".join(parts[:2]) if parts[0] == "models" else parts[0]


def level(module: str) -> int:
    """A module's level, 0 at the top."""
    if module == "":
        return LEVEL_OF_PACKAGE
    if module in COMMANDS:
        return 0
    for index, rooms in enumerate(LEVELS):
        if module.split(".")[0] in rooms:
            return index
    raise AssertionError(f"{module} is at no level: add its room to LEVELS")


def family(module: str) -> str | None:
    """The family whose folder a module is in."""
    top, *rest = module.split(".")
    if top == "models" and rest and (ROOT / PACKAGE / top / rest[0]).is_dir():
        return rest[0]
    return None


def wrong(module: str, other: str) -> str | None:
    """What is wrong with a module's import of another, if anything is."""
    if other.split(".")[0] in OUTSIDE:
        return "the library doesn't know it"
    if family(module) and family(other) and family(module) != family(other):
        return "a family of another"
    if room(module) == room(other) or level(module) < level(other):
        return None
    if level(module) > level(other):
        return "upwards"
    # The registry of families and the families know each other; circles are looked for apart.
    return None if "models" in (room(module), room(other)) else "sideways"


def test_imports_go_downwards():
    violations = set()
    for module in FILES:
        for other in imported(module):
            fault = wrong(module, other) if module else None
            if fault:
                violations.add(f"{module} imports {other or PACKAGE}: {fault}")
    assert not violations, "\n".join(sorted(violations))


def test_no_circles():
    graph = {module: set(imported(module)) - {module, ""} for module in FILES if module}
    circles = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
            break
        except CycleError as error:
            # Listed from the imported to the importing module.
            circle = list(reversed(error.args[1]))
            circles.append(" -> ".join(circle))
            graph[circle[0]].discard(circle[1])
    assert not circles, "\n".join(circles)
