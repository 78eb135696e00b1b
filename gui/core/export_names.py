"""Names for copies of clips, and what is wrong with those that are typed."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from .copies import Copy, Source
from .recipes import ORIGINAL, Format


def ending(source: Source, form: Format) -> str:
    """The ending of a copy's name, "" for a folder."""
    return source.path.suffix if form is ORIGINAL else form.suffix


def free_name(folder: Path, stem: str, suffix: str, taken: Collection[Path] = ()) -> Path:
    """A path that nothing has yet: of that name, or with the first free number after it."""
    path = folder / f"{stem}{suffix}"
    number = 2
    while os.path.lexists(path) or path in taken:
        path = folder / f"{stem} {number}{suffix}"
        number += 1
    return path


def free_copies(
    sources: list[Source], folder: Path, form: Format, taken: Collection[Path]
) -> list[Copy]:
    """A copy of each clip in `folder`, under its own name or the first free one after it."""
    copies: list[Copy] = []
    used = set(taken)
    for source in sources:
        target = free_name(folder, source.path.stem, ending(source, form), used)
        used.add(target)
        copies.append(Copy(source, target))
    return copies


def named(folder: Path, name: str, suffix: str) -> Path:
    """The path of a name as it is typed, with its ending or without."""
    stem = name.strip()
    if suffix and stem.lower().endswith(suffix.lower()):
        stem = stem[: -len(suffix)]
    return folder / f"{stem}{suffix}"


def name_problem(name: str, target: Path, clips: Collection[str], taken: Collection[Path]) -> str:
    """What is wrong with a name, one sentence; "" where nothing is.

    clips: the files of the library's clips. taken: where copies go that are still being made.
    """
    if not name.strip().strip("."):
        return "Give the copy a name."
    if "/" in name or os.sep in name or "\0" in name:
        return "A name can't have a slash."
    if not target.parent.is_dir():
        return "This folder is not there any more: choose another."
    if str(target) in clips:
        return "That is a clip of the gallery: choose another name."
    if target in taken:
        return "That copy is still being made: choose another name."
    if target.is_dir():
        return "There is a folder of that name: choose another."
    return ""
