"""A model as it was found: components and files by Diffusers' names, tensors still on disk.

A layout is a module with `recognises(files)`, `has_part(files)` and `read_release(folder, files)`,
which makes a :class:`Release`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlxvid.errors import WeightsError
from mlxvid.weights.tensors import Tensor
from mlxvid.weights.torch_file import without_names
from mlxvid.weights.wrappers import is_average


@dataclass(frozen=True, eq=False)
class WeightFile:
    """Weights that belong together: one file, or the shards of an index.

    path: of the file or the index, relative to the source. tensors: by their names. inside: the
    tables and prefixes of the file in which they were found. passed_over: those beside them of
    which these tensors are an average. unnamed: the averages of these, whose tensors have no names.
    """

    path: str
    tensors: Mapping[str, Tensor]
    inside: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.path} ({'.'.join(self.inside)})" if self.inside else self.path


@dataclass(frozen=True)
class Component:
    """A network of the model.

    name: of its folder. config: the content of its config.json. tensors: by Diffusers' names.
    stem: of its weight files' names, as Diffusers and transformers have them. source: where it came
    from, for messages.
    """

    name: str
    config: dict[str, Any]
    tensors: Mapping[str, Tensor]
    stem: str
    source: Path


@dataclass(frozen=True)
class Release:
    """A model whose layout was recognised.

    title: what was recognised, in a few words. index: the content of model_index.json. files: all
    others by their path in the new folder, as the file to copy or the bytes to write. notes: what
    the user should know, a sentence each.
    """

    title: str
    index: Mapping[str, Any]
    components: Sequence[Component]
    files: Mapping[str, Path | bytes]
    notes: Sequence[str] = field(default_factory=list)


class Layout(Protocol):
    """The interface of a layout's module."""

    def recognises(self, files: Sequence[WeightFile]) -> bool:
        """Whether the tensors' names and shapes are this layout's."""

    def has_part(self, files: Sequence[WeightFile]) -> bool:
        """Whether another component is there that only this layout has."""

    def read_release(self, folder: Path, files: Sequence[WeightFile]) -> Release:
        """The model in `folder`; raises :class:`WeightsError` where a component is missing."""


def files_with(files: Iterable[WeightFile], *alternatives: frozenset[str]) -> list[WeightFile]:
    """The files that have all the tensors that one of `alternatives` names."""
    found = []
    for file in files:
        if any(file.tensors.keys() >= names for names in alternatives):
            found.append(file)
    return found


def single(files: Sequence[WeightFile], what: str, remedy: str) -> WeightFile:
    """The only one of `files`, which hold `what`; the average over the training, where one is.

    Raises :class:`WeightsError` for none, with `remedy`, and for several.
    """
    averages = [file for file in files if is_average(file.path)]
    if len(averages) == 1 < len(files):
        others = tuple(str(file) for file in files if file not in averages)
        return dataclasses.replace(averages[0], passed_over=others)
    if not files:
        raise WeightsError(f"There is no {what}; {remedy}.")
    if len(files) > 1:
        first, second = files[:2]
        raise WeightsError(
            f"{first} and {second} are both the {what}; give a folder with only one of them "
            "(links to the files will do)."
        )
    return files[0]


def left_out(files: Iterable[WeightFile], used: Sequence[WeightFile]) -> list[str]:
    """Notes on the averages that were taken, and on the files that no component was read from."""
    notes = []
    for file in used:
        if file.passed_over:
            others = ", ".join(file.passed_over)
            notes.append(f"Taken: {file}, the average over the training, and not {others}.")
        if file.unnamed:
            notes.append(f"Taken: {file}{without_names(file.unnamed)}")
    taken = [(file.path, file.inside) for file in used]
    passed_over = {name for file in used for name in file.passed_over}
    for file in files:
        if (file.path, file.inside) not in taken and str(file) not in passed_over:
            notes.append(f"Left out: {file}, which is not part of this model.")
    return notes


def shape_of(tensors: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of the tensor `name`.

    Raises :class:`WeightsError` where it is missing, is empty or has another number of axes.
    """
    tensor = tensors.get(name)
    if tensor is None:
        other = next(iter(tensors.values()))
        raise WeightsError(f"There is no {name} beside {other.where}; download the model again.")
    if len(tensor.shape) != axes or not all(tensor.shape):
        raise WeightsError(
            f"{tensor.where} has the shape {tensor.shape} where {axes} axes are needed, "
            "none of them empty; download the model again."
        )
    return tensor.shape


def block_count(tensors: Iterable[str], prefix: str) -> int:
    """The number of blocks whose tensors' names begin with `prefix` and the block's number."""
    numbers = set()
    for name in tensors:
        if name.startswith(prefix):
            numbers.add(name.removeprefix(prefix).split(".")[0])
    return len(numbers)
