"""Which files of a hub repository a model requires.

Those of its components, each component's weights once, and nothing else.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from mlxvid import models
from mlxvid.weights.files import ENDINGS

INDEX = "model_index.json"
SAFETENSORS = f"*{ENDINGS[0]}"
TORCH = tuple(f"*{ending}" for ending in ENDINGS[1:])
PATTERNS = ("*.json", SAFETENSORS, "*.model", "*.txt")
# In this order of preference, where a component is there in several formats.
WEIGHTS = tuple(ending.removeprefix(".") for ending in ENDINGS)

_SHARD = r"-\d{5}-of-\d{5}"
_KINDS = "|".join(WEIGHTS)
# As Diffusers names them: model.safetensors, model.fp16-00001-of-00002.safetensors or (formerly)
# model-00001-of-00002.fp16.safetensors
_FILE = re.compile(
    r"(?P<stem>[^.]+?)(\.(?P<variant>[^.]+?))?"
    rf"(?P<shard>{_SHARD})?(\.(?P<former>[^.]+))?\.(?P<kind>{_KINDS})"
)
# model.safetensors.index.json, model.safetensors.index.fp16.json
_TABLE = re.compile(rf"(?P<stem>[^.]+)\.(?P<kind>{_KINDS})\.index(\.(?P<variant>[^.]+))?\.json")


class WeightName(NamedTuple):
    """What the name of a weight file, or of an index of such files, says.

    stem: "model"; kind: its format, one of :data:`WEIGHTS`; variant: such as "fp16", or None.
    """

    stem: str
    kind: str
    variant: str | None
    is_shard: bool
    is_index: bool


def required_files(
    paths: Iterable[str], index: dict[str, Any] | None, patterns: Sequence[str] = PATTERNS
) -> list[str]:
    """Those of a repository's `paths` to download.

    index: its model_index.json. Where that names components, only their folders count, without
    weights that are there a second time: in half precision ("variants"), in one file beside
    several, in another format. Else everything that matches `patterns` is required. For a component
    that has no safetensors, where `patterns` ask for them, PyTorch's files are.
    """
    components = {name for name, value in (index or {}).items() if _is_component(value)}
    if components and SAFETENSORS in patterns:
        patterns = [*patterns, *TORCH]
    matching = [path for path in paths if _matches(path, patterns)]
    if index is None or not components:
        return matching
    # A family may use components that Diffusers' pipeline of that class does not name.
    family = models.by_pipeline().get(str(index.get("_class_name")))
    if family is not None:
        components |= family.parts.keys()
    inside = [path for path in matching if _folder(path) in components]
    required = [path for path in matching if path == INDEX]
    for _, group in groupby(sorted(inside), _folder):
        required += _weights_once(list(group))
    return required


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()


def _is_component(value: Any) -> bool:
    """Whether an entry of a model_index.json is a component that this model has.

    ["diffusers", "AutoencoderKLWan"] is one; [null, null] stands for one that it does without.
    """
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(isinstance(name, str) for name in value)


def _weights_once(paths: list[str]) -> list[str]:
    """The files of one folder, with each set of weights once."""
    names = {path: _parse_name(PurePosixPath(path).name) for path in paths}
    weights = {path: name for path, name in names.items() if name is not None}
    for prefer in (_in_one_format, _without_variants, _in_shards):
        weights = prefer(weights)
    return [path for path in paths if path in weights or names[path] is None]


def _parse_name(name: str) -> WeightName | None:
    """The parts of a weight file's or an index's name; None for any other name."""
    if found := _TABLE.fullmatch(name):
        return WeightName(found["stem"], found["kind"], found["variant"], True, True)
    if found := _FILE.fullmatch(name):
        variant = found["variant"] or found["former"]
        return WeightName(found["stem"], found["kind"], variant, bool(found["shard"]), False)
    return None


def _in_one_format(weights: dict[str, WeightName]) -> dict[str, WeightName]:
    kinds = {name.kind for name in weights.values()}
    best = min(kinds, key=WEIGHTS.index, default=None)
    return {path: name for path, name in weights.items() if name.kind == best}


def _without_variants(weights: dict[str, WeightName]) -> dict[str, WeightName]:
    plain = {path: name for path, name in weights.items() if not name.variant}
    return plain or weights


def _in_shards(weights: dict[str, WeightName]) -> dict[str, WeightName]:
    """The shards of each set that has an index: loading goes by it."""
    indexed = {name.stem for name in weights.values() if name.is_index}
    kept = {}
    for path, name in weights.items():
        if name.is_shard or name.stem not in indexed:
            kept[path] = name
    return kept
