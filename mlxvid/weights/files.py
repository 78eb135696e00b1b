"""The weight files of a component's folder: one file, or the shards that an index names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json

# In this order of preference, where a component is there in several.
ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
INDEX = ".index.json"
# Files with numbers in their names come from an index, without which nobody knows whether all of
# them are there.
SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
# As Diffusers and transformers name them. Trainers leave more beside: optimizer.bin,
# training_args.bin.
USUAL = ("diffusion_pytorch_model", "model", "pytorch_model")


def visible(folder: Path) -> list[Path]:
    """The files in `folder` in order, without hidden ones.

    Such are .DS_Store, and the "._name" that macOS puts beside every file on a disk of another
    system.
    """
    return [path for path in sorted(folder.glob("[!.]*")) if path.is_file()]


def component_files(folder: Path) -> list[Path]:
    """The files that hold the weights of the component in `folder`, led by their index if any.

    Of several sets, which are all the same weights: safetensors before PyTorch's, an index before a
    single file, the usual names before others, and the shortest, which is no variant such as
    ".fp16". Raises :class:`WeightsError` as :func:`shards` does, and for shards without an index.
    """
    here = visible(folder)
    for ending in ENDINGS:
        indices = [path for path in here if path.name.endswith(ending + INDEX)]
        if indices:
            index = min(indices, key=_rank)
            return [index, *shards(index, (ending,))]
        files = [path for path in here if path.suffix == ending]
        single = [path for path in files if not SHARD.search(path.name)]
        if single:
            return [min(single, key=_rank)]
        if files:
            raise unindexed(files[0])
    return []


def weight_files(folder: Path) -> dict[str, list[Path]]:
    """The files with tensors of each component in a model's folder that has any.

    Raises :class:`WeightsError` for a broken set.
    """
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        files = component_files(path) if path.is_dir() else []
        if files:
            found[path.name] = [file for file in files if not file.name.endswith(INDEX)]
    return found


def _rank(path: Path) -> tuple[bool, int, str]:
    return path.name.partition(".")[0] not in USUAL, len(path.name), path.name


def shards(index: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """The files that an index names, which end in one of `endings`.

    Raises :class:`WeightsError` where it is broken, or they are outside its folder or missing.
    """
    table = read_json(index).get("weight_map")
    names = list(table.values()) if isinstance(table, dict) else []
    if not names or not all(_is_sibling(name, endings) for name in names):
        raise WeightsError(
            f"{index} names a shard outside its folder, or none; download the model again."
        )
    files = [index.parent / name for name in sorted(set(names))]
    for file in files:
        if not file.is_file():
            raise WeightsError(
                f"{file} is missing, and {index.name} names it; download the model again."
            )
    return files


def _is_sibling(name: object, endings: Sequence[str]) -> bool:
    """Whether this is the name of a weight file in the same folder."""
    return isinstance(name, str) and Path(name).name == name and Path(name).suffix in endings


def unindexed(path: Path) -> WeightsError:
    """What is raised for a shard that no index names."""
    return WeightsError(
        f"{path} is a part of something whose {INDEX} is missing or does not name it; "
        "download the model again."
    )
