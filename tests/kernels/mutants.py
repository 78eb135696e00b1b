"""Seeded mistakes: a kernel's text or its launch with one thing replaced, and what notices it."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from tests.metal_emulator import Fault, emulated


def passes(case: Any, launch: Callable[..., Any]) -> None:
    """Run a case in the emulator, and check what comes out."""
    with emulated():
        out = launch(*case.arguments())
        mx.eval(out)
    case.check(out)


def is_noticed(case: Any, launch: Callable[..., Any]) -> None:
    """That a case does not pass: by a fault of the emulator, or by a wrong result."""
    with pytest.raises((Fault, AssertionError)):
        passes(case, launch)


def launch_with(module: types.ModuleType, old: str, new: str) -> Callable[..., Any]:
    """The launch of a module in whose text `old` is replaced by `new` once."""
    assert module.__file__ is not None
    text = Path(module.__file__).read_text(encoding="utf-8")
    assert old in text, "the mutant's text is no longer in the launch code"
    mutant = types.ModuleType("mutant")
    mutant.__package__ = module.__package__  # for its relative imports
    exec(compile(text.replace(old, new, 1), "mutant", "exec"), mutant.__dict__)
    return mutant.launch


def replace_in_kernel(
    patch: pytest.MonkeyPatch, module: types.ModuleType, old: str, new: str, *options: bool
) -> None:
    """Have a module's kernel be with `new` once for `old`. options: what `sources` takes in a build
    that has `old`.
    """
    real = module.sources
    assert any(old in part for part in real(*options)), "the mutant's text is no longer there"

    def mutated(*given: bool) -> tuple[str, ...]:
        header, body = real(*given)
        if old in header:
            return header.replace(old, new, 1), body
        return header, body.replace(old, new, 1)

    patch.setattr(module, "sources", mutated)
