"""Checkpoints written by ``torch.save``, in the zip form or the legacy one, read without PyTorch.

The zip form is that of PyTorch 1.6 and later. The pickle in them goes through :mod:`.unpickle`; the
tensors are views of the mapped file. Facts from torch/serialization.py.
"""

from __future__ import annotations

import logging
import math
import mmap
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlxvid.errors import WeightsError

from .tensors import MAX_AXES, MAX_SIDE, STORED, Tensor, called, damaged, mapped, printable
from .unpickle import MAX_BYTES, NoWeightsError, Stored, Unpickled, too_long, unpickle
from .wrappers import Table, average_note, find_table, is_unnamed, peeled

# What the two forms begin with.
ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
PROTOCOL = 1001
log = logging.getLogger("mlxvid")


class Place(NamedTuple):
    """Where a storage stands in the file, and how many bytes it has."""

    start: int
    size: int


class Archive(NamedTuple):
    """A checkpoint's pickled object, its storages by their keys, and their byte order, < or >."""

    value: Any
    places: dict[str, Place]
    order: str


class Content(NamedTuple):
    """A checkpoint's tensors by name, and the table in which they were found."""

    tensors: dict[str, Tensor]
    table: Table


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a network's checkpoint by name, without what wrappers put before the names.

    Logs which of several sets of weights was taken. Raises :class:`WeightsError` for a file that is
    none, is broken, or holds anything else.
    """
    content = open_content(path)
    for note in (taken_note(path, content.table), average_note(content.tensors, path)):
        if note:
            log.warning(note)
    return peeled(content.tensors)


def open_content(path: Path) -> Content:
    """The tensors of a checkpoint as they are named in it; raises as :func:`read` does, and
    :class:`NoWeightsError` for one that is whole and holds something else.
    """
    data = mapped(path)
    if data[:4] == ZIP:
        archive = _zip(path, data)
    elif data[: len(LEGACY)] == LEGACY:
        archive = _legacy(path, data)
    else:
        raise NoWeightsError(
            f"{path} is neither a checkpoint of PyTorch nor safetensors; download the model again."
        )
    table = find_table(archive.value, lambda value: isinstance(value, Stored))
    if table is None and is_unnamed(archive.value):
        raise NoWeightsError(
            f"{path} holds an average whose tensors have no names, which is of no use by itself; "
            "use the weights that were saved beside it."
        )
    if table is None:
        raise NoWeightsError(
            f"{path} holds no table of tensors, so it is no model's weights; "
            "give the folder of a model."
        )
    tensors = {
        name: _view(stored, archive, data, path, name) for name, stored in table.tensors.items()
    }
    return Content(tensors, table)


def taken_note(path: Path, table: Table) -> str | None:
    """What to say where a checkpoint has weights and their average."""
    taken = ".".join(printable(key) for key in table.keys)
    if table.unnamed:
        return f"Taken from {path}: {taken}{without_names(table.unnamed)}"
    if not table.passed_over:
        return None
    others = ", ".join(table.passed_over)
    return f"Taken from {path}: {taken}, the average over the training, and not {others}."


def without_names(averages: Iterable[str]) -> str:
    """The end of a note on averages that can't be taken."""
    names = ", ".join(printable(name) for name in averages)
    return f", and not its average ({names}), whose tensors have no names there."


def _zip(path: Path, data: mmap.mmap) -> Archive:
    """The zip form: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder."""
    try:
        with zipfile.ZipFile(path) as file:
            members = {info.filename: info for info in file.infolist()}
    except (
        OSError,
        ValueError,
        LookupError,
        NotImplementedError,
        struct.error,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
    ):
        raise damaged(path) from None
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise NoWeightsError(
            f"{path} is a zip file but no checkpoint of PyTorch; download the model again."
        )
    root = pickles[0].removesuffix("data.pkl")
    places = {}
    for name, info in members.items():
        if name.startswith(root):
            places[name.removeprefix(root)] = _member(path, data, info)
    start, size = places["data.pkl"]
    if size > MAX_BYTES:
        raise too_long(path)
    value = unpickle(data[start : start + size], path).value
    start, size = places.get("byteorder", (0, 0))
    order = ">" if data[start : start + size] == b"big" else "<"
    storages = {}
    for name, place in places.items():
        if name.startswith("data/"):
            storages[name.removeprefix("data/")] = place
    return Archive(value, storages, order)


def _member(path: Path, data: mmap.mmap, info: zipfile.ZipInfo) -> Place:
    """Where the bytes of a member stand: after its own header, whose length only it knows."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise WeightsError(
            f"{path} is a compressed or encrypted zip file, as PyTorch writes none; "
            "download the model again."
        )
    header = data[info.header_offset : info.header_offset + 30] if info.header_offset >= 0 else b""
    if len(header) < 30 or header[:4] != ZIP:
        raise damaged(path)
    start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
    if start + info.file_size > len(data):
        raise damaged(path)
    return Place(start, info.file_size)


def _legacy(path: Path, data: mmap.mmap) -> Archive:
    """The legacy form: five pickles, then each storage's count and values.

    They are a magic number, the protocol, the system, the object, and the keys of its storages.
    """
    pickles: list[Unpickled] = []
    at = 0
    for _ in range(5):
        pickles.append(unpickle(data[at : at + MAX_BYTES + 1], path))
        at += pickles[-1].size
    _, protocol, system, value, keys = (pickle.value for pickle in pickles)
    if protocol != PROTOCOL or not isinstance(system, dict) or not isinstance(keys, list):
        raise damaged(path)
    order = "<" if system.get("little_endian", True) else ">"
    places: dict[str, Place] = {}
    for key in keys:
        storage = pickles[3].storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise damaged(path)
        (count,) = struct.unpack(f"{order}q", data[at : at + 8].ljust(8, b"\xff"))
        if count != storage.count:
            raise damaged(path)
        places[key] = Place(at + 8, count * _size(storage.dtype))
        at += 8 + places[key].size
        if at > len(data):
            raise damaged(path)
    return Archive(value, places, order)


def _view(stored: Stored, archive: Archive, data: mmap.mmap, path: Path, name: str) -> Tensor:
    """The tensor as a view of the file, once everything that it claims is found to be there."""
    where = called(name, path)
    storage = stored.storage
    place = archive.places.get(storage.key)
    if place is None:
        raise WeightsError(f"{where} has no values in the file; download the model again.")
    claimed = storage.count * _size(storage.dtype)
    if claimed > place.size:
        raise WeightsError(
            f"{where} claims {claimed} bytes where the file has {place.size}; "
            "download the model again."
        )
    shape = stored.shape
    strides = stored.strides
    if not (
        _are_counts(shape, MAX_SIDE)
        and _are_counts(strides, len(data))
        and _are_counts((stored.offset,), len(data))
        and len(shape) == len(strides)
    ):
        raise WeightsError(
            f"{where} has a shape, strides or offset that no tensor has; download the model again."
        )
    kind = np.dtype(archive.order + STORED[stored.dtype])
    count = math.prod(shape)
    if not count:
        return Tensor(np.empty(tuple(shape), kind), stored.dtype, where)
    reach = sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    available = place.size // kind.itemsize
    # The count: values that lie over each other could claim terabytes, and no checkpoint has them.
    if stored.offset + reach >= available or count > available:
        raise WeightsError(
            f"{where} reaches beyond its {place.size} bytes in the file; download the model again."
        )
    start = place.start + stored.offset * kind.itemsize
    steps = tuple(stride * kind.itemsize for stride in strides)
    return Tensor(np.ndarray(shape, kind, data, start, steps), stored.dtype, where)


def _are_counts(values: Any, most: int) -> bool:
    """Whether these are integers from 0 to `most`, and no more of them than a tensor has axes."""
    if not isinstance(values, (tuple, list)) or len(values) > MAX_AXES:
        return False
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            return False
    return True


def _size(dtype: str) -> int:
    return np.dtype(STORED[dtype]).itemsize
