"""From what the user named to a folder on this machine, and from a folder to the tensors in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mlxvid import assemble, catalog, hub, needed
from mlxvid.configs import read_json
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.pipeline import Watch

from . import safetensors_file, torch_file
from .layouts import WeightFile
from .scales import scaled
from .tensors import Tensor, mapped

# In this order of preference, where a component is there in several.
ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
INDEX = ".index.json"
# Weights for other programs, which a folder may have beside those that are read here.
FOREIGN = (".ckpt", ".gguf", ".h5", ".msgpack", ".npz", ".onnx", ".onnx_data", ".ot")
PATTERNS = (*needed.PATTERNS, "*.bin", "*.pth", "*.pt")
# Files with numbers in their names come from an index, without which nobody knows whether all of them are there.
SHARD = re.compile(r"-\d{5}-of-\d{5}\.")


def find(source: str | os.PathLike, revision: str | None = None, watch: Watch | None = None) -> Path:
    """The folder that `source` names: itself, else the download of a catalog's model or of a hub repository ("owner/name"), which
    `watch` sees.

    Raises :class:`ModelNotFoundError` where there is none.
    """
    name = os.fspath(source)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        entry = catalog.find(name)
    except ModelNotFoundError:
        if folder.exists():
            raise ModelNotFoundError(f"{name} is a file; give the folder of the whole model.") from None
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise ModelNotFoundError(f"{name} is neither a folder here nor a hub repository (owner/name); check the spelling.") from None
        return hub.download(name, revision, PATTERNS, watch)
    return entry.folder or assemble.fetched(entry, revision, PATTERNS, watch)


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, in order, but hidden ones and those in hidden folders."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def is_weights(path: Path) -> bool:
    """Whether a file holds weights or is an index of files that do."""
    return path.suffix in ENDINGS + FOREIGN or path.name.endswith(INDEX)


def weight_groups(folder: Path, deep: bool) -> list[list[Path]]:
    """The weight files in `folder` (and, with `deep`, below it), those of one index together and led by it.

    Raises :class:`WeightsError` for an index that names files outside its folder or that are missing, and for shards without one.
    """
    here = [path for path in files_in(folder) if deep or path.parent == folder]
    groups, taken = [], set()
    for index in (path for path in here if path.name.endswith(INDEX)):
        shards = _shards(index)
        groups.append([index, *shards])
        taken.update(shards)
    for path in (path for path in here if path.suffix in ENDINGS and path not in taken):
        if SHARD.search(path.name):
            raise WeightsError(f"{path} is a part of something whose {INDEX} is missing or does not name it; download the model again.")
        groups.append([path])
    return groups


def _shards(index: Path) -> list[Path]:
    table = read_json(index).get("weight_map")
    names = list(table.values()) if isinstance(table, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name and Path(name).suffix in ENDINGS for name in names):
        raise WeightsError(f"{index} names a shard outside its folder, or none; download the model again.")
    shards = [index.parent / name for name in sorted(set(names))]
    for shard in shards:
        if not shard.is_file():
            raise WeightsError(f"{shard} is missing, and {index.name} names it; download the model again.")
    return shards


def best(groups: list[list[Path]]) -> list[Path]:
    """Of the groups in a component's folder, all the same weights: safetensors before PyTorch's, an index before a single file, and
    the one with the shortest name, which is not a variant such as ".fp16"."""

    def rank(group: list[Path]) -> tuple:
        return ENDINGS.index(group[-1].suffix), len(group) == 1, len(group[0].name), group[0].name

    return min(groups, key=rank)


def read_group(folder: Path, group: list[Path]) -> WeightFile:
    """The tensors of a group of :func:`weight_groups`. Raises :class:`WeightsError` for broken files and for a name in two of them."""
    tensors: dict[str, Tensor] = {}
    for path in group:
        if path.name.endswith(INDEX):
            continue
        for name, tensor in _read(path).items():
            if name in tensors:
                raise WeightsError(f"{tensors[name].where} is in {path.name} too; download the model again.")
            tensors[name] = tensor
    return WeightFile(str(group[0].relative_to(folder)), scaled(tensors))


def _read(path: Path) -> dict[str, Tensor]:
    """By what the file is, whatever it is called: checkpoints of PyTorch begin in a way that no safetensors file does."""
    is_torch = mapped(path)[: len(torch_file.LEGACY)].startswith((torch_file.ZIP, torch_file.LEGACY)) or path.suffix != ".safetensors"
    return torch_file.read(path) if is_torch else safetensors_file.read(path)


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Size and time of change (in nanoseconds) of every file below `folder`, by path: another model, or another version, differs."""
    return {str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_mtime_ns] for path in files_in(folder)}
