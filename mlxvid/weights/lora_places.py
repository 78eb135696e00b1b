"""Where the tensors of a LoRA belong in a network, and which of them it has no place for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import mlx.core as mx
import mlx.nn as nn

from mlxvid.errors import WeightsError

from .lora import first_few
from .lora_changes import APART, is_whole
from .lora_keys import bare, foreign_method, is_text_encoder, spellings, split
from .tensors import printable

Modules: TypeAlias = Mapping[str, nn.Module]
Place: TypeAlias = tuple[str, ...]
"""The names of a module with a weight, or of a tensor without one; of several where a LoRA has
their outputs in one layer, in their order."""


@dataclass
class LeftOut:
    """The layers of a LoRA that the network has no place for, by what they are."""

    picture: set[str] = field(default_factory=set)
    text: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def note(self, source: str) -> str | None:
        """What to say of it; None where nothing is left out."""
        said = []
        if self.picture:
            said.append(
                f"{_layers(self.picture)} for pictures, which this model reads in another way or "
                "not at all"
            )
        if self.text:
            said.append(f"{_layers(self.text)} of a text encoder, which LoRAs don't change here")
        if self.unknown:
            names = first_few(sorted(map(printable, self.unknown)))
            said.append(f"{_layers(self.unknown)} that this model hasn't got: {names}")
        return f"Left out of {source}: {'; '.join(said)}." if said else None


def _layers(names: set[str]) -> str:
    return f"{len(names)} layer{'s' if len(names) > 1 else ''}"


@dataclass
class Placed:
    """The file's key of each part of each place's change, and what is left out."""

    parts: dict[Place, dict[str, str]]
    left_out: LeftOut


def placed(network: nn.Module, keys: Iterable[str], source: str) -> Placed:
    """Each key's place and part.

    Raises :class:`WeightsError` for a method of adaptation that is not read, for parts that are no
    change of their layer, and where nothing has a place.
    """
    modules = dict(network.named_modules())
    places = _places(network, modules)
    found = Placed({}, LeftOut())
    broken = []
    for key in keys:
        method = foreign_method(key)
        if method is not None:
            raise WeightsError(
                f"{source} is made with {method} ({printable(key)}), which mlxvid can't add to a "
                "model; use a LoRA, DoRA, LoHa or LoKr."
            )
        spelled, part = split(key)
        place = _find(places, spelled)
        if is_text_encoder(key):
            found.left_out.text.add(spelled or key)
        elif place is None and reads_pictures(network, spelled):
            found.left_out.picture.add(bare(spelled))
        elif place is None:
            found.left_out.unknown.add(bare(spelled) or key)
        elif part in found.parts.setdefault(place, {}):
            broken.append(key)
        else:
            found.parts[place][part] = key
    for place, parts in found.parts.items():
        if not _takes(modules, place, set(parts)):
            broken += parts.values()
    if broken:
        names = first_few(sorted(map(printable, broken)))
        raise WeightsError(
            f"{names} in {source} are not what changes a layer of this model: some are missing, "
            "twice there, or of another kind of layer; download it again, or use another LoRA."
        )
    if not found.parts:
        raise nothing_fits(found.left_out, source)
    return found


def nothing_fits(left_out: LeftOut, source: str) -> WeightsError:
    """What is raised for a LoRA of another kind of model."""
    layers = left_out.unknown or left_out.picture or left_out.text
    names = first_few(sorted(map(printable, layers)))
    return WeightsError(
        f"{source} was made for another model: this one has no place for {names}; "
        "use a LoRA that was made for it."
    )


def reads_pictures(network: nn.Module, place: str) -> bool:
    """Whether a layer, by any of its names, depends on what pictures a model reads."""
    pattern = getattr(network, "PICTURE_LAYERS", None)
    return pattern is not None and bool(pattern.search(place))


def _places(network: nn.Module, modules: Modules) -> dict[str, Place]:
    """From every name in use to ours."""
    ours: list[str] = []
    for name, module in modules.items():
        leaves = [leaf for leaf, value in module.items() if isinstance(value, mx.array)]
        if "weight" in leaves:
            ours.append(name)
        else:
            ours += [f"{name}.{leaf}" if name else leaf for leaf in leaves]
    dotted: dict[str, Place] = {}
    other_names = [getattr(network, which, str) for which in ("original_name", "repackaged_name")]
    for rename in (str, *other_names):
        for place in ours:
            dotted.setdefault(rename(place), (place,))
    dotted = {**_fused(network, dotted), **dotted}
    flat = {name.replace(".", "_"): place for name, place in dotted.items()}
    return {**flat, **dotted}


def _fused(network: nn.Module, places: Mapping[str, Place]) -> dict[str, Place]:
    """From the names of layers that some trainers join to those that they are made of."""
    joined = {}
    for owner in {name.rpartition(".")[0] for name in places}:
        for name, children in getattr(network, "FUSED_LAYERS", {}).items():
            names = [f"{owner}.{child}" for child in children]
            if all(child in places for child in names):
                joined[f"{owner}.{name}"] = tuple(places[child][0] for child in names)
    return joined


def _find(places: Mapping[str, Place], spelled: str) -> Place | None:
    for name in spellings(spelled):
        if name in places:
            return places[name]
    return None


def _takes(modules: Modules, place: Place, parts: set[str]) -> bool:
    """Whether the parts are a whole change, of something that the layers of a place have."""
    if not is_whole(parts):
        return False
    for name in place:
        module = modules.get(name)
        if parts & {"diff_b", "up_b"} and (module is None or "bias" not in module):
            return False
        is_matrix = isinstance(module, (nn.Linear, nn.QuantizedLinear))
        if not is_matrix and (len(place) > 1 or not parts <= APART):
            return False
    return True
