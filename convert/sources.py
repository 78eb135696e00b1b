"""Finds the folder of the model that the user named, and the weight files in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mlxvid import catalog, hub
from mlxvid.errors import ModelNotFoundError
from mlxvid.hub import assembly, selection
from mlxvid.progress import Watch
from mlxvid.weights import safetensors_file, torch_file
from mlxvid.weights.files import ENDINGS, INDEX, SHARD, shards, unindexed
from mlxvid.weights.fp8_scales import with_scales
from mlxvid.weights.tensors import Tensor, joined, mapped

from .release import WeightFile

# Weights for other programs, which a folder may have beside those that are read here.
FOREIGN = (".ckpt", ".gguf", ".h5", ".msgpack", ".npz", ".onnx", ".onnx_data", ".ot")
PATTERNS = (*selection.PATTERNS, *selection.TORCH)


def find(
    source: str | os.PathLike[str], revision: str | None = None, watch: Watch | None = None
) -> Path:
    """The folder that `source` names, downloaded if need be, with progress reported to `watch`.

    source: a folder, a name of the catalog, or a hub repository ("owner/name"). Raises
    :class:`ModelNotFoundError` where it is none of them.
    """
    name = os.fspath(source)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        card = catalog.find(name)
    except ModelNotFoundError:
        if folder.exists():
            raise ModelNotFoundError(
                f"{name} is a file; give the folder of the complete model."
            ) from None
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise ModelNotFoundError(
                f"{name} is neither a folder here nor a hub repository (owner/name); "
                "check the spelling."
            ) from None
        return hub.download(name, revision, PATTERNS, watch)
    return card.folder or assembly.fetched(card, revision, PATTERNS, watch)


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, in order, hidden ones and those in hidden folders excepted."""
    for path in sorted(folder.rglob("*")):
        names = path.relative_to(folder).parts
        hidden = any(name.startswith(".") for name in names)
        if path.is_file() and not hidden:
            yield path


def is_weights(path: Path) -> bool:
    """Whether a file holds weights or is an index of files that do."""
    return path.suffix in ENDINGS + FOREIGN or path.name.endswith(INDEX)


def weight_groups(folder: Path) -> list[list[Path]]:
    """The weight files below `folder`, each by itself or after the index that names it.

    Raises :class:`WeightsError` for an index that names files outside its folder or that are
    missing, and for shards without an index.
    """
    files = list(files_in(folder))
    groups = []
    indexed: set[Path] = set()
    for index in files:
        if index.name.endswith(INDEX):
            named = shards(index)
            groups.append([index, *named])
            indexed.update(named)
    for path in files:
        if path.suffix not in ENDINGS or path in indexed:
            continue
        if SHARD.search(path.name):
            raise unindexed(path)
        groups.append([path])
    return groups


def read_group(folder: Path, group: list[Path]) -> WeightFile:
    """The tensors of weight files that belong together.

    Raises :class:`WeightsError` for broken files and for a name in two of them.
    """
    weights = [path for path in group if not path.name.endswith(INDEX)]
    tensors = joined(weights, _read)
    return WeightFile(str(group[0].relative_to(folder)), with_scales(tensors))


def _read(path: Path) -> dict[str, Tensor]:
    """The file's tensors, read by its content where the name misleads.

    PyTorch's checkpoints begin in a way that no safetensors file does.
    """
    start = mapped(path)[: len(torch_file.LEGACY)]
    by_content = start.startswith((torch_file.ZIP, torch_file.LEGACY))
    if by_content or path.suffix != ".safetensors":
        return torch_file.read(path)
    return safetensors_file.read(path)


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Size and modification time (in nanoseconds) of every file below `folder`, by path.

    It differs for another model, and for another version of the same.
    """
    found = {}
    for path in files_in(folder):
        stat = path.stat()
        found[str(path.relative_to(folder))] = [stat.st_size, stat.st_mtime_ns]
    return found
