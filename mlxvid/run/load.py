"""From a name, a hub repository or a folder to a pipeline."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import mlx.core as mx

from mlxvid import catalog
from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.hub.assembly import fetched
from mlxvid.hub.fetch import download
from mlxvid.model.facts import facts_of, family_of
from mlxvid.model.folder import Folder
from mlxvid.model.memory import this_machine
from mlxvid.progress import Cancel, Progress, Watch
from mlxvid.weights.loading import CACHE_SHARE, DTYPES, QUANTIZE_BITS, Components
from mlxvid.weights.lora import parse_lora

from .pipeline import Pipeline


def load(
    model: str = "mini",
    *,
    quantize: int | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    loras: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Cancel | None = None,
) -> Pipeline:
    """A :class:`Pipeline` ready to generate; weights are read when they are first needed.

    model: a catalog name, a local folder in the Diffusers layout (with model_index.json), or a hub
    repository ("owner/name"); looked for in this order, so that a folder called as a catalog's
    model is given as "./name". quantize: 4 or 8 bits a weight for the transformer and the text
    encoder (smaller, not faster), or None. dtype: "float32", "bfloat16" or "float16"; by default
    what its model_index.json asks for, else the checkpoint's own on Metal and float32 on the CPU,
    where half precision is slow. revision: of the hub repository. loras:
    "FILE_OR_REPO[:file][@scale]" each (:mod:`mlxvid.weights.lora`), added to the transformer in
    this order. on_progress is told of a download, cancel.is_set() ends it; without on_progress
    there is a bar on standard error. Raises :class:`ModelNotFoundError`, :class:`WeightsError`,
    :class:`SettingError` or :class:`CancelledError`.
    """
    if not isinstance(model, (str, os.PathLike)) or not isinstance(revision, (str, type(None))):
        raise SettingError(f"A model and its revision are names, not {model!r} and {revision!r}.")
    if quantize is not None and (quantize not in QUANTIZE_BITS or not isinstance(quantize, int)):
        raise SettingError(f"Quantization is to 4 or 8 bits, not {quantize!r}.")
    if dtype is not None and dtype not in tuple(DTYPES):
        raise SettingError(f"There is no dtype {dtype!r}; use one of: {', '.join(DTYPES)}.")
    watch = Watch(on_progress, cancel) if on_progress is not None or cancel is not None else None
    path, name = locate(os.fspath(model), revision, watch)
    folder = Folder(path)
    facts = facts_of(folder)
    if loras and "lora" not in facts.capabilities:
        raise SettingError(f"{name} takes no LoRA; leave --lora out.")
    if name in catalog.CATALOG:
        facts = replace(facts, defaults=catalog.CATALOG[name].defaults)
    mx.set_cache_limit(int(CACHE_SHARE * this_machine().total))
    components = Components(
        folder, dtype or folder.index.get("dtype"), quantize, [parse_lora(lora) for lora in loras]
    )
    family = importlib.import_module(f"mlxvid.models.{family_of(folder)}.pipeline").Family(
        components, facts
    )
    return Pipeline(family, name=name, revision=revision)


def locate(model: str, revision: str | None = None, watch: Watch | None = None) -> tuple[Path, str]:
    """The folder that holds `model`, downloaded if need be (which `watch` sees), and the name that
    finds it again.
    """
    path = os.path.expanduser(model)
    try:
        entry = catalog.find(model)
    except ModelNotFoundError:
        if os.path.isdir(path):
            return _local(Path(path))
        if model.count("/") != 1 or model.startswith((".", "/", "~")):
            raise
        return download(model, revision, watch=watch), model
    if entry.folder is not None:
        return entry.folder, entry.name
    return fetched(entry, revision, watch=watch), entry.name


def _local(folder: Path) -> tuple[Path, str]:
    if not (folder / "model_index.json").is_file():
        raise WeightsError(
            f"{folder} has no model_index.json; give the folder of a model in the Diffusers layout."
        )
    return folder, str(folder.resolve())
