"""The weight files of a component's folder: one file, or the shards that an index names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.json_files import POINTER, read_json

from .wrappers import is_average

# In this order of preference, where a component is there in several.
ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
INDEX = ".index.json"
# Of a variant in shards the index is called model.safetensors.index.bf16.json.
_INDEX = re.compile(r"\.index(?:\.[^.]+)?\.json$")
# Files with numbers in their names come from an index, without which nobody knows whether all of
# them are there.
SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
# As Diffusers and transformers name them. Trainers leave more beside: optimizer.bin,
# training_args.bin.
USUAL = ("diffusion_pytorch_model", "model", "pytorch_model")
# What stands in the place of a file that was not downloaded, and how to get it.
INSTEAD = {
    POINTER.encode(): (
        "a pointer of Git LFS in place of the file; run `git lfs pull` in its folder, or download "
        "it again."
    ),
    b"GGUF": (
        "a GGUF file, which mlxvid does not read; get the model as safetensors, which `quantize` "
        "makes as small."
    ),
    b"<!doctype html": "a web page in place of the file; download it again.",
    b"<html": "a web page in place of the file; download it again.",
}


def is_index(path: Path) -> bool:
    """Whether a file's name is that of an index of weight files."""
    return bool(_INDEX.search(path.name))


def check_content(path: Path) -> None:
    """Raise :class:`WeightsError` for a file whose first bytes say that it is something else."""
    try:
        with path.open("rb") as file:
            start = file.read(32).lower()
    except OSError:
        return
    for mark, what in INSTEAD.items():
        if start.startswith(mark.lower()):
            raise WeightsError(f"{path} is {what}")


def visible(folder: Path) -> list[Path]:
    """The files in `folder` in order, without hidden ones.

    Such are .DS_Store, and the "._name" that macOS puts beside every file on a disk of another
    system.
    """
    return [path for path in sorted(folder.glob("[!.]*")) if path.is_file()]


def component_files(folder: Path) -> list[Path]:
    """The files that hold the weights of the component in `folder`, led by their index if any.

    Of several sets of the same weights: safetensors before PyTorch's, an index before a
    single file, the usual names before others, an average over the training before what it is of,
    and the shortest, which is no variant such as ".fp16". Raises :class:`WeightsError` as
    :func:`shards` does, and for shards without an index.
    """
    here = visible(folder)
    for ending in ENDINGS:
        indices = [path for path in here if is_index(path) and f"{ending}.index" in path.name]
        plain = [path for path in indices if path.name.endswith(ending + INDEX)]
        files = [path for path in here if path.suffix == ending]
        single = [path for path in files if not SHARD.search(path.name)]
        best = min(plain or single + indices, key=_rank, default=None)
        if best is not None and is_index(best):
            return [best, *shards(best, (ending,))]
        if best is not None:
            return [best]
        if files:
            raise unindexed(files[0])
    return []


def average_folder(folder: Path, component: str) -> Path | None:
    """The folder with the average of a component's weights, as trainers of Diffusers' models leave
    it beside the component; None where there is none.
    """
    for name in (f"{component}_ema", f"ema_{component}"):
        if (folder / name).is_dir() and component_files(folder / name):
            return folder / name
    return None


def weight_files(folder: Path) -> dict[str, list[Path]]:
    """The files with tensors of each component in a model's folder that has any.

    Raises :class:`WeightsError` for a broken set.
    """
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        files = component_files(path) if path.is_dir() else []
        if files:
            found[path.name] = [file for file in files if not is_index(file)]
    return found


def _rank(path: Path) -> tuple[bool, bool, int, str]:
    is_usual = path.name.partition(".")[0] in USUAL
    return not is_usual, not is_average(path.name), len(path.name), path.name


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
