"""``mx.fast.metal_kernel``, with its own arguments and its own callable, on the emulator."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import mlx.core as mx

from .launch import (
    Input,
    Output,
    Report,
    Value,
    build_kernel,
    constant,
    is_row_contiguous,
    launch,
    strides_and_address,
)
from .signature import ATTRIBUTES, Parameter, signature

_VOLUME = "emu_position({0}).x * emu_position({0}).y * emu_position({0}).z"
# The C++ expression of each attribute: emu_position's case and field.
_POSITIONS = {
    "thread_position_in_grid": "emu_attribute3(0)",
    "thread_position_in_threadgroup": "emu_attribute3(1)",
    "threadgroup_position_in_grid": "emu_attribute3(2)",
    "threadgroups_per_grid": "emu_attribute3(3)",
    "threads_per_grid": "emu_attribute3(4)",
    "grid_size": "emu_attribute3(4)",
    "threads_per_threadgroup": "emu_attribute3(5)",
    "dispatch_threads_per_threadgroup": "emu_attribute3(6)",
    "grid_origin": "uint3(0)",
    "thread_index_in_threadgroup": "emu_position(7).x",
    "simdgroup_index_in_threadgroup": "emu_position(7).y",
    "thread_index_in_simdgroup": "emu_position(7).z",
    "simdgroups_per_threadgroup": "emu_position(8).x",
    "dispatch_simdgroups_per_threadgroup": f"(({_VOLUME.format(6)} + 31) / 32)",
    "quadgroup_index_in_threadgroup": "emu_position(8).y",
    "thread_index_in_quadgroup": "emu_position(8).z",
    "quadgroups_per_threadgroup": f"(({_VOLUME.format(5)} + 3) / 4)",
    "dispatch_quadgroups_per_threadgroup": f"(({_VOLUME.format(6)} + 3) / 4)",
    "thread_execution_width": "32u",
    "threads_per_simdgroup": "32u",
}
assert set(_POSITIONS) == set(ATTRIBUTES)


@dataclass
class Launches:
    """How kernels run, and a log of launches: (kernel name, grid, threadgroup, Report)."""

    watched: bool = True
    order: int = 0
    poison: int = 0xFF
    log: list[tuple[str, tuple, tuple, Report]] = field(default_factory=list)


class MetalKernel:
    """A stand-in for the kernels of ``mx.fast.metal_kernel``, called with the same arguments.

    A call launches on the emulator at once.
    """

    def __init__(
        self,
        settings: Launches,
        name,
        input_names,
        output_names,
        source,
        header="",
        ensure_row_contiguous=True,
        atomic_outputs=False,
    ):
        self.settings = settings
        self.name = name
        self.input_names = list(input_names)
        self.output_names = list(output_names)
        self.source = source
        self.header = header
        self.ensure_row_contiguous = ensure_row_contiguous
        self.atomic_outputs = atomic_outputs

    def __call__(
        self,
        *,
        inputs: list,
        grid: tuple[int, int, int],
        threadgroup: tuple[int, int, int],
        output_shapes: list,
        output_dtypes: list,
        template: list[tuple] | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: object = None,
    ) -> list[mx.array]:
        inputs = [x if isinstance(x, mx.array) else mx.array(x) for x in inputs]
        if self.ensure_row_contiguous:
            mx.eval(inputs)
            inputs = [x if is_row_contiguous(x) else mx.contiguous(x) for x in inputs]
        mx.eval(inputs)
        made = signature(
            name=self.name,
            input_names=self.input_names,
            inputs=inputs,
            output_names=self.output_names,
            output_dtypes=output_dtypes,
            source=self.source,
            header=self.header,
            template=list(template or []),
            atomic_outputs=self.atomic_outputs,
        )
        if verbose:
            print(made.text)
        arguments = []
        actual = []
        for i, p in enumerate(made.parameters):
            actual.append(_actual(p, i, inputs))
            if p.kind == "input":
                arguments.append(Input(p.name, inputs[p.of]))
            elif p.kind == "output":
                shape = tuple(output_shapes[p.of])
                arguments.append(Output(p.name, shape, output_dtypes[p.of], init_value))
            elif p.kind != "attribute":
                arguments.append(_facts(p.kind, inputs[p.of]))
        call = f"{made.instance}({', '.join(actual)});"
        library = build_kernel(made.text, call, self.settings.watched)
        outputs, report = launch(
            library,
            arguments,
            grid,
            threadgroup,
            watched=self.settings.watched,
            order=self.settings.order,
            poison=self.settings.poison,
        )
        self.settings.log.append((self.name, tuple(grid), tuple(threadgroup), report))
        return outputs


def _actual(p: Parameter, index: int, inputs: list[mx.array]) -> str:
    """The C++ expression that the entry passes for this parameter."""
    if p.kind == "attribute":
        return _POSITIONS[p.name]
    kind = p.text.rsplit(" ", 1)[0]
    if kind.endswith("&"):
        return f"*({kind[:-1]}*)a[{index}]"
    return f"({kind})a[{index}]"


def _facts(kind: str, x: mx.array) -> Value:
    """An array's shape, strides or number of axes, as the kernel gets them."""
    if kind == "shape":
        return constant(*x.shape)
    if kind == "strides":
        return constant(*strides_and_address(x)[0], kind=ctypes.c_int64)
    return constant(x.ndim)


def metal_kernel(settings: Launches):
    """A stand-in for ``mx.fast.metal_kernel`` whose kernels run with these `settings`."""

    def make(
        name,
        input_names,
        output_names,
        source,
        header="",
        ensure_row_contiguous=True,
        atomic_outputs=False,
        compile_options=None,
    ):
        return MetalKernel(
            settings,
            name,
            input_names,
            output_names,
            source,
            header,
            ensure_row_contiguous,
            atomic_outputs,
        )

    return make


@contextmanager
def emulated(watched: bool = True, order: int = 0, poison: int = 0xFF) -> Iterator[Launches]:
    """A context in which ``mx.fast.metal_kernel`` makes emulated kernels.

    ``mx.metal.is_available()`` is true in it. watched: every load and store is checked and counted
    (slow: small shapes); without, only results and guards are. order, poison: as in
    :func:`.launch.launch`.
    """
    settings = Launches(watched, order, poison)
    with (
        mock.patch.object(mx.fast, "metal_kernel", metal_kernel(settings)),
        mock.patch.object(mx.metal, "is_available", lambda: True),
    ):
        yield settings
