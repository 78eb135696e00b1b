"""What a layout makes of the files that it recognises: a model in Diffusers' names, whose tensors
are still in their files.

A layout is a module with `recognises(files)` and `model(folder, files)`; :data:`LAYOUTS` in
recognise.py lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlxvid.errors import WeightsError
from mlxvid.weights.tensors import Tensor


@dataclass(frozen=True, eq=False)
class WeightFile:
    """Weights that belong together: a file, or the shards of an index, whose path inside the source
    it has.
    """

    path: str
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Component:
    """A network: its folder's name, what its config.json is to say, and its tensors by Diffusers'
    names.

    stem: of its files' names, as Diffusers and transformers have them. source: where it came from,
    for messages.
    """

    name: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    stem: str
    source: Path


@dataclass(frozen=True)
class Model:
    """title: what was recognised, in a few words. index: model_index.json. files: everything else
    by its path in the new folder, as the file to copy or the bytes to write. notes: what its user
    should know, a sentence each."""

    title: str
    index: dict[str, Any]
    components: list[Component]
    files: dict[str, Path | bytes]
    notes: list[str] = field(default_factory=list)


class Layout(Protocol):
    """The form of a layout's module."""

    def recognises(self, files: list[WeightFile]) -> bool:
        """Whether the tensors' names and shapes are this layout's."""

    def model(self, folder: Path, files: list[WeightFile]) -> Model:
        """The model in `folder`; raises :class:`WeightsError` where something of it is missing."""


def only(files: Iterable[WeightFile], what: str, remedy: str) -> WeightFile:
    """The one file among `files`, which hold `what`; raises :class:`WeightsError` for none, saying
    `remedy`, and for several.
    """
    found = list(files)
    if not found:
        raise WeightsError(f"There is no {what}; {remedy}.")
    if len(found) > 1:
        raise WeightsError(
            f"{found[0].path} and {found[1].path} are both the {what}; leave one of them in the folder."
        )
    return found[0]


def sides(tensors: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of the tensor `name`. Raises :class:`WeightsError` where it is missing or has
    another number of axes.
    """
    tensor = tensors.get(name)
    if tensor is None:
        some = next(iter(tensors.values()))
        raise WeightsError(f"There is no {name} beside {some.where}; download the model again.")
    if len(tensor.shape) != axes or not all(tensor.shape):
        raise WeightsError(
            f"{tensor.where} has the shape {tensor.shape}, which it can't have; download the model again."
        )
    return tensor.shape


def count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many blocks there are whose tensors' names begin with `prefix` and a number."""
    return len(
        {rest.split(".")[0] for name in tensors if (rest := name.removeprefix(prefix)) != name}
    )
