"""A component's tensors as safetensors: cast, quantized, in shards, and never more of them in
memory than a piece of one.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError, WeightsError
from mlxvid.weights.loading import DTYPES, QUANTIZE_GROUP
from mlxvid.weights.tensors import STORED, Tensor

from . import safetensors_file
from .fitting import Plan

SHARD_BYTES = 5 * 10**9
CODES = {ours: theirs for theirs, ours in safetensors_file.DTYPES.items()}


@dataclass(frozen=True)
class Output:
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
class Entry:
    """A tensor of the source and what becomes of it: one tensor of type `dtype`, or the three of a
    quantized one.
    """

    name: str
    tensor: Tensor
    dtype: str
    bits: int | None

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        if self.bits is None:
            return (Output(self.name, self.dtype, self.tensor.shape),)
        stem, (rows, columns) = self.name.removesuffix("weight"), self.tensor.shape
        groups = (rows, columns // QUANTIZE_GROUP)
        packed = Output(self.name, "uint32", (rows, columns * self.bits // 32))
        return (
            packed,
            Output(f"{stem}scales", self.dtype, groups),
            Output(f"{stem}biases", self.dtype, groups),
        )

    @property
    def nbytes(self) -> int:
        return sum(output.nbytes for output in self.outputs)

    def made(self, piece: mx.array) -> tuple[mx.array, ...]:
        """A piece of the source as the same piece of each output. Raises :class:`WeightsError` for
        values that are not finite.
        """
        if not self.tensor.floating:
            return (piece,)
        if not mx.isfinite(piece).all().item():
            raise WeightsError(
                f"{self.tensor.where} holds NaN or infinity, which no sound weights do; download the model again."
            )
        cast = piece.astype(DTYPES[self.dtype])
        if self.dtype == "float16" and not mx.isfinite(cast).all().item():
            raise SettingError(
                f"{self.tensor.where} holds numbers beyond float16's 65504; use --dtype bfloat16."
            )
        return (cast,) if self.bits is None else mx.quantize(cast, QUANTIZE_GROUP, self.bits)


@dataclass(frozen=True)
class Shard:
    """A file to write: its path within the model's folder, and what goes into it."""

    path: str
    entries: list[Entry]

    @property
    def outputs(self) -> list[Output]:
        """In the order that they have in the file: the widest numbers first, so that each begins at
        a multiple of its width.
        """
        return sorted(
            (output for entry in self.entries for output in entry.outputs),
            key=lambda output: (-output.itemsize, output.name),
        )

    @property
    def nbytes(self) -> int:
        return sum(entry.nbytes for entry in self.entries)


def shards(plan: Plan, limit: int) -> list[Shard]:
    """The component's files, of at most `limit` bytes of tensors each, but for a tensor that is
    larger by itself.
    """
    groups: list[list[Entry]] = [[]]
    size = 0
    for entry in _entries(plan):
        if groups[-1] and size + entry.nbytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += entry.nbytes
    stem, count = f"{plan.component.name}/{plan.component.stem}", len(groups)
    names = (
        [f"{stem}.safetensors"]
        if count == 1
        else [f"{stem}-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]
    )
    return [Shard(name, group) for name, group in zip(names, groups, strict=True)]


def _entries(plan: Plan) -> Iterator[Entry]:
    for name, tensor in plan.component.tensors.items():
        dtype = (
            "float32" if name in plan.float32 else plan.dtype if tensor.floating else tensor.dtype
        )
        yield Entry(name, tensor, dtype, plan.bits if name in plan.quantized else None)


def index_of(shards: list[Shard]) -> str:
    """The index of a component in several files: which tensor is in which."""
    places = {output.name: Path(shard.path).name for shard in shards for output in shard.outputs}
    table = {
        "metadata": {"total_size": sum(shard.nbytes for shard in shards)},
        "weight_map": dict(sorted(places.items())),
    }
    return json.dumps(table, indent=2) + "\n"


def write_shard(shard: Shard, path: Path, wrote: Callable[[int], None]) -> None:
    """Write `shard` to `path`, down to the disk; `wrote` hears of the bytes as they are written.

    Raises :class:`WeightsError` for values that are not finite, :class:`SettingError` for those
    that float16 can't hold, and OSError.
    """
    header: dict[str, dict] = {
        "__metadata__": {"format": "mlx" if any(entry.bits for entry in shard.entries) else "pt"}
    }
    starts, at = {}, 0
    for output in shard.outputs:
        starts[output.name] = at
        header[output.name] = {
            "dtype": CODES[output.dtype],
            "shape": output.shape,
            "data_offsets": [at, at + output.nbytes],
        }
        at += output.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        base = file.tell()
        for entry in shard.entries:
            ends = [base + starts[output.name] for output in entry.outputs]
            for piece in entry.tensor.pieces():
                for number, made in enumerate(entry.made(piece)):
                    data = _bytes(made)
                    file.seek(ends[number])
                    file.write(data)
                    ends[number] += len(data)
                    wrote(len(data))
            mx.clear_cache()  # of pieces in every size that there was
        file.flush()
        os.fsync(file.fileno())


def _bytes(array: mx.array) -> bytes:
    return np.array(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array).tobytes()
