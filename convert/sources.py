"""From what the user named to a folder on this machine, and from a folder to the tensors in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlxvid import catalog, hub
from mlxvid.errors import ModelNotFoundError
from mlxvid.hub import assembly as assemble
from mlxvid.hub import selection as needed
from mlxvid.progress import Watch
from mlxvid.weights import torch_file
from mlxvid.weights.files import ENDINGS, INDEX, SHARD, shards, unindexed
from mlxvid.weights.tensors import Tensor, joined, mapped

from . import safetensors_file
from .layouts import WeightFile
from .scales import scaled

# Weights for other programs, which a folder may have beside those that are read here.
FOREIGN = (".ckpt", ".gguf", ".h5", ".msgpack", ".npz", ".onnx", ".onnx_data", ".ot")
PATTERNS = (*needed.PATTERNS, *needed.TORCH)


def find(
    source: str | os.PathLike, revision: str | None = None, watch: Watch | None = None
) -> Path:
    """The folder that `source` names: itself, else the download of a catalog's model or of a hub
    repository ("owner/name"), which `watch` sees.

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
            raise ModelNotFoundError(
                f"{name} is a file; give the folder of the whole model."
            ) from None
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise ModelNotFoundError(
                f"{name} is neither a folder here nor a hub repository (owner/name); check the spelling."
            ) from None
        return hub.download(name, revision, PATTERNS, watch)
    return entry.folder or assemble.fetched(entry, revision, PATTERNS, watch)


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, in order, but hidden ones and those in hidden folders."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            yield path


def is_weights(path: Path) -> bool:
    """Whether a file holds weights or is an index of files that do."""
    return path.suffix in ENDINGS + FOREIGN or path.name.endswith(INDEX)


def weight_groups(folder: Path) -> list[list[Path]]:
    """The weight files in and below `folder`, those of one index together and led by it.

    Raises :class:`WeightsError` for an index that names files outside its folder or that are
    missing, and for shards without one.
    """
    here = list(files_in(folder))
    groups, taken = [], set()
    for index in (path for path in here if path.name.endswith(INDEX)):
        named = shards(index)
        groups.append([index, *named])
        taken.update(named)
    for path in (path for path in here if path.suffix in ENDINGS and path not in taken):
        if SHARD.search(path.name):
            raise unindexed(path)
        groups.append([path])
    return groups


def read_group(folder: Path, group: list[Path]) -> WeightFile:
    """The tensors of files that belong together. Raises :class:`WeightsError` for broken files and
    for a name in two of them.
    """
    tensors = joined((path for path in group if not path.name.endswith(INDEX)), _read)
    return WeightFile(str(group[0].relative_to(folder)), scaled(tensors))


def _read(path: Path) -> dict[str, Tensor]:
    """By what the file is, whatever it is called: checkpoints of PyTorch begin in a way that no
    safetensors file does.
    """
    is_torch = (
        mapped(path)[: len(torch_file.LEGACY)].startswith((torch_file.ZIP, torch_file.LEGACY))
        or path.suffix != ".safetensors"
    )
    return torch_file.read(path) if is_torch else safetensors_file.read(path)


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Size and time of change (in nanoseconds) of every file below `folder`, by path: another
    model, or another version, differs.
    """
    return {
        str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in files_in(folder)
    }
