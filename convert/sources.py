"""Finds the folder of the model that the user named, and the weight files in it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mlxvid import catalog, hub
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.hub import assembly, kinds, selection
from mlxvid.progress import Watch
from mlxvid.weights import safetensors_file, torch_file
from mlxvid.weights.files import ENDINGS, SHARD, is_index, shards, unindexed
from mlxvid.weights.fp8_scales import with_scales
from mlxvid.weights.quantized import integers_in, program_of, refusal
from mlxvid.weights.tensors import Tensor, joined, mapped
from mlxvid.weights.wrappers import Table

from .layouts import wan_others
from .release import WeightFile
from .unwrap import networks

# Weights for other programs, which a folder may have beside those that are read here.
FOREIGN = (".gguf", ".h5", ".msgpack", ".npz", ".onnx", ".onnx_data", ".ot")
# Lightning and others call PyTorch's files so.
READ = (*ENDINGS, ".ckpt")
PATTERNS = (*selection.PATTERNS, *selection.TORCH)


def find(
    source: str | os.PathLike[str], revision: str | None = None, watch: Watch | None = None
) -> Path:
    """The folder that `source` names, downloaded if need be, with progress reported to `watch`.

    source: a folder, a file with all of a model in it, a name of the catalog, or a hub repository
    ("owner/name"). Raises :class:`ModelNotFoundError` where it is none of them.
    """
    name = os.fspath(source)
    folder = Path(os.path.expanduser(name))
    # Not Path's own questions, which fail at a name that is too long.
    if os.path.isdir(folder) or _ending(folder) in READ and os.path.isfile(folder):
        return folder
    try:
        card = catalog.find(name)
    except ModelNotFoundError:
        if os.path.exists(folder) or "://" in name:
            raise
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise ModelNotFoundError(
                f"{name} is neither a folder here nor a hub repository (owner/name); "
                "check the spelling."
            ) from None
        return hub.download(name, revision, PATTERNS, watch, check=_check)
    return card.folder or assembly.released(card, revision, PATTERNS, watch)


def _check(repo: str, folder: Path, sizes: Mapping[str, int]) -> None:
    """Raise where a hub repository is no release that can be converted."""
    wan_others.check_repository(repo, sizes)
    kinds.check_release(repo, folder, sizes)


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, in order, hidden ones and those in hidden folders excepted.

    Linked folders are followed, each real one once. Of a file, that file alone.
    """
    if folder.is_file():
        yield folder
        return
    seen = {folder.resolve()}
    waiting = [folder]
    while waiting:
        inside = sorted(waiting.pop().glob("[!.]*"))
        yield from (path for path in inside if path.is_file())
        for path in reversed(inside):
            if path.is_dir() and path.resolve() not in seen:
                seen.add(path.resolve())
                waiting.append(path)


def is_weights(path: Path) -> bool:
    """Whether a file holds weights or is an index of files that do."""
    return _ending(path) in READ + FOREIGN or is_index(path)


def _ending(path: Path) -> str:
    return path.suffix.lower()


class Unread(NamedTuple):
    """A file that can't be read, and why."""

    path: Path
    error: WeightsError


def weight_groups(folder: Path) -> tuple[list[list[Path]], list[Unread]]:
    """The weight files below `folder`, each by itself or after the index that names it; and what
    can't be read: an index that names files outside its folder or that are missing, and shards
    without an index.
    """
    files = list(files_in(folder))
    groups = []
    unread = []
    seen: set[Path] = set()
    for index in files:
        if is_index(index) and _is_of_weights(index):
            try:
                named = shards(index)
            except WeightsError as error:
                unread.append(Unread(index, error))
                seen.update(path.resolve() for path in _named_alike(index))
                continue
            groups.append([index, *named])
            seen.update(path.resolve() for path in named)
    for path in files:
        # One file may be linked to from several folders.
        if _ending(path) not in READ or path.resolve() in seen:
            continue
        seen.add(path.resolve())
        if SHARD.search(path.name):
            unread.append(Unread(path, unindexed(path)))
        else:
            groups.append([path])
    return groups, unread


def _named_alike(index: Path) -> list[Path]:
    """The shards that an index is likely to name, by their names."""
    stem = index.name.partition(".")[0]
    alike = [path for path in index.parent.glob("*") if SHARD.search(path.name)]
    return [path for path in alike if path.name.startswith(stem)]


def _is_of_weights(index: Path) -> bool:
    """Whether an index is of files that are read here, and not of another program's."""
    return any(f"{ending}.index" in index.name for ending in ENDINGS)


def read_group(folder: Path, group: list[Path]) -> list[WeightFile]:
    """The networks in weight files that belong together.

    Raises :class:`WeightsError` for broken files and for a name in two of them, and
    :class:`NoWeightsError` for files of something else.
    """
    tables: list[Table] = []

    def read(path: Path) -> dict[str, Tensor]:
        if not _is_torch(path):
            return safetensors_file.read(path)
        content = torch_file.open_content(path)
        tables.append(content.table)
        return content.tensors

    weights = [path for path in group if not is_index(path)]
    stored = joined(weights, read)
    program = program_of(stored)
    integers = integers_in({name: tensor.dtype for name, tensor in stored.items()})
    if program is None and integers is not None:
        program = f"another program, to integers ({integers})"
    if program is not None:
        raise refusal(group[0], program)
    tensors = with_scales(stored)
    table = tables[0] if tables else Table({}, (), ())
    path = str(group[0].relative_to(folder))
    files = networks(path, tensors, table.keys)
    return [
        dataclasses.replace(
            file, passed_over=(*table.passed_over, *file.passed_over), unnamed=table.unnamed
        )
        for file in files
    ]


def read_component(folder: Path, group: list[Path]) -> WeightFile:
    """The one network in weight files that belong together; raises as :func:`read_group` does."""
    files = read_group(folder, group)
    if len(files) == 1:
        return files[0]
    tensors: dict[str, Tensor] = {}
    for file in files:
        prefix = "".join(f"{key}." for key in file.inside)
        tensors |= {prefix + name: tensor for name, tensor in file.tensors.items()}
    return WeightFile(files[0].path, tensors)


def _is_torch(path: Path) -> bool:
    """Whether a file is PyTorch's, by its content where the name misleads.

    PyTorch's checkpoints begin in a way that no safetensors file does.
    """
    start = mapped(path)[: len(torch_file.LEGACY)]
    by_content = start.startswith((torch_file.ZIP, torch_file.LEGACY))
    return by_content or _ending(path) != ".safetensors"


def fingerprint(folder: Path) -> dict[str, list[int]]:
    """Size and modification time (in nanoseconds) of every file below `folder`, by path.

    It differs for another model, and for another version of the same.
    """
    found = {}
    for path in files_in(folder):
        stat = path.stat()
        found[str(path.relative_to(folder))] = [stat.st_size, stat.st_mtime_ns]
    return found
