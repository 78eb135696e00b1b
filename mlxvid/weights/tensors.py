"""Tensors that stay in their file until they are read, piece by piece.

The readers of checkpoints make them. MLX is first imported when one is read: plans and the desktop
app ask a file only for its sizes.
"""

from __future__ import annotations

import dataclasses
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.paths import require_regular

from .files import check_content
from .fp8 import FP8

if TYPE_CHECKING:
    import mlx.core as mx

# How each type stands in a file; NumPy has no bfloat16 and no FP8, so these are carried as their
# bits.
STORED = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "float8_e4m3fn": "u1",
    "float8_e5m2": "u1",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "u1",
}
FLOATING = frozenset({"float64", "float32", "float16", "bfloat16", *FP8})
# MLX counts a side with 31 bits; no weight comes near.
MAX_SIDE = 2**31 - 1
# No weight has more axes.
MAX_AXES = 8
# Tensors are read in pieces of about this many bytes of float32, so that the largest of them needs
# no room of its own.
PIECE_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in a file.

    values: a view of a mapped file, of any strides. dtype: a key of :data:`STORED`. where: what to
    call it in a message. scale: what the values of a scaled FP8 weight are multiplied by, a float32
    array of one number or of one a row.
    """

    values: np.ndarray
    dtype: str
    where: str
    scale: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def floating(self) -> bool:
        """Whether its type is one of floating-point numbers."""
        return self.dtype in FLOATING

    @property
    def read_dtype(self) -> str:
        """The type that :meth:`read` gives: float32 for float64 and FP8, else its own."""
        return "float32" if self.dtype == "float64" or self.dtype in FP8 else self.dtype

    def read(self, start: int = 0, stop: int | None = None) -> mx.array:
        """Rows `start` to `stop` of the first axis, in memory, as :attr:`read_dtype`."""
        import mlx.core as mx

        part = self.values[start:stop] if self.values.ndim else self.values
        # A copy only where MLX could not read it as it is.
        part = np.require(part, part.dtype.newbyteorder("="), ("C", "A"))
        if self.dtype in FP8:
            array = mx.array(FP8[self.dtype][part])
        elif self.dtype == "float64":
            # A number beyond float32 becomes infinite, which the writer refuses.
            with np.errstate(over="ignore"):
                array = mx.array(part.astype(np.float32))
        elif self.dtype == "bool":
            array = mx.array(part != 0)
        else:
            array = mx.array(part)
            array = array.view(mx.bfloat16) if self.dtype == "bfloat16" else array
        if self.scale is None:
            return array
        return array * mx.array(self.scale if self.scale.size == 1 else self.scale[start:stop])

    def pieces(self) -> Iterator[mx.array]:
        """The whole tensor, in order, as parts of its first axis."""
        if not self.values.ndim:
            yield self.read()
            return
        rows = max(1, PIECE_BYTES // max(1, 4 * self.values[:1].size))
        for start in range(0, len(self.values), rows):
            yield self.read(start, start + rows)

    def split(self, parts: int) -> list[Tensor]:
        """`parts` equal parts of the first axis, such as queries, keys and values in one matrix."""
        if not self.values.ndim or len(self.values) % parts:
            raise WeightsError(
                f"{self.where} has the shape {self.shape}, which is not {parts} matrices in one; "
                "get the model again."
            )
        views = np.split(self.values, parts)
        if self.scale is None or self.scale.size == 1:
            return [dataclasses.replace(self, values=view) for view in views]
        scales = np.split(self.scale, parts)
        return [
            dataclasses.replace(self, values=view, scale=scale)
            for view, scale in zip(views, scales, strict=True)
        ]

    def rows(self, start: int, stop: int | None = None) -> Tensor:
        """A part of the first axis."""
        part = dataclasses.replace(self, values=self.values[start:stop])
        if self.scale is None or self.scale.size == 1:
            return part
        return dataclasses.replace(part, scale=self.scale[start:stop])

    def reshape(self, *shape: int) -> Tensor:
        """The same values, in order, in another shape."""
        try:
            return dataclasses.replace(self, values=self.values.reshape(shape))
        except ValueError:
            raise WeightsError(
                f"{self.where} has the shape {self.shape} where {shape} is needed; "
                "get the model again."
            ) from None


class Stacked(Tensor):
    """Tensors of one type and width as one, the rows of each after those before.

    It can be read, and not taken apart again.
    """

    parts: tuple[Tensor, ...]

    def __init__(self, *parts: Tensor):
        super().__init__(parts[0].values, parts[0].dtype, parts[0].where)
        object.__setattr__(self, "parts", parts)

    @property
    def shape(self) -> tuple[int, ...]:
        rows = sum(part.shape[0] for part in self.parts)
        return (rows, *self.parts[0].shape[1:])

    def read(self, start: int = 0, stop: int | None = None) -> mx.array:
        import mlx.core as mx

        return mx.concatenate([part.read() for part in self.parts])[start:stop]

    def pieces(self) -> Iterator[mx.array]:
        for part in self.parts:
            yield from part.pieces()


def joined(paths: Iterable[Path], read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of several files as `read` finds them in each.

    Raises :class:`WeightsError` for a name in two of them.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in read(path).items():
            if name in tensors:
                raise WeightsError(
                    f"{tensors[name].where} is in {path.name} too; download the model again."
                )
            tensors[name] = tensor
    return tensors


def mapped(path: Path) -> mmap.mmap:
    """The file's bytes, read from the disk as they are used.

    Raises :class:`WeightsError` for one that is missing or empty, or a stand-in for the file.
    """
    require_regular(path, WeightsError)
    check_content(path)
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: nothing to map in an empty file
        raise WeightsError(
            f"{path} is missing, empty or can't be read; download the model again."
        ) from None


def called(name: object, path: Path) -> str:
    """A tensor in messages; its name, which may be anything, as it can be printed."""
    return f"{printable(name)} in {path}"


def printable(text: object) -> str:
    """The first hundred characters, and no others than a terminal shows as they are."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:100])


def damaged(path: Path) -> WeightsError:
    """What is raised for a file whose parts contradict each other."""
    return WeightsError(f"{path} is damaged or cut short; download the model again.")
