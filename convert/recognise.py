"""Recognises a model's layout: by model_index.json, or by its tensors' names and shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.weights.unpickle import NoWeightsError

from . import diffusers_folder, families, sources, unfinished
from .release import Release, WeightFile


def recognise(source: Path) -> Release:
    """The model in `source`, a folder or a file.

    Raises :class:`WeightsError` where mlxvid knows none, or where it is broken or incomplete.
    """
    if diffusers_folder.recognises(source):
        return diffusers_folder.read_release(source)
    folder = source if source.is_dir() else source.parent
    files: list[WeightFile] = []
    groups, unread = sources.weight_groups(source)
    for group in groups:
        try:
            files += sources.read_group(folder, group)
        except WeightsError as error:
            unread.append(sources.Unread(group[0], error))
    try:
        release = _read_release(folder, files)
    except WeightsError as error:
        raise _reason(error, unread, source) from None
    notes = []
    for path, _ in unread:
        left = path.relative_to(folder)
        notes.append(f"Left out: {left}, which has no weights of this model.")
    return dataclasses.replace(release, notes=[*release.notes, *notes])


def _read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    layouts = list(families.layouts())
    for layout in layouts:
        if layout.recognises(files):
            return layout.read_release(folder, files)
    for layout in layouts:
        if layout.has_part(files):
            return layout.read_release(folder, files)
    raise unfinished.unknown(folder, files)


def _reason(error: WeightsError, unread: Sequence[sources.Unread], source: Path) -> WeightsError:
    """Why there is no model: a file that may be a part of it can't be read, or it isn't there."""
    damaged = [other for _, other in unread if not isinstance(other, NoWeightsError)]
    if damaged:
        return damaged[0]
    broken_off = unfinished.broken_off(source)
    if broken_off:
        return WeightsError(f"{str(error).rstrip('.')}: the download of {broken_off} broke off.")
    unreadable = unfinished.unreadable(source)
    if unreadable:
        return unreadable
    if unread:
        return WeightsError(f"{str(error).rstrip('.')}; not used: {unread[0][1]}")
    return error
