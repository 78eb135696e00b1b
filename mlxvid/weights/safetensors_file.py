"""Reads safetensors files as views of the mapped file.

MLX's own reader knows no FP8 and would copy what is only to be cast. The format: the header's
length as 8 little-endian bytes; the header, JSON of {name: {dtype, shape, data_offsets}}; the
tensors' bytes.
"""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import WeightsError

from .tensors import (
    MAX_AXES,
    MAX_SIDE,
    STORED,
    Tensor,
    called,
    damaged,
    mapped,
    printable,
)

# The limit of the format's own library.
MAX_HEADER = 100_000_000
METADATA = "__metadata__"
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def read(path: Path) -> dict[str, Tensor]:
    """The file's tensors by name.

    Raises :class:`WeightsError` for a file that is broken or has a type unknown here.
    """
    data = mapped(path)
    header, base = _header(path, data)
    tensors = {}
    for name, entry in header.items():
        if name != METADATA:
            dtype, shape, start = _entry(path, name, entry, len(data) - base)
            values = _view(data, dtype, shape, base + start)
            tensors[name] = Tensor(values, dtype, called(name, path))
    return tensors


def read_metadata(path: Path) -> dict[str, Any]:
    """What a program wrote beside the tensors, empty for nothing; raises as :func:`read` does."""
    header, _ = _header(path, mapped(path))
    metadata = header.get(METADATA)
    return metadata if isinstance(metadata, dict) else {}


def _header(path: Path, data: mmap.mmap) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors' bytes begin."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER, len(data) - 8):
        raise WeightsError(
            f"{path} claims a header of {length} bytes, more than it can hold; "
            "download the model again."
        )
    base = 8 + length
    try:
        header = json.loads(data[8:base])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise damaged(path)
    return header, base


def _entry(path: Path, name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...], int]:
    """A tensor's type, shape and first byte, checked against the file's `size` bytes of tensors."""
    where = called(name, path)
    try:
        kind = entry["dtype"]
        shape = tuple(entry["shape"])
        start, end = entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise damaged(path) from None
    if kind not in tuple(DTYPES):
        raise WeightsError(
            f"{where} has the type {printable(kind)}, which mlxvid can't read; "
            "get the model in 16 or 32 bits."
        )
    for number in (*shape, start, end):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise damaged(path)
    if len(shape) > MAX_AXES or max(shape, default=0) > MAX_SIDE:
        raise WeightsError(f"{where} has a shape that no tensor has; download the model again.")
    dtype = DTYPES[kind]
    claimed = math.prod(shape) * np.dtype(STORED[dtype]).itemsize
    if end > size or end - start != claimed:
        available = max(0, min(end, size) - start)
        raise WeightsError(
            f"{where} claims {claimed} bytes where the file has {available}; "
            "download the model again."
        )
    return dtype, shape, start


def _view(data: Any, dtype: str, shape: tuple[int, ...], start: int) -> np.ndarray:
    stored = np.dtype("<" + STORED[dtype])
    if math.prod(shape) == 0:  # NumPy views no empty array at the end of a buffer
        return np.empty(shape, stored)
    return np.ndarray(shape, stored, data, start)
