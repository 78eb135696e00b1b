"""The comparison of a whole folder of golden data, one printed line for each check."""

from __future__ import annotations

import math
import pkgutil
from importlib import import_module
from pathlib import Path

import tests.models

from .files import Check, Checker

UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError)


def checkers() -> dict[str, Checker]:
    """Every family's comparisons, by how the names of their files begin."""
    found: dict[str, Checker] = {}
    for family in pkgutil.iter_modules(tests.models.__path__, "tests.models."):
        if not family.ispkg:
            continue
        names = {
            module.name for module in pkgutil.iter_modules(import_module(family.name).__path__)
        }
        if "golden" in names:
            found |= import_module(f"{family.name}.golden").CHECKS
    return found


def compare(folder: Path) -> bool:
    """Compare mlxvid with all golden data in `folder` and print the results, the worst last.

    Returns whether there was something to compare and all of it was within its tolerance. Files
    that no comparison knows are named first and don't count against it.
    """
    known = checkers()
    names = golden_names(folder)
    strange = [name for name in names if not name.startswith(tuple(known))]
    if strange:
        print(f"not compared, since nothing here knows them: {', '.join(strange)}")
    results: list[Check] = []
    readable = True
    for prefix, check in known.items():
        if not any(name.startswith(prefix) for name in names):
            continue
        try:
            for result in check(folder):
                results.append(result)
                print(line(result), flush=True)
        except UNREADABLE as error:
            readable = False
            print(f"{prefix}*: can't be read or compared: {type(error).__name__}: {error}")
    if not results:
        print(f"{folder} holds no golden data that could be compared.")
        return False
    worst = max(results, key=excess)
    print(f"worst: {line(worst)}")
    return readable and excess(worst) <= 1


def golden_names(folder: Path) -> list[str]:
    """The names of the golden files in a folder, sorted."""
    kinds = (".json", ".safetensors")
    paths = [path for path in folder.glob("*") if path.suffix in kinds]
    return sorted(path.name for path in paths if path.name != "manifest.json")


def excess(result: Check) -> float:
    """The error as a share of its tolerance: above 1 where it is too large.

    Infinite where the tolerance is 0 and the error is not.
    """
    if result.tolerance:
        return result.error / result.tolerance
    return math.inf if result.error else 0.0


def line(result: Check) -> str:
    """One line for a result: what was compared, error, tolerance and verdict."""
    verdict = "ok" if excess(result) <= 1 else "TOO FAR"
    return f"{result.name:<72} {result.error:8.2g} of {result.tolerance:<6g} {verdict}"
