"""The Metal text that ``mx.fast.metal_kernel`` would compile, rebuilt from its arguments.

MLX prints its own under ``mx.export_function`` with ``verbose=True``, on Linux too;
test_signature.py holds the two together byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

TYPES = {
    mx.bool_: "bool",
    mx.uint8: "uint8_t",
    mx.uint16: "uint16_t",
    mx.uint32: "uint32_t",
    mx.uint64: "uint64_t",
    mx.int8: "int8_t",
    mx.int16: "int16_t",
    mx.int32: "int32_t",
    mx.int64: "int64_t",
    mx.float16: "float16_t",
    mx.float32: "float",
    mx.bfloat16: "bfloat16_t",
}

# What a kernel may ask of its position, in MLX's order, and each one's type.
ATTRIBUTES = {
    "dispatch_quadgroups_per_threadgroup": "uint",
    "dispatch_simdgroups_per_threadgroup": "uint",
    "dispatch_threads_per_threadgroup": "uint3",
    "grid_origin": "uint3",
    "grid_size": "uint3",
    "quadgroup_index_in_threadgroup": "uint",
    "quadgroups_per_threadgroup": "uint",
    "simdgroup_index_in_threadgroup": "uint",
    "simdgroups_per_threadgroup": "uint",
    "thread_execution_width": "uint",
    "thread_index_in_quadgroup": "uint",
    "thread_index_in_simdgroup": "uint",
    "thread_index_in_threadgroup": "uint",
    "thread_position_in_grid": "uint3",
    "thread_position_in_threadgroup": "uint3",
    "threadgroup_position_in_grid": "uint3",
    "threadgroups_per_grid": "uint3",
    "threads_per_grid": "uint3",
    "threads_per_simdgroup": "uint",
    "threads_per_threadgroup": "uint3",
}

SMALL = 8  # inputs with fewer elements live in the constant address space


@dataclass
class Parameter:
    """One parameter of the kernel function: kind is input, shape, strides, ndim, output or
    attribute; of says which array.
    """

    kind: str
    name: str
    text: str
    of: int = 0


@dataclass
class Signature:
    function: str
    instance: str
    parameters: list[Parameter]
    text: str


def signature(
    name: str,
    input_names: list[str],
    inputs: list[mx.array],
    output_names: list[str],
    output_dtypes: list[mx.Dtype],
    source: str,
    header: str,
    template: list[tuple],
    atomic_outputs: bool,
) -> Signature:
    """MLX's text for this call, with the parameters in their order and the instance that the launch
    runs.
    """
    arguments = ", ".join(_template_value(value) for _, value in template)
    function = f"custom_kernel_{name}"
    if template:
        function += "__" + arguments.replace(", ", "_").replace("-", "_")
    for x in inputs:
        function += "_" + TYPES[x.dtype] + ("s" if x.ndim == 0 else "c" if x.size < SMALL else "")
    function += "".join("_" + TYPES[dtype] for dtype in output_dtypes)

    parameters = []
    for i, (label, x) in enumerate(zip(input_names, inputs, strict=True)):
        space = "constant" if x.size < SMALL else "device"
        parameters.append(
            Parameter(
                "input", label, f"const {space} {TYPES[x.dtype]}{'*' if x.ndim else '&'} {label}", i
            )
        )
        for kind, form in (
            ("shape", "const constant int* "),
            ("strides", "const constant int64_t* "),
            ("ndim", "const constant int& "),
        ):
            if x.ndim and f"{label}_{kind}" in source:
                parameters.append(Parameter(kind, f"{label}_{kind}", f"{form}{label}_{kind}", i))
    for i, (label, dtype) in enumerate(zip(output_names, output_dtypes, strict=True)):
        kind = f"atomic<{TYPES[dtype]}>" if atomic_outputs else TYPES[dtype]
        parameters.append(Parameter("output", label, f"device {kind}* {label}", i))
    attributes = [
        Parameter("attribute", a, f"{kind} {a} [[{a}]]")
        for a, kind in ATTRIBUTES.items()
        if a in source
    ]

    text = header
    if template:
        text += (
            "template <"
            + ", ".join(f"{_template_kind(value)} {label}" for label, value in template)
            + ">\n"
        )
    text += f"[[kernel]] void {function}(\n"
    for i, p in enumerate(parameters):
        # MLX closes the list by counting arrays, not buffers: with shapes asked for, several
        # outputs and no attribute it closes early, and the text doesn't compile, on a Mac as here.
        last = p.kind == "output" and not attributes and i >= len(inputs) + len(output_names) - 1
        text += f"  {p.text} [[buffer({i})]]" + (") {\n" if last else ",\n")
    text += ",\n".join(f"  {p.text}" for p in attributes) + (") {\n" if attributes else "")
    text += source + "\n}\n"
    instance = function
    if template:
        instance = f"{function}<{arguments}>"
        text += (
            f'\ntemplate [[host_name("{function}")]] [[kernel]] decltype({instance}) {instance};\n'
        )
    return Signature(function, instance, parameters + attributes, text)


def _template_kind(value: object) -> str:
    return "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "typename"


def _template_value(value: object) -> str:
    return TYPES[value] if isinstance(value, mx.Dtype) else str(int(value))
