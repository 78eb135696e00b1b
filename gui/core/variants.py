"""A model as it is released, or as a smaller copy: what each takes on the disk and in memory."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.errors import MlxvidError
from mlxvid.model.card import Card
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.memory import DTYPE_BYTES, Weights, loaded_weights, stored_weights
from mlxvid.run.planning import plan
from mlxvid.weights.sizes import read_sizes

from .disks import Disks
from .fits import BITS
from .messages import shown

# Bytes of weights below which smaller copies are not worth their while.
_SMALL = 10**9


@dataclass(frozen=True)
class Variant:
    """One way to have a model.

    bits: of its weights, None for as they are released. download: bytes still to be fetched. copy:
    bytes of the folder that is made of them, 0 where there is none. memory: how it fits, in a
    sentence. problem: why it can't be had here, "" where it can.
    """

    bits: int | None
    download: int
    copy: int
    memory: str
    problem: str = ""

    @property
    def most(self) -> int:
        """The bytes that it takes on the disk at most, besides what is there already."""
        return self.download + self.copy


def variants_of(card: Card, download: int, disks: Disks, machine: Machine) -> tuple[Variant, ...]:
    """The ways to have a model: as it is, then smaller copies; only the first where there are none.

    download: bytes that are still to be fetched for it. Raises :class:`MlxvidError` for a model on
    this machine whose weights can't be read.
    """
    weights = read_sizes(card.folder) if card.folder else stored_weights(card)
    found = []
    for bits in BITS if _can_be_smaller(weights) else (None,):
        is_copy = bits is not None or card.is_in_files
        copy = _copy_bytes(card, weights, bits) if is_copy else 0
        memory, fits = _memory(card, bits, machine)
        problem = disks.lack(download, copy) if fits else memory
        found.append(Variant(bits, download, copy, memory, problem))
    return tuple(found)


def _can_be_smaller(weights: Weights) -> bool:
    """Whether a copy with quantized weights can be made, and is worth it."""
    types = {dtype for component in weights.values() for dtype in component}
    is_quantized = not types <= DTYPE_BYTES.keys()
    size = sum(sum(component.values()) for component in weights.values())
    return not is_quantized and size > _SMALL


def _copy_bytes(card: Card, weights: Weights, bits: int | None) -> int:
    """Bytes of a copy's weights."""
    held = loaded_weights(weights, card.family, "bfloat16", bits, metal=True, precise=card.precise)
    return sum(sum(component.values()) for component in held.values())


def _memory(card: Card, bits: int | None, machine: Machine) -> tuple[str, bool]:
    """How a model with these weights fits in memory, and whether some clip does.

    A model as it is released can be loaded with smaller weights.
    """
    usable = f"{machine.usable / GIB:.1f} GiB"
    least_bits = 4 if bits is None else bits
    try:
        usual = plan(card, quantize=bits, machine=machine)
        least = plan(card, frames=1, width=64, height=64, quantize=least_bits, machine=machine)
    except MlxvidError as error:
        return shown(error), False
    if not least.fits:
        needed = f"{least.peak_bytes / GIB:.0f} GiB"
        return f"It needs at least {needed} of memory, and {usable} are there for it.", False
    needed = f"{usual.peak_bytes / GIB:.1f} of {usable}"
    if usual.fits:
        return f"Its usual clip takes about {needed}.", True
    return f"Its usual clip takes about {needed}: make smaller ones.", True
