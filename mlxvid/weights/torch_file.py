"""Checkpoints written by ``torch.save``, read without PyTorch: the zip form (since PyTorch 1.6) and
the legacy one.

The pickle in them goes through :mod:`.unpickle`; the tensors are views of the mapped file. Facts
from torch/serialization.py.
"""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import WeightsError

from .tensors import MAX_AXES, MAX_SIDE, STORED, Tensor, called, damaged, mapped
from .unpickle import MAX_BYTES, Stored, Unpickled, too_long, unpickle

ZIP, LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
PROTOCOL = 1001
# Trainers save the weights beside other things, under one of these names.
WRAPPERS = ("state_dict", "model", "module", "model_state_dict", "ema", "generator")

Place = tuple[int, int]
"""Where a storage stands in the file, and how many bytes it has."""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name. Raises :class:`WeightsError` for a file that is none, is
    broken, or holds anything else.
    """
    data = mapped(path)
    if data[:4] == ZIP:
        value, places, order = _zip(path, data)
    elif data[: len(LEGACY)] == LEGACY:
        value, places, order = _legacy(path, data)
    else:
        raise WeightsError(
            f"{path} is neither a checkpoint of PyTorch nor safetensors; download the model again."
        )
    return {
        name: _view(stored, places, order, data, path, name)
        for name, stored in _table(value, path).items()
    }


def _table(value: Any, path: Path) -> dict[str, Stored]:
    """The table of tensors in what was pickled: itself, or under one of the usual names."""
    candidates = [value, *(value.get(name) for name in WRAPPERS)] if isinstance(value, dict) else []
    for candidate in candidates:
        found = (
            {k: v for k, v in candidate.items() if isinstance(v, Stored)}
            if isinstance(candidate, dict)
            else {}
        )
        if found and all(isinstance(name, str) for name in found):
            return found
    raise WeightsError(
        f"{path} holds no table of tensors, so it is no model's weights; give the folder of a model."
    )


def _zip(path: Path, data: mmap.mmap) -> tuple[Any, dict[str, Place], str]:
    """The zip form: NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
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
    roots = [
        name.removesuffix("data.pkl")
        for name in members
        if name.count("/") == 1 and name.endswith("/data.pkl")
    ]
    if len(roots) != 1:
        raise WeightsError(
            f"{path} is a zip file but no checkpoint of PyTorch; download the model again."
        )
    places = {
        name.removeprefix(roots[0]): _member(path, data, info)
        for name, info in members.items()
        if name.startswith(roots[0])
    }
    start, size = places["data.pkl"]
    if size > MAX_BYTES:
        raise too_long(path)
    value = unpickle(data[start : start + size], path).value
    start, size = places.get("byteorder", (0, 0))
    order = ">" if data[start : start + size] == b"big" else "<"
    return (
        value,
        {
            name.removeprefix("data/"): place
            for name, place in places.items()
            if name.startswith("data/")
        },
        order,
    )


def _member(path: Path, data: mmap.mmap, info: zipfile.ZipInfo) -> Place:
    """Where the bytes of a member stand: after its own header, whose length only it knows."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise WeightsError(
            f"{path} is a compressed or encrypted zip file, as PyTorch writes none; download the model again."
        )
    header = data[info.header_offset : info.header_offset + 30] if info.header_offset >= 0 else b""
    if len(header) < 30 or header[:4] != ZIP:
        raise damaged(path)
    start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
    if start + info.file_size > len(data):
        raise damaged(path)
    return start, info.file_size


def _legacy(path: Path, data: mmap.mmap) -> tuple[Any, dict[str, Place], str]:
    """The legacy form: five pickles (magic number, protocol, system, the object, its storages),
    then each storage's count and values.
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
        places[key] = (at + 8, count * _size(storage.dtype))
        at += 8 + places[key][1]
        if at > len(data):
            raise damaged(path)
    return value, places, order


def _view(
    stored: Stored, places: dict[str, Place], order: str, data: mmap.mmap, path: Path, name: str
) -> Tensor:
    """The tensor as a view of the file, once everything that it claims is found to be there."""
    where = called(name, path)
    storage, size = stored.storage, _size(stored.dtype)
    start, there = places.get(storage.key, (0, -1))
    if there < 0:
        raise WeightsError(f"{where} has no values in the file; download the model again.")
    if storage.count * _size(storage.dtype) > there:
        claimed = storage.count * _size(storage.dtype)
        raise WeightsError(
            f"{where} claims {claimed} bytes where the file has {there}; download the model again."
        )
    shape, strides, offset = stored.shape, stored.strides, stored.offset
    if not (
        _whole(shape, MAX_SIDE)
        and _whole(strides, len(data))
        and _whole((offset,), len(data))
        and len(shape) == len(strides)
    ):
        raise WeightsError(
            f"{where} has a shape, strides or offset that no tensor has; download the model again."
        )
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    # The second: values that lie over each other could claim terabytes, and no checkpoint has them.
    if count and (last >= there // size or count > there // size):
        raise WeightsError(
            f"{where} reaches beyond its {there} bytes in the file; download the model again."
        )
    kind = np.dtype(order + STORED[stored.dtype])
    if not count:
        return Tensor(np.empty(tuple(shape), kind), stored.dtype, where)
    steps = tuple(stride * size for stride in strides)
    return Tensor(np.ndarray(shape, kind, data, start + offset * size, steps), stored.dtype, where)


def _whole(values: Any, most: int) -> bool:
    """Whether these are whole numbers from 0 to `most`, and no more of them than a tensor has axes."""
    numbers = isinstance(values, (tuple, list)) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in values
    )
    return numbers and len(values) <= MAX_AXES and all(0 <= v <= most for v in values)


def _size(dtype: str) -> int:
    return np.dtype(STORED[dtype]).itemsize
