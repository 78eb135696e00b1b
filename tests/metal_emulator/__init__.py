"""Metal kernels without Metal, on any Linux machine with g++.

It runs the source and launch that ``mx.fast.metal_kernel`` is given.
``with emulated() as log:`` replaces ``mx.fast.metal_kernel`` and ``mx.metal.is_available``, nothing
else; log collects each launch. Arrays given to a kernel are evaluated at the call, so emulated
calls can't stand inside ``mx.compile`` or ``mx.vmap``.
"""

from .kernel import Launches, MetalKernel, emulated
from .launch import Fault, Input, Output, Report, Traffic, Value, build_kernel, constant, launch

__all__ = [
    "Fault",
    "Input",
    "Launches",
    "MetalKernel",
    "Output",
    "Report",
    "Traffic",
    "Value",
    "build_kernel",
    "constant",
    "emulated",
    "launch",
]
