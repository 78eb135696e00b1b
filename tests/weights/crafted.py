"""Checkpoints put together by hand, as no honest program writes them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}


def opcodes(value: Any) -> bytes:
    """A plain value as pickle opcodes, to be put between others."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(
    key="0",
    kind=b"FloatStorage",
    count: Any = 4,
    offset: Any = 0,
    shape: Any = (4,),
    strides: Any = (1,),
) -> bytes:
    """The opcodes of a tensor that claims what it is told to claim."""
    identity = (
        b"("
        + opcodes("storage")
        + b"ctorch\n"
        + kind
        + b"\n"
        + opcodes(key)
        + opcodes("cpu")
        + opcodes(count)
        + b"tQ"
    )
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + identity
        + opcodes(offset)
        + opcodes(shape)
        + opcodes(strides)
        + b"\x89}tR"
    )


def table(**entries: bytes) -> bytes:
    """The pickle of a dict whose values are these opcodes."""
    return (
        b"\x80\x02}(" + b"".join(opcodes(name) + value for name, value in entries.items()) + b"u."
    )


def zip_file(
    path: Path,
    pickled: bytes,
    storages: dict[str, bytes],
    compression: int = zipfile.ZIP_STORED,
    order="little",
) -> None:
    """A checkpoint of the zip form."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", order)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)


def legacy_file(path: Path, pickled: bytes, storages: dict[str, tuple[int, bytes]]) -> None:
    """A checkpoint of the legacy form; a storage is the count that it claims and its bytes."""
    file = io.BytesIO()
    for part in (
        MAGIC,
        pickle.dumps(1001, 2),
        pickle.dumps(SYSTEM, 2),
        pickled,
        pickle.dumps(list(storages), 2),
    ):
        file.write(part)
    for count, data in storages.values():
        file.write(struct.pack("<q", count) + data)
    path.write_bytes(file.getvalue())


def safetensors_file(
    path: Path, header: dict[str, Any] | bytes, data: bytes = b"", length: int | None = None
) -> None:
    """A safetensors file whose header says what it is told to say."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
