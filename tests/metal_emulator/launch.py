"""The launch of one compiled kernel over MLX arrays.

It copies the arrays into guarded memory, runs the kernel, checks, and copies the outputs back.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import mlx.core as mx
import numpy as np

from . import build
from .translate import to_cpp

GUARD = 4096
GROUP_LIMIT = 1024
# The address of a fresh array's bytes modulo 16, to know a slice's offset from the allocator's own.
_fresh = mx.zeros((64,), mx.uint8)
mx.eval(_fresh)
ALLOCATOR_BIAS = np.asarray(memoryview(_fresh)).__array_interface__["data"][0] % 16


class Fault(Exception):
    """A kernel's fault; the message says what, where and by which thread."""


class _Buffer(ctypes.Structure):
    _fields_ = [
        ("base", ctypes.c_void_p),
        ("bytes", ctypes.c_uint64),
        ("valid", ctypes.c_void_p),
        ("writable", ctypes.c_int32),
        ("must_write", ctypes.c_int32),
        ("name", ctypes.c_char_p),
        ("asked", ctypes.c_uint64),
        ("unique_per_group", ctypes.c_uint64),
        ("unique", ctypes.c_uint64),
        ("written", ctypes.c_uint64),
    ]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("entry", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("buffers", ctypes.c_void_p),
        ("buffer_count", ctypes.c_int32),
        ("order", ctypes.c_int32),
        ("instrumented", ctypes.c_int32),
        ("poison", ctypes.c_int32),
        ("grid", ctypes.c_uint32 * 3),
        ("threadgroup", ctypes.c_uint32 * 3),
        ("threadgroup_bytes", ctypes.c_uint64),
        ("fault_pc", ctypes.c_uint64),
        ("fault", ctypes.c_char * 512),
    ]


@dataclass
class Traffic:
    """Bytes of one device buffer.

    asked: read by each SIMD-group's instructions, without a cache. per_group: different bytes read
    by each threadgroup, summed. unique: different bytes read. written: bytes written.
    """

    asked: int
    per_group: int
    unique: int
    written: int


@dataclass
class Report:
    """A launch's traffic by buffer name (watched runs only), and threadgroup memory in bytes."""

    traffic: dict[str, Traffic] = field(default_factory=dict)
    threadgroup_bytes: int = 0


@dataclass
class Input:
    """A device array that the kernel reads."""

    name: str
    array: mx.array


@dataclass
class Output:
    """A device array that the kernel writes: every byte of it, unless `initial` fills it first."""

    name: str
    shape: tuple[int, ...]
    dtype: mx.Dtype
    initial: float | None = None


@dataclass
class Value:
    """Bytes behind a pointer or reference parameter in the constant address space."""

    data: bytes
    name: str = "a constant parameter"


@cache
def _runtime() -> ctypes.CDLL:
    folder = build.HERE / "runtime"
    library = build.compile_shared((folder / "runtime.cpp").read_text(), ["-O2"], [folder])
    return ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


@cache
def _entry(library: Path) -> int:
    _runtime()
    return ctypes.cast(ctypes.CDLL(str(library)).emu_entry, ctypes.c_void_p).value


def strides_and_address(x: mx.array) -> tuple[tuple[int, ...], int]:
    """x's strides in elements, and the address of its first element."""
    view = memoryview(x.view(mx.uint16) if x.dtype == mx.bfloat16 else x)
    strides = tuple(stride // x.itemsize for stride in view.strides or ())
    address = np.asarray(view).__array_interface__["data"][0]
    return strides, address


def is_row_contiguous(x: mx.array) -> bool:
    expected = 1
    for size, stride in zip(reversed(x.shape), reversed(strides_and_address(x)[0]), strict=True):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


class _Placed:
    """One array's bytes within the arena, at the array's own address modulo 16.

    at: their offset in the arena. lead: the address modulo 16. data: the bytes, None for outputs.
    first: the offset of the first element. valid: 1 for each byte of an element, None for all.
    """

    def __init__(self, item: Input | Output | Value):
        self.item = item
        self.at = 0
        self.lead = 0
        self.first = 0
        self.valid: np.ndarray | None = None
        self.data: bytes | None = None
        if isinstance(item, Value):
            self.data = item.data
            self.length = len(item.data)
        elif isinstance(item, Output):
            self.length = int(np.prod(item.shape, dtype=np.int64)) * item.dtype.size
        else:
            self._copy(item.array)

    def _copy(self, x: mx.array) -> None:
        strides, address = strides_and_address(x)
        steps = [stride * x.itemsize for stride in strides]
        reach = [(n - 1) * step for n, step in zip(x.shape, steps, strict=True)]
        low = address + sum(r for r in reach if r < 0)
        self.first = address - low
        self.length = 0
        if x.size:
            self.length = self.first + sum(r for r in reach if r > 0) + x.itemsize
        self.lead = (low - ALLOCATOR_BIAS) % 16
        self.data = ctypes.string_at(low, self.length)
        if not is_row_contiguous(x):
            self.valid = np.zeros(self.length, np.uint8)
            start = self.valid[self.first :]
            elements = np.lib.stride_tricks.as_strided(start, (*x.shape, x.itemsize), (*steps, 1))
            elements[...] = 1


def launch(
    library: Path,
    arguments: list[Input | Output | Value],
    grid: tuple[int, int, int],
    threadgroup: tuple[int, int, int],
    *,
    watched: bool,
    order: int = 0,
    poison: int = 0xFF,
) -> tuple[list[mx.array], Report]:
    """Run the kernel as Metal's dispatchThreads does; returns its outputs and a report.

    order: 0 runs lanes, SIMD-groups and threadgroups forwards, 1 backwards, more shuffles with that
    seed. poison: the byte that fills outputs and threadgroup memory first. Raises Fault.
    """
    group = tuple(min(t, g) for t, g in zip(threadgroup, grid, strict=True))
    if min(grid) < 1 or min(group) < 1:
        raise Fault(f"empty launch: grid {tuple(grid)}, threadgroup {tuple(threadgroup)}")
    threads = group[0] * group[1] * group[2]
    if threads > GROUP_LIMIT:
        raise Fault(f"a threadgroup of {threads} threads is over the limit of {GROUP_LIMIT}")

    placed = [_Placed(a) for a in arguments]
    arena = mmap.mmap(-1, sum(p.length + 2 * GUARD + 32 for p in placed) + GUARD)
    start = ctypes.addressof(ctypes.c_char.from_buffer(arena))
    memory = np.frombuffer(arena, np.uint8)
    memory[:] = 0xA5
    buffers = (_Buffer * max(1, len(placed)))()
    pointers = []
    at = 0
    for p, b in zip(placed, buffers, strict=False):
        at = (at + GUARD + 15) // 16 * 16 + p.lead
        p.at = at
        if p.data is not None:
            memory[at : at + p.length] = np.frombuffer(p.data, np.uint8)
        elif p.item.initial is None:
            memory[at : at + p.length] = poison
        elif p.length:
            fill = mx.full(p.item.shape, p.item.initial, p.item.dtype).view(mx.uint8)
            memory[at : at + p.length] = np.array(fill).reshape(-1)
        b.base = start + at
        b.bytes = p.length
        b.name = p.item.name.encode()
        b.valid = p.valid.ctypes.data if p.valid is not None else None
        b.writable = isinstance(p.item, Output)
        b.must_write = isinstance(p.item, Output) and p.item.initial is None
        pointers.append(start + at + p.first)
        at += p.length

    table = (ctypes.c_void_p * max(1, len(pointers)))(*pointers)
    call = _Launch(
        _entry(library),
        ctypes.addressof(table),
        ctypes.addressof(buffers),
        len(placed),
        order,
        watched,
        poison,
        (*grid,),
        (*group,),
    )
    _runtime().emu_run(ctypes.byref(call))
    if call.fault:
        where = build.source_line(library, call.fault_pc)
        raise Fault(call.fault.decode() + (f", {where}" if where else ""))

    covered = np.zeros(len(memory), bool)
    for p in placed:
        covered[p.at : p.at + p.length] = True
    if (memory[~covered] != 0xA5).any():
        raise Fault("out of bounds: a write beside the buffers")
    outputs = []
    for p in placed:
        if isinstance(p.item, Output):
            outputs.append(_array(memory[p.at : p.at + p.length].copy(), p.item))
    report = Report(threadgroup_bytes=call.threadgroup_bytes)
    if watched:
        for p, b in zip(placed, buffers, strict=False):
            if isinstance(p.item, Value):
                continue
            report.traffic[p.item.name] = Traffic(b.asked, b.unique_per_group, b.unique, b.written)
    return outputs, report


def _array(data: np.ndarray, item: Output) -> mx.array:
    if not data.size:
        return mx.zeros(item.shape, item.dtype)
    return mx.array(data).view(item.dtype).reshape(item.shape)


def constant(*values: int, kind: type = ctypes.c_int32) -> Value:
    """Integers (or floats) in the constant address space."""
    return Value(bytes((kind * len(values))(*values)))


def build_kernel(text: str, call: str, watched: bool, include: Sequence[Path] = ()) -> Path:
    """Compile Metal text and an entry that calls the kernel.

    call: C++, in which a[i] is the i-th argument's address.
    """
    entry = 'extern "C" EMU_MACHINE void emu_entry(void* const* a)'
    cpp = f"{to_cpp(text)}\n{entry} {{\n{call}\n}}\n"
    flags = build.WATCHED if watched else build.FAST
    return build.compile_shared(cpp, ["-include", "metal_stdlib", *flags], include)
