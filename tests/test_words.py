"""No family is named outside its own rooms: what concerns one family stands in its folder.

Code is looked at: names, and strings that are no docstrings. Docstrings and comments say where the
maths comes from, and may name whom it comes from. Tests may try a model of the catalog by its name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

# The names of the families; of the factored one only where the family is meant, since attention is
# called factored too.
NAMES = re.compile(
    r"(?i:(?<![a-z])wan(?![a-z]))|Wan(?![a-z])"  # not in "want"
    r"|(?i:(?<![a-z])latte(?![nr]))"  # not in "flatten" and "latter"
    r"|(?i:open-?sora)|(?i:(?<![a-z])ltx(?![a-z]))|(?i:ltxv)"
    r"|models[./]factored|FactoredPipeline"
)
ROOMS = ("mlxvid", "gui", "scripts")
# Where families are named, and why.
ALLOWED = (
    "mlxvid/models",
    "scripts/benchmarks",  # puts them beside their references
    "scripts/training",  # trains one of them
)


def found() -> Iterator[str]:
    """Every place that names a family where none should be named."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(ALLOWED):
                for line, word in words(path.read_text(encoding="utf-8")):
                    yield f"{name}:{line}: {word}"


def words(source: str) -> Iterator[tuple[int, str]]:
    """The names and strings of a file that name a family, with their lines."""
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.add(node.value)
    for node in ast.walk(tree):
        for word in _words_of(node):
            if node not in docstrings and NAMES.search(word):
                yield getattr(node, "lineno", 0), word


def _words_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(alias.name for alias in node.names)]
    return []


def test_families_are_named_in_their_rooms_only():
    places = list(found())
    assert not places, "\n".join(places)


def test_the_words_are_told_from_others():
    for line in ("wan2.1-t2v-1.3b", "AutoencoderKLWan", "WanPipeline", "Open-Sora", "latte-1"):
        assert NAMES.search(line), line
    for line in ("what is wanted", "tree_flatten(x)", "the latter", "I want", "factored attention"):
        assert not NAMES.search(line), line


def test_code_is_looked_at_and_docstrings_are_not(tmp_path: Path):
    source = (
        '"""After Diffusers\' WanPipeline."""\nfrom x import latte\nname = "wan"  # as Wan has it\n'
    )
    assert [word for _, word in words(source)] == ["latte", "wan"]
