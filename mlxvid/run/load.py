"""From a name, a hub repository or a folder to a pipeline."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import mlx.core as mx

from mlxvid import catalog, models
from mlxvid.errors import ModelNotFoundError, SettingError, shown
from mlxvid.hub import assembly, download_model
from mlxvid.hub.cache import COMMIT
from mlxvid.hub.fetch import download_file
from mlxvid.model.card import Card
from mlxvid.model.folder import Folder
from mlxvid.model.machine import this_machine
from mlxvid.model.settings import DTYPES, QUANTIZE_BITS, is_among
from mlxvid.progress import Cancel, Progress, Watch
from mlxvid.weights.loading import Components
from mlxvid.weights.lora import Lora, find_lora, parse_lora
from mlxvid.weights.lora_file import notes
from mlxvid.weights.sizes import read_sizes

from . import recipes
from .jobs import known_card
from .pipeline import Pipeline

log = logging.getLogger("mlxvid")

# MLX keeps freed buffers for reuse and would let them grow to the size of the memory: more than
# this share goes back to the system.
CACHE_SHARE = 1 / 16


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
    model is given as "./name". Folders in MLXVID_MODELS are found by their names as well.
    quantize: 4 or 8 bits a weight for the components that can be (smaller, not faster), or None.
    dtype: "float32", "bfloat16" or "float16"; by default what its model_index.json asks for, else
    the checkpoint's own on Metal and float32 on the CPU, where half precision is slow. VAEs that
    need float32 keep it. revision: of the hub repository.
    loras: "FILE_OR_REPO[:file][@scale]" each (:mod:`mlxvid.weights.lora`), added to the transformer
    in this order.
    Any thread may load, and another use the pipeline; MLX is best imported in the main thread
    first, which naming `mlxvid.load` there does.
    on_progress is told of a download, cancel.is_set() ends it; without on_progress there is a bar
    on standard error.
    Raises :class:`ModelNotFoundError`, :class:`WeightsError`, :class:`SettingError` or
    :class:`CancelledError`.
    """
    _check(model, revision, quantize, dtype)
    _check_loras(loras)
    watch = None
    if on_progress is not None or cancel is not None:
        watch = Watch(on_progress, cancel)
    found = _found(loras, model, watch)
    path, name = locate(os.fspath(model), revision, watch)
    card = models.card_of(path)
    Folder(path).require_files(card.family.needed)
    read_sizes(path)  # tells of what can't be read before the first component is
    if card.note:
        log.warning(card.note)
    if loras:
        _require_loras(card, name)
    if name in catalog.CATALOG:
        known = catalog.CATALOG[name]
        # What it was distilled with may stand in its authors' programs only.
        card = replace(card, defaults=known.defaults, shift=known.shift)
    card = recipes.applied(card, found)
    _limit_memory()
    components = Components(card, dtype, quantize, found)
    components.check_loras()
    loaded = card.family.load(card.family.model)(card, components)
    commit = path.name if COMMIT.fullmatch(path.name) else None
    return Pipeline(loaded, name=name, revision=revision, commit=commit)


def _limit_memory() -> None:
    """Have MLX give freed buffers back, and wait for running work rather than take more memory than
    a clip may: it makes launches ready long before they run, each with buffers of its own.
    """
    machine = this_machine()
    mx.set_cache_limit(int(CACHE_SHARE * machine.total))
    mx.set_memory_limit(machine.usable)


def locate(model: str, revision: str | None = None, watch: Watch | None = None) -> tuple[Path, str]:
    """The folder that holds `model`, downloaded if need be (which `watch` sees), and the name that
    finds it again.
    """
    path = os.path.expanduser(model)
    try:
        card = catalog.find(model)
    except ModelNotFoundError:
        local = catalog.local_folder(model)
        if local is not None:
            folder = Folder(local).path
            return folder, str(folder.resolve())
        if os.path.exists(path) or model.count("/") != 1 or model.startswith((".", "/", "~")):
            raise
        return download_model(model, revision, watch), model
    if card.folder is not None:
        return card.folder, card.name
    return assembly.fetched(card, revision, watch=watch), card.name


def _found(loras: Sequence[str], model: str | os.PathLike[str], watch: Watch | None) -> list[Lora]:
    """The LoRAs with their files, which can be read: told before a model is downloaded."""
    parsed = [parse_lora(lora) for lora in loras]
    known = known_card({"model": os.fspath(model)}) if parsed else None
    if known is not None:
        _require_loras(known, known.name)
    fetch = partial(download_file, watch=watch)
    found = [find_lora(lora, fetch) for lora in parsed]
    for lora in found:
        for note in notes(lora):
            log.warning(note)
    return found


def _require_loras(card: Card, name: str) -> None:
    if "loras" not in card.takes:
        raise SettingError(f"{name} takes no LoRA; leave `loras` out.")


def _check(model: object, revision: object, quantize: object, dtype: object) -> None:
    is_name = isinstance(model, (str, os.PathLike))
    if not is_name or not isinstance(revision, (str, type(None))):
        raise SettingError(
            f"A `model` and its revision are names, not {shown(model)} and {shown(revision)}."
        )
    if quantize is not None and not is_among(quantize, QUANTIZE_BITS):
        raise SettingError(f"`quantize` is to 4 or 8 bits, not {shown(quantize)}.")
    if dtype is not None and not is_among(dtype, DTYPES):
        raise SettingError(f"There is no `dtype` {shown(dtype)}; use one of: {', '.join(DTYPES)}.")


def _check_loras(loras: object) -> None:
    listed = isinstance(loras, Sequence) and not isinstance(loras, str)
    if not listed or not all(isinstance(lora, str) for lora in cast(Sequence, loras)):
        raise SettingError(f"`loras` is a list of texts, not {shown(loras)}.")
