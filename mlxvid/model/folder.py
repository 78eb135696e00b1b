"""A model folder's JSON files, read and checked.

No MLX here: plans and the desktop app read them too.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json

Config = TypeVar("Config")

# The annotations that a config's fields may have, and what JSON must hold for them.
_KINDS: dict[str, Any] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "dict": dict,
    "dict | None": (dict, type(None)),
    "list": list,
    "list[int]": list,
    "list[str]": list,
    "list[float]": list,
    "list[bool]": list,
    "list[float] | None": (list, type(None)),
    "list[int] | None": (list, type(None)),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
    "str | None": (str, type(None)),
    "bool | None": (bool, type(None)),
}

# Layers are built before the weights are looked at, so that a damaged number would build for ever.
_REPEATED = ("layers", "depth", "blocks")
MAX_REPEATS = 1000


CONVERT = "python -m mlxvid.convert"


def around(path: Path) -> Path | None:
    """The model's folder for a component of it or a file in one, or that is the only one in a
    folder, as in the hub's cache; None where there is none.
    """
    for parent in path.absolute().parents[:2]:
        if (parent / "model_index.json").is_file():
            return parent
    inner: list[Path] = []
    for pattern in ("[!.]*/model_index.json", "snapshots/*/model_index.json"):
        inner += [index.parent for index in sorted(path.glob(pattern))]
    return inner[0] if len(inner) == 1 else None


def holds_loras(path: Path) -> bool:
    """Whether a folder's weights are LoRAs', by the names of its files and its own."""
    names = [file.name for file in path.glob("[!.]*") if file.suffix in (".safetensors", ".pt")]
    is_called_so = ["lora" in f"{path.name}/{name}".lower() for name in names]
    return "adapter_model.safetensors" in names or bool(names) and all(is_called_so)


def _no_model(path: Path) -> WeightsError:
    """What is raised for a folder without model_index.json."""
    whole = around(path)
    if whole is not None:
        remedy = f"give {whole}"
    elif holds_loras(path):
        remedy = "a LoRA is added to a model with `loras`"
    else:
        remedy = f"make a model of an original release with {CONVERT} {shlex.quote(str(path))}"
    return WeightsError(
        f"{path} has no model_index.json, as a model in the Diffusers layout has; {remedy}."
    )


class Folder:
    """A model in the Diffusers layout, as far as its JSON files describe it.

    These are model_index.json, and a config.json a component.
    """

    def __init__(self, path: Path):
        """Raises :class:`WeightsError` where `path` has no readable model_index.json."""
        self.path = path
        if not (path / "model_index.json").is_file():
            raise _no_model(path)
        self.index = read_json(path / "model_index.json")

    def require_match(self, ours: tuple[Any, ...], others: tuple[Any, ...]) -> None:
        """Raise :class:`WeightsError` unless the sizes of one component are those that the others
        need.
        """
        if ours != others:
            raise WeightsError(
                f"The parts of {self.path} come from different models; download or convert the "
                "model again."
            )

    def require_files(self, needed: Iterable[Sequence[str]]) -> None:
        """Raise :class:`WeightsError` unless one file of each group is there."""
        for alternatives in needed:
            if not any((self.path / name).is_file() for name in alternatives):
                raise WeightsError(
                    f"{self.path / alternatives[0]} is missing; download or convert the model "
                    "again."
                )

    def json(self, component: str, file: str = "config.json") -> dict:
        """The JSON object in a component's `file`."""
        return read_json(self.path / component / file)

    def config(self, component: str, cls: type[Config]) -> Config:
        """The component's sizes."""
        return from_json(cls, self.json(component), self.path / component / "config.json")

    def parse(self, key: str, cls: type[Config]) -> Config | None:
        """A dataclass from what model_index.json has at `key`; None where it has nothing there."""
        return (
            from_json(cls, self.index[key], self.path / "model_index.json")
            if key in self.index
            else None
        )


def from_json(cls: type[Config], values: Any, path: Path) -> Config:
    """A dataclass from a JSON object, and what it has of dataclasses from the objects in that.

    Unknown keys are ignored, missing ones get the class's defaults. Raises :class:`WeightsError`,
    naming `path`, for values that it can't have.
    """
    values = values if isinstance(values, dict) else {}
    annotations = {field.name: str(field.type) for field in fields(cast(Any, cls))}
    types = get_type_hints(cls)
    known = {name: values[name] for name in annotations if name in values}
    wrong = ""
    for name, value in known.items():
        if is_dataclass(types[name]):
            known[name] = from_json(types[name], value, path)
        elif not wrong and not _possible(name, value, annotations[name]):
            wrong = name
    try:
        if not wrong:
            return cls(**known)
    except (TypeError, ValueError) as error:
        wrong = str(error)
    raise WeightsError(
        f"{path} does not describe a model that mlxvid can make ({wrong}); download or convert the "
        "model again."
    )


def _possible(name: str, value: Any, annotation: str) -> bool:
    """Whether a config's field can have this value, as far as that shows in it alone."""
    if not isinstance(value, _KINDS[annotation]):
        return False
    if not any(word in name for word in _REPEATED):
        return True
    counts = value if isinstance(value, list) else [value]
    return all(count <= MAX_REPEATS for count in counts if isinstance(count, int))
