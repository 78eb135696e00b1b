"""From a name, a hub repository or a folder to components with their weights."""

from __future__ import annotations

import importlib
import json
import math
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from . import catalog
from .errors import ModelNotFoundError, SettingError, WeightsError
from .memory import this_machine

if TYPE_CHECKING:
    from .pipeline import Pipeline, Watch

# The class in model_index.json -> the module whose `Family` runs it.
FAMILIES = {"FactoredPipeline": "mlxvid.models.factored.pipeline"}
DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
QUANTIZE_BITS = (4, 8)
# A model whose weights take less than this share of the memory stays loaded; a larger one is loaded and dropped stage by stage.
RESIDENT_SHARE = 0.25
# MLX keeps freed buffers for reuse and would let them grow to the size of the memory: more than this share goes back to the system.
CACHE_SHARE = 1 / 16
# Weights are read in parts of this many bytes, so that a large model's loading can be watched and stopped.
LOAD_BYTES = 256 * 10**6
# A matrix can be quantized where its rows divide into groups of this size.
QUANTIZE_GROUP = 64

_KINDS = {
    "int": int, "float": (int, float), "str": str, "list[int]": list, "list[str]": list, "list[float] | None": (list, type(None)),
}  # fmt: skip

Config = TypeVar("Config")


def load(model: str = "mini", *, quantize: int | None = None, dtype: str | None = None, revision: str | None = None) -> Pipeline:
    """A :class:`Pipeline` ready to generate; weights are read when they are first needed.

    model: a catalog name, a local folder in the Diffusers layout (with model_index.json), or a hub repository ("owner/name"); looked
    for in this order, so that a folder called as a catalog's model is given as "./name".
    quantize: 4 or 8 bits a weight for the transformer and the text encoder (smaller, not faster), or None.
    dtype: "float32", "bfloat16" or "float16"; by default what its model_index.json asks for, else the checkpoint's own on Metal and
    float32 on the CPU, where half precision is slow. revision: of the hub repository.
    Raises :class:`ModelNotFoundError`, :class:`WeightsError` or :class:`SettingError`.
    """
    from .pipeline import Pipeline

    if not isinstance(model, (str, os.PathLike)) or not isinstance(revision, (str, type(None))):
        raise SettingError(f"A model and its revision are names, not {model!r} and {revision!r}.")
    if quantize is not None and (quantize not in QUANTIZE_BITS or not isinstance(quantize, int)):
        raise SettingError(f"Quantization is to 4 or 8 bits, not {quantize!r}.")
    if dtype is not None and dtype not in tuple(DTYPES):
        raise SettingError(f"There is no dtype {dtype!r}; use one of: {', '.join(DTYPES)}.")
    folder, name = locate(os.fspath(model), revision)
    index = read_json(folder / "model_index.json")
    kind = index.get("_class_name")
    if kind not in tuple(FAMILIES):
        raise WeightsError(f"{folder} holds a {kind}, which mlxvid can't run; it runs: {', '.join(FAMILIES)}.")
    mx.set_cache_limit(int(CACHE_SHARE * this_machine().total))
    components = Components(folder, dtype or index.get("dtype"), quantize)
    family = importlib.import_module(FAMILIES[kind]).Family(components, index)
    return Pipeline(family, name=name, revision=revision)


def locate(model: str, revision: str | None = None) -> tuple[Path, str]:
    """The folder that holds `model`, downloaded if need be, and the name that finds it again."""
    path = os.path.expanduser(model)
    try:
        entry = catalog.find(model)
    except ModelNotFoundError:
        if os.path.isdir(path):
            return _local(Path(path))
        if model.count("/") != 1 or model.startswith((".", "/", "~")):
            raise
        return _download(model, revision), model
    if entry.folder is not None:
        return entry.folder, entry.name
    return _download(entry.repo, revision or entry.revision), entry.name


def _local(folder: Path) -> tuple[Path, str]:
    if not (folder / "model_index.json").is_file():
        raise WeightsError(f"{folder} has no model_index.json; give the folder of a model in the Diffusers layout.")
    return folder, str(folder.resolve())


def _download(repo: str, revision: str | None) -> Path:
    """The hub snapshot of `repo`: only what mlxvid reads, resumed where a download broke off, from the cache when offline."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt"]
    try:
        return Path(huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=patterns))
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise ModelNotFoundError(f"The hub has no model {repo!r} at that revision; check the spelling, or log in if it is gated.") from None
    except (LocalEntryNotFoundError, OSError) as error:
        raise ModelNotFoundError(f"{repo} could not be downloaded ({type(error).__name__}); check the network, or give a folder.") from None


def read_json(path: Path) -> dict:
    """A JSON object from a model's folder; raises :class:`WeightsError` where it is missing or is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise WeightsError(f"{path} is missing or is not a JSON object; download or convert the model again.")
    return value


def from_json(cls: type[Config], values: Any, path: Path) -> Config:
    """A dataclass from a JSON object: unknown keys are ignored, missing ones get the class's defaults.

    Raises :class:`WeightsError`, naming `path`, for values that it can't have.
    """
    values = values if isinstance(values, dict) else {}
    known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
    wrong = [f.name for f in fields(cls) if f.name in known and not isinstance(known[f.name], _KINDS[f.type])]
    try:
        if not wrong:
            return cls(**known)
    except (TypeError, ValueError) as error:
        wrong = [str(error)]
    raise WeightsError(f"{path} does not describe a model that mlxvid can make ({wrong[0]}); download or convert the model again.")


class Components:
    """A model folder's networks, each loaded when first asked for and dropped when another stage needs the room."""

    def __init__(self, folder: Path, dtype: str | None = None, quantize: int | None = None):
        self.folder = folder
        self.quantize = quantize
        self.dtype = dtype or (None if mx.default_device() == mx.gpu else "float32")
        size = sum(path.stat().st_size for path in folder.glob("*/*.safetensors") if path.is_file())
        self.resident = size < RESIDENT_SHARE * this_machine().total
        self._loaded: dict[str, nn.Module] = {}

    def config(self, name: str, config_cls: type[Config]) -> Config:
        """The sizes of the component in the folder `name`, without its weights."""
        path = self.folder / name / "config.json"
        return from_json(config_cls, read_json(path), path)

    def parse(self, cls: type[Config], values: Any) -> Config:
        """A dataclass from a value in model_index.json."""
        return from_json(cls, values, self.folder / "model_index.json")

    def network(self, name: str, cls: type[nn.Module], config_cls: type, watch: Watch | None = None) -> nn.Module:
        """The component in the folder `name`, as a `cls` made from its config.json with its weights in it; `watch` sees them read."""
        if name not in self._loaded:
            if not self.resident:
                self._loaded.clear()
                mx.clear_cache()
            network = self._load(self.folder / name, cls, config_cls)
            if watch is not None:
                read_watched(network, watch)
            self._loaded[name] = network
        return self._loaded[name]

    def _load(self, folder: Path, cls: type[nn.Module], config_cls: type) -> nn.Module:
        config = self.config(folder.name, config_cls)
        try:
            network = cls(config)
        except (TypeError, ValueError, ZeroDivisionError):
            raise WeightsError(
                f"{folder / 'config.json'} has sizes that no network can have; download or convert the model again."
            ) from None
        weights = cls.sanitize(read_weights(folder)) if hasattr(cls, "sanitize") else read_weights(folder)
        fill(network, weights, folder)
        if self.dtype is not None:
            network.set_dtype(DTYPES[self.dtype])
        if self.quantize and hasattr(cls, "quantizable"):
            divides = lambda name, module: cls.quantizable(name, module) and module.weight.shape[-1] % QUANTIZE_GROUP == 0  # noqa: E731
            nn.quantize(network, QUANTIZE_GROUP, self.quantize, class_predicate=divides)
        network.eval()
        return network


def read_watched(network: nn.Module, watch: Watch) -> None:
    """Read a network's lazy weights from the disk, part by part, as the stage "load" of `watch` (in MB).

    Those of a small one are left to be read when they are used: that takes no time worth telling of.
    """
    parts, size = [[]], 0
    for _, array in tree_flatten(network.parameters()):
        parts[-1].append(array)
        size += array.nbytes
        if size >= LOAD_BYTES * len(parts):
            parts.append([])
    if len(parts) == 1:
        return
    sizes = [math.ceil(sum(array.nbytes for array in part) / 1e6) for part in parts]
    watch.begin("load", sum(sizes))
    for part, megabytes in zip(parts, sizes, strict=True):
        mx.eval(part)
        watch.done(count=megabytes)


def read_weights(folder: Path) -> dict[str, mx.array]:
    """All tensors of a component's safetensors, sharded or not; lazy: nothing is read from the disk before it is used."""
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if indices:
        names = read_json(indices[0]).get("weight_map")
        names = list(names.values()) if isinstance(names, dict) else [None]
        if not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise WeightsError(f"{indices[0]} names a shard outside its folder, or none; download the model again.")
        files = [folder / name for name in sorted(set(names))]
    else:
        files = sorted(folder.glob("*.safetensors"))[:1]
    if not files:
        raise WeightsError(f"{folder} has no .safetensors weights; download or convert the model again.")
    weights: dict[str, mx.array] = {}
    for file in files:
        try:
            weights.update(mx.load(str(file), format="safetensors"))
        except (OSError, RuntimeError, ValueError):
            raise WeightsError(f"{file} is missing, damaged or cut short; download or convert the model again.") from None
    return weights


def fill(network: nn.Module, weights: dict[str, mx.array], source: Path) -> None:
    """Put `weights` into `network`; raises :class:`WeightsError` unless names and shapes match one to one."""
    wanted = dict(tree_flatten(network.parameters()))
    for what, names in (("lacks", wanted.keys() - weights.keys()), ("has no place for", weights.keys() - wanted.keys())):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            subject = "The checkpoint in" if what == "lacks" else "mlxvid's model of"
            raise WeightsError(f"{subject} {source} {what} {min(names)}{more}; it was made for another architecture or version.")
    for name, weight in weights.items():
        if weight.shape != wanted[name].shape:
            shapes = f"{tuple(weight.shape)} where {tuple(wanted[name].shape)} is needed"
            raise WeightsError(f"{name} in {source} is {shapes}; its config.json belongs to other weights.")
    network.load_weights(list(weights.items()))
