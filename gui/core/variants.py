"""A model as it is released, or as a smaller copy: what each takes on the disk and in memory."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from mlxvid.errors import MlxvidError
from mlxvid.model.card import Card
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.memory import DTYPE_BYTES, Weights, loaded_weights, stored_weights
from mlxvid.run.planning import plan
from mlxvid.weights.sizes import read_sizes

from .fits import BITS
from .messages import shown

# Bytes that are left free on a disk: a system with none at all does not survive.
SPARE = 10**9


@dataclass(frozen=True)
class Disks:
    """Where downloads and copies go, and the bytes that are free there.

    one: whether both are on one disk. problem: why nothing can be kept there, "" where it can.
    """

    downloads: Path
    copies: Path
    free_for_downloads: int
    free_for_copies: int
    one: bool
    problem: str = ""

    @classmethod
    def at(cls, downloads: Path, copies: Path) -> Disks:
        """Those of two folders, which need not exist. Reads the disk."""
        first = existing(downloads)
        second = existing(copies)
        return cls(
            downloads,
            copies,
            shutil.disk_usage(first).free,
            shutil.disk_usage(second).free,
            os.stat(first).st_dev == os.stat(second).st_dev,
            unwritable(downloads) or unwritable(copies),
        )


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
    for bits in BITS if _can_be_smaller(card, weights) else (None,):
        is_copy = bits is not None or card.is_in_files
        copy = _copy_bytes(card, weights, bits) if is_copy else 0
        memory, fits = _memory(card, bits, machine)
        problem = disks.problem or _lack(download, copy, disks) if fits else memory
        found.append(Variant(bits, download, copy, memory, problem))
    return tuple(found)


def _can_be_smaller(card: Card, weights: Weights) -> bool:
    """Whether a copy with quantized weights can be made, and is worth it."""
    types = {dtype for component in weights.values() for dtype in component}
    is_quantized = not types <= DTYPE_BYTES.keys()
    size = sum(sum(component.values()) for component in weights.values())
    return not is_quantized and size > SPARE


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


def _lack(download: int, copy: int, disks: Disks) -> str:
    """What a disk lacks for it; "" for nothing."""
    needs = [(download, disks.downloads, disks.free_for_downloads)]
    if disks.one:
        needs = [(download + copy, disks.downloads, disks.free_for_downloads)]
    else:
        needs.append((copy, disks.copies, disks.free_for_copies))
    for size, folder, free in needs:
        if size and size + SPARE > free:
            return (
                f"{(size + SPARE) / 1e9:.1f} GB have to be free on the disk of {folder}, and "
                f"{free / 1e9:.1f} GB are: make room, or choose another folder in Settings."
            )
    return ""


def unwritable(folder: Path) -> str:
    """Why nothing can be kept in a folder, there or not; "" where it can. Reads the disk."""
    if os.access(existing(folder), os.W_OK):
        return ""
    return f"{folder} can't be written: connect its disk, or choose another folder in Settings."


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())
