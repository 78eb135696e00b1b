"""Components with their weights, from a model folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError, WeightsError
from mlxvid.hub.fetch import download_file
from mlxvid.model.base import Part
from mlxvid.model.folder import Folder
from mlxvid.model.memory import this_machine

from . import torch_file
from .files import INDEX, component_files, weight_files
from .lora import Lora, read_lora
from .lora_layers import apply_lora
from .tensors import Tensor, joined

if TYPE_CHECKING:
    from mlxvid.progress import Watch

DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
QUANTIZE_BITS = (4, 8)
# A model whose weights take less than this share of the memory stays loaded; a larger one is loaded
# and dropped stage by stage.
RESIDENT_SHARE = 0.25
# MLX keeps freed buffers for reuse and would let them grow to the size of the memory: more than
# this share goes back to the system.
CACHE_SHARE = 1 / 16
# Weights are read in parts of this many bytes, so that a large model's loading can be watched and
# stopped.
LOAD_BYTES = 256 * 10**6
# A matrix can be quantized where its rows divide into groups of this size.
QUANTIZE_GROUP = 64


class Components:
    """A model folder's networks, each loaded when first asked for and dropped when another stage
    needs the room.
    """

    def __init__(
        self,
        folder: Folder,
        dtype: str | None = None,
        quantize: int | None = None,
        loras: Sequence[Lora] = (),
    ):
        self.folder = folder
        self.quantize = quantize
        self.loras = tuple(loras)
        self.dtype = dtype or (None if mx.default_device() == mx.gpu else "float32")
        size = sum(
            path.stat().st_size for files in weight_files(folder.path).values() for path in files
        )
        self.resident = size < RESIDENT_SHARE * this_machine().total
        self._loaded: dict[str, nn.Module] = {}

    def network(self, name: str, part: Part, watch: Watch | None = None) -> nn.Module:
        """The component in the folder `name`, made from its config.json with its weights in it;
        `watch` sees them read.
        """
        if name not in self._loaded:
            if not self.resident:
                self._loaded.clear()
                mx.clear_cache()
            network, lazy = self._load(self.folder.path / name, part, watch)
            if watch is not None and lazy:
                read_watched(network, watch)
            self._loaded[name] = network
        return self._loaded[name]

    def _load(self, folder: Path, part: Part, watch: Watch | None) -> tuple[nn.Module, bool]:
        """The network with its weights, and whether these are still to be read from the disk."""
        cls, config_path = part.network, folder / "config.json"
        try:
            network = cls(self.folder.config(folder.name, part.config))
        except (TypeError, ValueError, ZeroDivisionError):
            raise WeightsError(
                f"{config_path} has sizes that no network can have; download or convert the model again."
            ) from None
        stored = self.folder.json(folder.name).get("quantization")
        weights = read_weights(folder)
        unread = {name: weight for name, weight in weights.items() if isinstance(weight, Tensor)}
        arrays = sanitized(
            cls,
            {name: mx.zeros(w.shape) if name in unread else w for name, w in weights.items()},
            folder,
        )
        if stored:
            self._expect_quantized(network, stored, arrays, config_path)
        fill(network, arrays, folder)
        settle = partial(self._settle, network, part.dtype, None if stored else self.quantize)
        if unread:
            read_in(network, unread, settle, watch)
        else:
            settle(arrays)
        network.eval()
        if folder.name == "transformer":
            for lora in self.loras:
                tensors = read_lora(lora, partial(download_file, watch=watch))
                apply_lora(network, tensors, lora.scale, str(lora))
        return network, not unread

    def _settle(
        self, network: nn.Module, usual: str | None, bits: int | None, names: Collection[str]
    ) -> None:
        """Give a network's weights the type that they are used in, `usual` if none was asked for,
        and quantize those among `names` that can be, if there are `bits`."""
        dtype = self.dtype or usual
        if dtype is not None:
            network.set_dtype(DTYPES[dtype])
        if bits and hasattr(network, "quantizable"):

            def fits(name: str, module: nn.Module) -> bool:
                here = f"{name}.weight" in names and network.quantizable(name, module)
                return here and module.weight.shape[-1] % QUANTIZE_GROUP == 0

            nn.quantize(network, QUANTIZE_GROUP, bits, class_predicate=fits)

    def _expect_quantized(
        self, network: nn.Module, stored: Any, weights: dict[str, mx.array], path: Path
    ) -> None:
        """Make room in `network` for weights that were quantized when the model was converted."""
        try:
            group, bits = int(stored["group_size"]), int(stored["bits"])
        except (TypeError, ValueError, KeyError):
            raise WeightsError(
                f"{path} does not say how its weights are quantized; convert the model again."
            ) from None
        if self.quantize not in (None, bits):
            raise SettingError(
                f"{path.parent} is quantized to {bits} bits already; load it without quantizing, or convert it again."
            )
        try:
            nn.quantize(
                network,
                group,
                bits,
                class_predicate=lambda name, module: f"{name}.scales" in weights,
            )
        except (ValueError, RuntimeError):
            raise WeightsError(
                f"{path} quantizes in a way that these weights can't be; convert the model again."
            ) from None


def _parts(items: Iterable[tuple[Any, int]]) -> Iterator[tuple[list[Any], int]]:
    """Things and their bytes, in order, as parts of about :data:`LOAD_BYTES`; each with its size in
    whole MB.
    """
    part, size = [], 0
    for item, nbytes in items:
        part.append(item)
        size += nbytes
        if size >= LOAD_BYTES:
            yield part, math.ceil(size / 1e6)
            part, size = [], 0
    if part:
        yield part, math.ceil(size / 1e6)


def read_watched(network: nn.Module, watch: Watch) -> None:
    """Read a network's lazy weights from the disk, part by part, as the stage "load" of `watch` (in
    MB).

    Those of a small one are left to be read when they are used: that takes no time worth telling
    of.
    """
    parts = list(_parts((array, array.nbytes) for _, array in tree_flatten(network.parameters())))
    if len(parts) == 1:
        return
    watch.begin("load", sum(megabytes for _, megabytes in parts))
    for part, megabytes in parts:
        mx.eval(part)
        watch.done(count=megabytes)


def read_in(
    network: nn.Module,
    tensors: dict[str, Tensor],
    settle: Callable[[Collection[str]], None],
    watch: Watch | None,
) -> None:
    """Read a network's weights from PyTorch's files, part by part, as the stage "load" of `watch`
    (in MB) where they are many.

    MLX can't leave these to be read when they are used. So that never more of them is in memory as
    the files have it than one part, each is given its place and its type in use, by settle(names),
    before the next is read. A class's `sanitize` sees one part at a time.
    """
    sanitize = getattr(network, "sanitize", dict)
    # In this order the last of two names for one parameter is the same as in `sanitize` of them
    # all.
    kept = [
        (name, tensors[name].values.nbytes)
        for name in sorted(tensors)
        if sanitize({name: mx.zeros(tensors[name].shape)})
    ]
    parts = list(_parts(kept))
    watch = watch if len(parts) > 1 else None
    if watch is not None:
        watch.begin("load", sum(megabytes for _, megabytes in parts))
    for part, megabytes in parts:
        arrays = sanitize({name: tensors[name].read() for name in part})
        network.load_weights(list(arrays.items()), strict=False)
        names = set(arrays)
        del arrays
        settle(names)
        quantized = {
            name.removesuffix("weight") + more
            for name in names
            for more in ("scales", "biases")
            if name.endswith(".weight")
        }
        mx.eval(
            [
                array
                for name, array in tree_flatten(network.parameters())
                if name in names or name in quantized
            ]
        )
        if watch is not None:
            watch.done(count=megabytes)


def read_weights(folder: Path) -> dict[str, mx.array | Tensor]:
    """All tensors of a component, of which none is read from the disk yet: MLX's lazy arrays where
    it has safetensors, sharded or not, and a :class:`Tensor` each where it has only PyTorch's
    files.

    Raises :class:`WeightsError` where there are none, or they are broken, incomplete or hold
    anything but tensors.
    """
    files = [path for path in component_files(folder) if not path.name.endswith(INDEX)]
    if not files:
        raise WeightsError(
            f"{folder} has no weights (.safetensors, .bin, .pth or .pt); download or convert the model again."
        )
    if files[0].suffix != ".safetensors":
        return joined(files, torch_file.read)
    weights: dict[str, mx.array | Tensor] = {}
    for file in files:
        try:
            weights.update(mx.load(str(file), format="safetensors"))
        except (OSError, RuntimeError, ValueError):
            raise WeightsError(
                f"{file} is missing, damaged or cut short; download or convert the model again."
            ) from None
    return weights


def sanitized(
    cls: type[nn.Module], weights: dict[str, mx.array], source: Path
) -> dict[str, mx.array]:
    """A checkpoint's tensors as the network `cls` has them; raises :class:`WeightsError` for shapes
    that no such network has.
    """
    try:
        return cls.sanitize(weights) if hasattr(cls, "sanitize") else weights
    except (IndexError, KeyError, ValueError):
        raise WeightsError(
            f"The tensors in {source} have shapes that no {cls.__name__} has; download the model again."
        ) from None


def fill(network: nn.Module, weights: dict[str, mx.array], source: Path) -> None:
    """Put `weights` into `network`; raises :class:`WeightsError` unless names and shapes match one
    to one.
    """
    wanted = dict(tree_flatten(network.parameters()))
    for what, names in (
        ("lacks", wanted.keys() - weights.keys()),
        ("has no place for", weights.keys() - wanted.keys()),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            subject = "The checkpoint in" if what == "lacks" else "mlxvid's model of"
            raise WeightsError(
                f"{subject} {source} {what} {min(names)}{more}; it was made for another architecture or version."
            )
    for name, weight in weights.items():
        if weight.shape != wanted[name].shape:
            shapes = f"{tuple(weight.shape)} where {tuple(wanted[name].shape)} is needed"
            raise WeightsError(
                f"{name} in {source} is {shapes}; its config.json belongs to other weights."
            )
    network.load_weights(list(weights.items()))
