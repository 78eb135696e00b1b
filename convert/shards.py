"""A component's weight files: which tensors go into which, and writing one.

Tensors are cast and quantized on the way, with no more in memory than a piece of one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError, WeightsError
from mlxvid.weights import safetensors_file
from mlxvid.weights.loading import MLX_DTYPES, QUANTIZE_GROUP
from mlxvid.weights.tensors import STORED, Tensor

from .fitting import WritePlan

SHARD_BYTES = 5 * 10**9
SAFETENSORS_DTYPES = {ours: theirs for theirs, ours in safetensors_file.DTYPES.items()}


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of the new file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        return np.dtype(STORED[self.dtype]).itemsize

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.itemsize


@dataclass(frozen=True)
class Conversion:
    """A tensor of the source and what it becomes: one of type `dtype`, or three if quantized.

    bits: per weight; None for a tensor that is not quantized.
    """

    name: str
    tensor: Tensor
    dtype: str
    bits: int | None

    @cached_property
    def outputs(self) -> tuple[OutputTensor, ...]:
        """The weights, and those of a quantized matrix with their scales and biases."""
        if self.bits is None:
            return (OutputTensor(self.name, self.dtype, self.tensor.shape),)
        stem = self.name.removesuffix("weight")
        rows, columns = self.tensor.shape
        groups = (rows, columns // QUANTIZE_GROUP)
        return (
            OutputTensor(self.name, "uint32", (rows, columns * self.bits // 32)),
            OutputTensor(f"{stem}scales", self.dtype, groups),
            OutputTensor(f"{stem}biases", self.dtype, groups),
        )

    @property
    def nbytes(self) -> int:
        return sum(output.nbytes for output in self.outputs)

    def convert(self, piece: mx.array) -> Sequence[mx.array]:
        """The part of each output that a piece of the source becomes.

        Raises :class:`WeightsError` for values that are not finite, and :class:`SettingError` for
        those that float16 can't hold.
        """
        if not self.tensor.floating:
            return (piece,)
        if not mx.isfinite(piece).all().item():
            raise WeightsError(
                f"{self.tensor.where} holds NaN or infinity, as no valid weights do; "
                "download the model again."
            )
        cast = piece.astype(MLX_DTYPES[self.dtype])
        if self.dtype == "float16" and not mx.isfinite(cast).all().item():
            raise SettingError(
                f"{self.tensor.where} holds numbers beyond float16's 65504; "
                "set `dtype` to bfloat16."
            )
        if self.bits is None:
            return (cast,)
        return mx.quantize(cast, QUANTIZE_GROUP, self.bits)


@dataclass(frozen=True)
class Shard:
    """A file to write: its path within the model's folder, and its content."""

    path: str
    conversions: list[Conversion]

    @property
    def outputs(self) -> list[OutputTensor]:
        """The tensors in the file's order: the widest numbers first, which aligns all of them."""
        outputs = [output for conversion in self.conversions for output in conversion.outputs]
        return sorted(outputs, key=lambda output: (-output.itemsize, output.name))

    @property
    def nbytes(self) -> int:
        return sum(conversion.nbytes for conversion in self.conversions)


def shards_of(plan: WritePlan, limit: int) -> list[Shard]:
    """The component's files, of at most `limit` bytes of tensors each.

    A tensor that is larger by itself has a file of its own.
    """
    groups: list[list[Conversion]] = [[]]
    size = 0
    for conversion in _conversions(plan):
        if groups[-1] and size + conversion.nbytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(conversion)
        size += conversion.nbytes
    stem = f"{plan.component.name}/{plan.component.stem}"
    count = len(groups)
    if count == 1:
        return [Shard(f"{stem}.safetensors", groups[0])]
    return [
        Shard(f"{stem}-{number:05d}-of-{count:05d}.safetensors", group)
        for number, group in enumerate(groups, start=1)
    ]


def _conversions(plan: WritePlan) -> Iterator[Conversion]:
    for name, tensor in plan.component.tensors.items():
        if name in plan.float32:
            dtype = "float32"
        elif tensor.floating:
            dtype = plan.dtype
        else:
            dtype = tensor.dtype
        bits = plan.bits if name in plan.quantized else None
        yield Conversion(name, tensor, dtype, bits)


def index_of(shards: Sequence[Shard]) -> dict[str, Any]:
    """The index of a component in several files: which tensor is in which."""
    places = {output.name: Path(shard.path).name for shard in shards for output in shard.outputs}
    return {
        "metadata": {"total_size": sum(shard.nbytes for shard in shards)},
        "weight_map": dict(sorted(places.items())),
    }


def write_shard(shard: Shard, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Write `shard` to `path` and flush it to the disk; `on_bytes` gets the size of each write.

    Raises :class:`WeightsError` for values that are not finite, :class:`SettingError` for those
    that float16 can't hold, and OSError.
    """
    header, starts = _header(shard)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        base = file.tell()
        for conversion in shard.conversions:
            ends = [base + starts[output.name] for output in conversion.outputs]
            for piece in conversion.tensor.pieces():
                for number, array in enumerate(conversion.convert(piece)):
                    data = _bytes(array)
                    file.seek(ends[number])
                    file.write(data)
                    ends[number] += len(data)
                    on_bytes(len(data))
            mx.clear_cache()  # MLX keeps buffers of every size that the pieces had
        file.flush()
        os.fsync(file.fileno())


def _header(shard: Shard) -> tuple[bytes, dict[str, int]]:
    """The file's JSON header, and the first byte of each tensor after it."""
    quantized = any(conversion.bits for conversion in shard.conversions)
    header: dict[str, Any] = {"__metadata__": {"format": "mlx" if quantized else "pt"}}
    starts = {}
    end = 0
    for output in shard.outputs:
        start = end
        end += output.nbytes
        starts[output.name] = start
        header[output.name] = {
            "dtype": SAFETENSORS_DTYPES[output.dtype],
            "shape": output.shape,
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8), starts


def _bytes(array: mx.array) -> bytes:
    if array.dtype == mx.bfloat16:  # which NumPy does not have
        array = array.view(mx.uint16)
    return np.array(array).tobytes()
