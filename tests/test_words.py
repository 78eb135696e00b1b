"""No family is named outside its own rooms: what concerns one family stands in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

# The names of the families; of the factored one only where the family is meant, since attention is
# called factored too.
NAMES = re.compile(
    r"(?i:(?<![a-z])wan(?![a-z]))|Wan(?![a-z])"  # not in "want"
    r"|(?i:(?<![a-z])latte(?![nr]))"  # not in "flatten" and "latter"
    r"|(?i:open-?sora)"
    r"|models[./]factored|FactoredPipeline"
)
ROOMS = ("mlxvid", "gui", "convert", "scripts", "tests")
# Where families are named, and why.
ALLOWED = (
    "mlxvid/models",
    "tests/models",
    "convert",  # reads their original checkpoints
    "tests/convert",
    "scripts/benchmarks",  # puts them beside their references
    "scripts/training",  # trains one of them
    "tests/run/unchanged_clips.py",  # a clip of each
    "tests/test_words.py",
)


def lines_with_names() -> Iterator[str]:
    """Every line that names a family where none should be named."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not any(name == place or name.startswith(f"{place}/") for place in ALLOWED):
                yield from named(path, name)


def named(path: Path, name: str) -> Iterator[str]:
    """The lines of a file that name a family."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if NAMES.search(line):
            yield f"{name}:{number}: {line.strip()}"


def test_families_are_named_in_their_rooms_only():
    found = list(lines_with_names())
    assert not found, "\n".join(found)


def test_the_words_are_told_from_others():
    for line in ("wan2.1-t2v-1.3b", "AutoencoderKLWan", "WanPipeline", "Open-Sora", "latte-1"):
        assert NAMES.search(line), line
    for line in ("what is wanted", "tree_flatten(x)", "the latter", "I want", "factored attention"):
        assert not NAMES.search(line), line
