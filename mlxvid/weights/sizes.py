"""How many bytes a component's weight files hold, from their headers alone."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.model.memory import DTYPE_BYTES

from .files import check_content, weight_files
from .quantized import check_types

_HEADER_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def read_sizes(folder: Path) -> dict[str, dict[str, int]]:
    """Bytes by component (a folder with weights in it) and type, from the files' headers alone;
    empty where there are none.

    Raises :class:`WeightsError` for a file whose header can't be read, that is missing, or whose
    weights another program quantized.
    """
    weights: dict[str, dict[str, int]] = {}
    for component, files in weight_files(folder).items():
        types = weights.setdefault(component, {})
        for path in files:
            check_content(path)
            for dtype, size in _header(path) if path.suffix == ".safetensors" else _tensors(path):
                types[dtype] = types.get(dtype, 0) + size
    return weights


def _tensors(path: Path) -> tuple[tuple[str, int], ...]:
    """(type, bytes) of each tensor in one of PyTorch's files, as it is read."""
    try:
        facts = path.stat()
    except OSError:
        raise WeightsError(f"{path} can't be read; download or convert it again.") from None
    return _tensors_of(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _tensors_of(path: Path, size: int, changed: int) -> tuple[tuple[str, int], ...]:
    """Kept while the file stays the same: a pickle of a thousand tensors takes half a second, and
    the app plans at every change.
    """
    from . import torch_file

    tensors = torch_file.open_content(path).tensors
    check_types({name: tensor.dtype for name, tensor in tensors.items()}, path)
    return tuple(
        (t.read_dtype, t.values.size * int(DTYPE_BYTES.get(t.read_dtype, t.values.itemsize)))
        for t in tensors.values()
    )


def _header(path: Path) -> list[tuple[str, int]]:
    """(type, bytes) of each tensor in a safetensors file: 8 bytes of length, little end first, and
    that much JSON.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            size = path.stat().st_size
            header = json.loads(file.read(min(length, size)))
        named = {name: entry for name, entry in header.items() if name != "__metadata__"}
        entries = list(named.values())
        check_types({name: entry["dtype"] for name, entry in named.items()}, path)
        if any(e["data_offsets"][1] > size - 8 - length for e in entries):
            raise ValueError("tensors beyond the end of the file")
        return [
            (
                _HEADER_NAMES.get(e["dtype"], e["dtype"].lower()),
                e["data_offsets"][1] - e["data_offsets"][0],
            )
            for e in entries
        ]
    except WeightsError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        raise WeightsError(
            f"{path} is missing, damaged or cut short; download or convert the model again."
        ) from None
