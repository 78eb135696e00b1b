"""Safetensors files, read as views of the mapped file: MLX's own reader knows no FP8 and would copy
what is only to be cast.

The form: 8 bytes of length, little end first; so much JSON, {name: {dtype, shape, data_offsets}};
the bytes of the tensors.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.weights.tensors import (
    MAX_AXES,
    MAX_SIDE,
    STORED,
    Tensor,
    called,
    damaged,
    mapped,
    printable,
)

# As the format's own library has it.
MAX_HEADER = 100_000_000
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
    """The file's tensors by name. Raises :class:`WeightsError` for a file that is none, is broken,
    or has a type unknown here.
    """
    data = mapped(path)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER, len(data) - 8):
        raise WeightsError(
            f"{path} says that its header has {length} bytes, more than it can have; download the model again."
        )
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise damaged(path)
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            dtype, shape, start = _entry(path, name, entry, len(data) - 8 - length)
            tensors[name] = Tensor(
                _view(data, dtype, shape, 8 + length + start), dtype, called(name, path)
            )
    return tensors


def _entry(path: Path, name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...], int]:
    """A tensor's type, shape, and first byte among the `size` that the file has for tensors, all
    checked.
    """
    where = called(name, path)
    try:
        kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise damaged(path) from None
    if kind not in tuple(DTYPES):
        raise WeightsError(
            f"{where} is of the type {printable(kind)}, which mlxvid can't read; get the model in 16 or 32 bits."
        )
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in (*shape, start, end)):
        raise damaged(path)
    if len(shape) > MAX_AXES or max(shape, default=0) > MAX_SIDE:
        raise WeightsError(f"{where} has a shape that no tensor has; download the model again.")
    claimed = math.prod(shape) * np.dtype(STORED[DTYPES[kind]]).itemsize
    if end > size or end - start != claimed:
        there = max(0, min(end, size) - start)
        raise WeightsError(
            f"{where} claims {claimed} bytes where the file has {there}; download the model again."
        )
    return DTYPES[kind], shape, start


def _view(data: Any, dtype: str, shape: tuple[int, ...], at: int) -> np.ndarray:
    kind = np.dtype("<" + STORED[dtype])
    return np.ndarray(shape, kind, data, at) if math.prod(shape) else np.empty(shape, kind)
