"""Components with their weights, from a model folder."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlxvid import machines
from mlxvid.errors import SettingError, WeightsError
from mlxvid.layers.sharded import Group, shard
from mlxvid.model.card import Card, Part
from mlxvid.model.folder import Folder
from mlxvid.model.machine import this_machine
from mlxvid.model.memory import RUNTIME_BYTES, loaded_weights, streamed_bytes
from mlxvid.model.sharing import shared_weights
from mlxvid.progress import Watch

from .files import average_folder
from .in_parts import SHARED_BYTES, evaluate, is_finite, read_in
from .lora import Lora
from .lora_file import open_lora, read_lora
from .lora_layers import apply_lora
from .reading import fill, read_weights, sanitized
from .sizes import read_sizes
from .streaming import stream
from .tensors import Tensor

log = logging.getLogger("mlxvid")

MLX_DTYPES = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
# A matrix can be quantized where its rows divide into groups of this size.
QUANTIZE_GROUP = 64


class Components:
    """A model folder's networks, each loaded when first asked for and dropped when another stage
    needs the room.
    """

    def __init__(
        self,
        card: Card,
        dtype: str | None = None,
        quantize: int | None = None,
        loras: Sequence[Lora] = (),
    ):
        """card: of the model in a local folder. loras: found ones."""
        if card.folder is None:
            raise ValueError(f"{card.name} is not on this machine")
        self.folder = Folder(card.folder)
        self.quantize = quantize
        self.loras = tuple(loras)
        asked = dtype or self.folder.index.get("dtype")
        half_is_slow = mx.default_device() != mx.gpu
        self.dtype = asked or ("float32" if half_is_slow else None)
        self.held = 0
        """Bytes that the stages of a run hold besides weights; whoever runs sets it."""
        machine = this_machine()
        self.usable = machine.usable
        self._bfloat16_is_slow = machine.bfloat16_is_slow
        self._card = card
        self._family = card.family
        self._streamed = card.streamed
        self._precise = card.precise
        self._loaded: dict[str, nn.Module] = {}
        self._lock = threading.Lock()

    def network(self, name: str, part: Part, watch: Watch | None = None) -> nn.Module:
        """The component in the folder `name`, made from its config.json with its weights in it;
        `watch` sees them read.
        """
        with self._lock:
            if name not in self._loaded:
                self._make_room(name)
                self._loaded[name] = self._whole(name, part, watch)
            # The last of them is the one that was used last.
            self._loaded[name] = self._loaded.pop(name)
            return self._loaded[name]

    def _whole(self, name: str, part: Part, watch: Watch | None) -> nn.Module:
        """The network with its weights read, unless it reads them itself: in bfloat16 where some
        are too large for the float16 that was to take its place.
        """
        network, lazy = self._load(name, part, watch)
        if self.streams(part):
            return network
        part_bytes = None if self._group(part) is None else SHARED_BYTES
        evaluate(network, watch if lazy else None, part_bytes)
        usual = part.used_dtype(self.dtype, half_is_slow=False)
        if part.used_dtype(self.dtype, False, self._bfloat16_is_slow) == usual:
            return network
        if is_finite(network):
            log.info(
                "%s is used in float16, which is faster on this chip than bfloat16; `dtype` "
                "chooses another.",
                name,
            )
            return network
        if self._group(part) is not None:  # the others may have found none
            raise SettingError(
                f"Some weights of {name} are too large for float16, which is faster on one of "
                "these machines: choose the `dtype` bfloat16."
            )
        log.warning(
            "Some weights of %s are too large for float16, which is faster on this chip: it is "
            "used in bfloat16.",
            name,
        )
        network, lazy = self._load(name, replace(part, float16=False), watch)
        evaluate(network, watch if lazy else None)
        return network

    def fit(self, *names: str) -> bool:
        """Whether these components can be in memory together, with what a run holds besides."""
        return self._leave_room(sum(map(self._needed, names)))

    def streams(self, part: Part) -> bool:
        """Whether a component's blocks are read each time that they are used: where the model's
        components can't all stay in memory, so that this one would be read again anyway.
        """
        unchanged = not part.float16 and not (part.loras and self.loras)
        everything = sum(self.sizes.values())
        return part.streamed and unchanged and not self._leave_room(everything)

    def _leave_room(self, weights: int) -> bool:
        """Whether so many bytes of weights leave enough for what a run holds besides."""
        return RUNTIME_BYTES + weights + self.held <= self.usable

    def _needed(self, name: str) -> int:
        """Bytes that a component needs in memory."""
        size = self.sizes.get(name, 0)
        streamed = self._streamed.get(name)
        if streamed is None or not self.streams(self._family.parts[name]):
            return size
        return streamed_bytes(size, streamed, mx.default_device() == mx.gpu)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Bytes of each component as it is loaded, from its files' headers."""
        metal = mx.default_device() == mx.gpu
        stored = read_sizes(self.folder.path)
        loaded = loaded_weights(
            stored, self._family, self.dtype, self.quantize, metal, precise=self._precise
        )
        here = machines.sharing("layers")
        held = loaded if here is None else shared_weights(loaded, self._card, here.size)
        return {name: sum(types.values()) for name, types in held.items()}

    def agree(self, here: machines.Machines) -> None:
        """Use the weights that machines share in one type on all of them: float16 in bfloat16's
        place where it is faster on any.
        """
        self._bfloat16_is_slow = not here.every(not self._bfloat16_is_slow)

    def _make_room(self, name: str) -> None:
        """Drop components for that one, as few as will do: encoders first, which a run is done with
        before its steps, and then what has not been used for longest.
        """
        parts = self._family.parts
        order = sorted(self._loaded, key=lambda other: parts[other].stage != "encode")
        for other in order:
            if self.fit(name, *self._loaded):
                break
            del self._loaded[other]
            mx.clear_cache()

    def check_loras(self) -> None:
        """Raise :class:`WeightsError` for a LoRA that fits none of the networks that take them, and
        log what is left out of one: from names and shapes, before anything is loaded.
        """
        for name, part in self._family.parts.items():
            if not part.loras or not self.loras or not (self.folder.path / name).is_dir():
                continue
            network = self._empty(name, part)
            for lora in self.loras:
                shapes = {key: mx.zeros(t.shape) for key, t in open_lora(lora).items()}
                note = apply_lora(network, shapes, lora.scale, str(lora))
                if note:
                    log.warning(note)

    def _empty(self, name: str, part: Part) -> nn.Module:
        """The component's network without its weights."""
        try:
            return self._family.network(name)(self.folder.config(name, part.config))
        except (TypeError, ValueError, ZeroDivisionError):
            raise WeightsError(
                f"{self.folder.path / name / 'config.json'} has sizes that no network can have; "
                "download or convert the model again."
            ) from None

    def _load(self, name: str, part: Part, watch: Watch | None) -> tuple[nn.Module, bool]:
        """The network with its weights, and whether these are still to be read from the disk."""
        folder = self.folder.path / name
        config_path = folder / "config.json"
        network = self._empty(name, part)
        stored = self.folder.json(name).get("quantization")
        average = average_folder(self.folder.path, name)
        if average is not None:
            log.warning(f"Taken: {average}, the average over the training, and not {folder}.")
        streams = self.streams(part)
        weights = read_weights(average or folder, mapped=streams)
        unread = {key: weight for key, weight in weights.items() if isinstance(weight, Tensor)}
        arrays = {key: array for key, array in weights.items() if isinstance(array, mx.array)}
        arrays |= {key: mx.zeros(tensor.shape) for key, tensor in unread.items()}
        arrays = sanitized(network, arrays, folder)
        if stored:
            self._expect_quantized(network, stored, arrays, config_path)
        fill(network, arrays, folder)
        bits = self.quantize if part.quantized and not stored else None
        group = self._group(part)
        settle = partial(self._settle, network, part, bits)
        if streams:
            # One tensor at a time, so that no two are in memory as they are stored.
            read = partial(read_in, network, settle=settle, watch=None, part_bytes=0)
            stream(network, unread, read, self._dtype(part))
        elif unread and group is not None:
            self._read_share(network, unread, settle, watch, group)
        elif unread:
            read_in(network, unread, settle, watch)
        else:
            settle(arrays)
        network.eval()
        if part.loras:
            for lora in self.loras:
                apply_lora(network, read_lora(lora), lora.scale, str(lora))
        if group is not None and not unread:
            shard(network, group)
        return network, not unread

    def _group(self, part: Part) -> Group | None:
        """The machines that share the layers of a component, if any do."""
        here = machines.sharing("layers") if part.stage == "denoise" else None
        return None if here is None else here.group

    def _read_share(
        self,
        network: nn.Module,
        unread: dict[str, Tensor],
        settle: Callable[[Collection[str]], None],
        watch: Watch | None,
        group: Group,
    ) -> None:
        """Read a machine's share of a network from PyTorch's files."""
        if self.loras:
            raise SettingError(
                "LoRAs in a model of PyTorch's files (.bin, .pth) can't be shared in layers: "
                "convert the model, or share the run in another way of `parallel`."
            )

        def settle_share(names: Collection[str]) -> None:
            settle(names)
            shard(network, group, names)

        read_in(network, unread, settle_share, watch, SHARED_BYTES)

    def _dtype(self, part: Part) -> mx.Dtype | None:
        """The type in which a component's weights are used; None for the checkpoint's own."""
        # `self.dtype` stands for slow half precision too.
        dtype = part.used_dtype(self.dtype, False, self._bfloat16_is_slow)
        return None if dtype is None else MLX_DTYPES[dtype]

    def _settle(
        self, network: nn.Module, part: Part, bits: int | None, names: Collection[str]
    ) -> None:
        """Give a network's weights the type that they are used in, and quantize those among `names`
        that can be, if there are `bits`.
        """
        dtype = self._dtype(part)
        if dtype is not None:
            network.set_dtype(dtype)
        if not bits or not hasattr(network, "quantizable"):
            return

        def fits(name: str, module: nn.Module) -> bool:
            here = f"{name}.weight" in names and network.quantizable(name, module)
            return here and module.weight.shape[-1] % QUANTIZE_GROUP == 0

        nn.quantize(network, QUANTIZE_GROUP, bits, class_predicate=fits)

    def _expect_quantized(
        self, network: nn.Module, stored: Any, weights: dict[str, mx.array], path: Path
    ) -> None:
        """Make room in `network` for weights that were quantized when the model was converted."""
        try:
            group = int(stored["group_size"])
            bits = int(stored["bits"])
        except (TypeError, ValueError, KeyError):
            raise WeightsError(
                f"{path} does not say how its weights are quantized; convert the model again."
            ) from None
        if self.quantize not in (None, bits):
            raise SettingError(
                f"{path.parent} is quantized to {bits} bits already; leave `quantize` out, or "
                "convert it again."
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
