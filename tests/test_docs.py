"""The documentation: what is made from the code is current, and what it names is there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from scripts import doc_pages
from tests import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "mlxvid" / "assets" / "README.md",
    ]
)
# What scripts/docs makes and the repository does not keep.
MADE = ("docs/api",)

LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^ {4}\S.*", re.MULTILINE)
COMMAND = re.compile(r"python3? -m (mlxvid\.\w+)(.*)")
PLACE = re.compile(r"(?:mlxvid|gui|convert|scripts|tests|docs)/[\w./-]*\w")


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def page(request) -> Path:
    return request.param


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> Iterator[str]:
    """A page's blocks of code in a language."""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == language:
            yield text


# --- what is made from the code ------------------------------------------------------------------


def test_the_page_of_settings_is_current():
    assert doc_pages.SETTINGS_PAGE.read_text(encoding="utf-8") == doc_pages.settings_page(), (
        "run scripts/docs"
    )


def test_the_table_of_what_fits_is_current():
    text = doc_pages.MODELS_PAGE.read_text(encoding="utf-8")
    assert doc_pages.BEGIN in text and doc_pages.END in text
    assert text == doc_pages.models_page(text), "run scripts/docs"


def test_the_tables_of_single_models_are_current():
    pages = doc_pages.model_pages()
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text == doc_pages.model_page(text), "run scripts/docs"


# --- links ---------------------------------------------------------------------------------------


def test_links_lead_somewhere(page):
    lost = [link for link in LINK.findall(prose(page)) if not leads_somewhere(page, link)]
    assert not lost


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether a link on a page leads to a file of the tree, and to a heading in it."""
    if link.startswith(("https://", "http://")):
        return True
    place, _, heading = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    if target.relative_to(ROOT).as_posix().startswith(MADE):
        return True
    return target.exists() and (not heading or heading in headings(target))


def headings(page: Path) -> set[str]:
    """The names that a page's headings have in links."""
    found = set()
    for line in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", line.lower())
        found.add(words.replace(" ", "-"))
    return found


def test_files_that_are_named_are_there(page):
    if page.name == "CHANGELOG.md":  # it tells of what was
        pytest.skip("names files of earlier versions")
    places = {place for code in CODE.findall(prose(page)) for place in PLACE.findall(code)}
    lost = [place for place in places if not (ROOT / place).exists() and not place.startswith(MADE)]
    assert not lost


# --- code ----------------------------------------------------------------------------------------


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every command of mlxvid on a page: its module, and the flags that it is given."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    quoted = CODE.findall(BLOCK.sub("", text)) + INDENTED.findall(text)
    for _, block in BLOCK.findall(text):
        quoted += block.splitlines()
    for line in quoted:
        match = COMMAND.search(line)
        if match:
            words = shlex.split(match[2], comments=True)
            flags = [word.partition("=")[0] for word in words if re.match("--?[a-z]", word)]
            yield match[1], flags


@cache
def help_of(module: str) -> str:
    """What a command says of itself."""
    run = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_commands_know_their_flags(page):
    unknown = []
    for module, flags in commands(page):
        if module == "mlxvid.gui":  # it has none, and would open a window
            assert not flags
            continue
        known = re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_of(module))
        unknown += [f"{module} {flag}" for flag in flags if flag not in known]
    assert not unknown


def test_python_is_right(page):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert is_in(module, alias.name), f"{node.module} has no {alias.name}"


def is_in(module: ModuleType, name: str) -> bool:
    """Whether a name can be imported from a module."""
    if hasattr(module, name):
        return True
    return importlib.util.find_spec(f"{module.__name__}.{name}") is not None
