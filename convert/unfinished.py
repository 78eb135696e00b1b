"""What to say of a folder in which no model is found: what it holds instead, or what broke off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.model.folder import around
from mlxvid.weights.files import check_content
from mlxvid.weights.lora_keys import RANKED, split

from . import sources
from .relatives import relative
from .release import WeightFile

# How browsers and downloaders call what is not all there yet.
BROKEN_OFF = (".incomplete", ".crdownload", ".part", ".partial", ".download", ".aria2")
COMPLETE = "give the folder of a complete model, in the Diffusers layout or as released"


def unknown(folder: Path, files: Sequence[WeightFile]) -> WeightsError:
    """What is raised for a folder whose weights are no model's that is known here."""
    other = relative(files, folder)
    if other is not None:
        return other
    whole = around(folder)
    if whole is not None:
        return WeightsError(f"{folder} is no whole model by itself; give {whole}.")
    if files and all(_is_lora(file) for file in files):
        return WeightsError(
            f"{folder} holds no model but LoRAs ({files[0].path}), which are not converted; they "
            "are added to a model with `loras`."
        )
    if _diffusers_component(folder):
        return WeightsError(
            f"{folder} has components of the Diffusers layout and no model_index.json; download "
            "the whole model again."
        )
    content = "weights of no model that mlxvid knows" if files else "neither weights nor a "
    content += "" if files else "model_index.json"
    return WeightsError(f"{folder} holds {content}; {COMPLETE}.")


def unreadable(source: Path) -> WeightsError | None:
    """What is wrong with a file of weights in a format that is not read; None for none."""
    for path in sources.files_in(source):
        if path.suffix in sources.FOREIGN:
            try:
                check_content(path)
            except WeightsError as error:
                return error
    return None


def _is_lora(file: WeightFile) -> bool:
    return any(split(name)[1] in RANKED for name in file.tensors)


def _diffusers_component(folder: Path) -> bool:
    config = folder / "transformer" / "config.json"
    return config.is_file() and "_class_name" in read_json(config)


def broken_off(folder: Path) -> str | None:
    """The first file below a folder whose download was not finished; of hidden ones, those that
    huggingface_hub keeps beside.
    """
    if not folder.is_dir():
        return None
    beside = folder / ".cache" / "huggingface"
    for path in (*sources.files_in(folder), *sorted(beside.rglob("*"))):
        if path.name.endswith(BROKEN_OFF):
            return str(path.relative_to(folder))
    return None
