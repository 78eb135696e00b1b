"""Which files of a hub repository a model needs: those of its components, each component's weights
once, and nothing else.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from mlxvid import models
from mlxvid.weights.files import ENDINGS

INDEX = "model_index.json"
SAFETENSORS, TORCH = f"*{ENDINGS[0]}", tuple(f"*{ending}" for ending in ENDINGS[1:])
PATTERNS = ("*.json", SAFETENSORS, "*.model", "*.txt")
# In this order of preference, where a component is there in several formats.
WEIGHTS = tuple(ending.removeprefix(".") for ending in ENDINGS)

_SHARD = r"-\d{5}-of-\d{5}"
_KINDS = "|".join(WEIGHTS)
# As Diffusers names them: model.safetensors, model.fp16-00001-of-00002.safetensors or (formerly)
# model-00001-of-00002.fp16.safetensors
_FILE = re.compile(
    rf"(?P<stem>[^.]+?)(\.(?P<variant>[^.]+?))?(?P<shard>{_SHARD})?(\.(?P<former>[^.]+))?\.(?P<kind>{_KINDS})"
)
# model.safetensors.index.json, model.safetensors.index.fp16.json
_TABLE = re.compile(rf"(?P<stem>[^.]+)\.(?P<kind>{_KINDS})\.index(\.(?P<variant>[^.]+))?\.json")


def needed(
    paths: Iterable[str], index: dict[str, Any] | None, patterns: Sequence[str] = PATTERNS
) -> list[str]:
    """Those of a repository's `paths` to download.

    index: its model_index.json. Where that names components, only their folders count, without
    weights that are there a second time: in half precision ("variants"), in one file beside
    several, in another format. Else everything that matches `patterns` is needed. For a component
    that has no safetensors, where `patterns` ask for them, PyTorch's files are.
    """
    components = {name for name, value in (index or {}).items() if _is_component(value)}
    if components and SAFETENSORS in patterns:
        patterns = [*patterns, *TORCH]
    kept = [path for path in paths if any(fnmatch.fnmatch(path, pattern) for pattern in patterns)]
    if not components:
        return kept
    # A family may use components that Diffusers' pipeline of that class does not, and so does not
    # name.
    family = models.by_pipeline().get(str((index or {}).get("_class_name")))
    components |= family.parts.keys() if family else set()
    inside = [path for path in kept if PurePosixPath(path).parent.as_posix() in components]
    once = [
        path
        for _, group in groupby(sorted(inside), lambda path: path.rpartition("/")[0])
        for path in _once(list(group))
    ]
    return [path for path in kept if path == INDEX] + once


def _is_component(value: Any) -> bool:
    """["diffusers", "AutoencoderKLWan"] is one; [null, null] stands for one that this model does
    without.
    """
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value)
    )


def _once(paths: list[str]) -> list[str]:
    """The files of one folder, with each set of weights once."""
    weights = {path: found for path in paths if (found := _read(path.rpartition("/")[2]))}
    for prefer in (_in_one_format, _without_variants, _in_shards):
        weights = prefer(weights)
    return [path for path in paths if path in weights or not _read(path.rpartition("/")[2])]


def _read(name: str) -> dict[str, str | None] | None:
    """What the name of a weight file, or of an index of such files, tells; None for any other name."""
    if found := _TABLE.fullmatch(name):
        return {**found.groupdict(), "shard": "index"}
    if found := _FILE.fullmatch(name):
        facts = found.groupdict()
        return {**facts, "variant": facts["variant"] or facts["former"]}
    return None


def _without_variants(weights: dict[str, dict]) -> dict[str, dict]:
    plain = {path: facts for path, facts in weights.items() if not facts["variant"]}
    return plain or weights


def _in_one_format(weights: dict[str, dict]) -> dict[str, dict]:
    kind = min((facts["kind"] for facts in weights.values()), key=WEIGHTS.index, default=None)
    return {path: facts for path, facts in weights.items() if facts["kind"] == kind}


def _in_shards(weights: dict[str, dict]) -> dict[str, dict]:
    """Loading goes by an index where there is one."""
    indexed = {facts["stem"] for facts in weights.values() if facts["shard"] == "index"}
    return {
        path: facts
        for path, facts in weights.items()
        if facts["shard"] or facts["stem"] not in indexed
    }
