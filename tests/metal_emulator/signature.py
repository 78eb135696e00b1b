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

# The position attributes of a kernel, in MLX's order, and their types.
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

SMALL = 8  # inputs with fewer elements are in the constant address space
# The facts about an array that a kernel may name, and their parameters' types.
FACTS = {
    "shape": "const constant int*",
    "strides": "const constant int64_t*",
    "ndim": "const constant int&",
}


@dataclass
class Parameter:
    """One parameter of the kernel function.

    kind: input, shape, strides, ndim, output or attribute. of: the number of its array.
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
    """MLX's text for a call, the parameters in order, and the instance that the launch runs."""
    arguments = ", ".join(_template_value(value) for _, value in template)
    function = f"custom_kernel_{name}"
    if template:
        function += "__" + arguments.replace(", ", "_").replace("-", "_")
    for x in inputs:
        function += f"_{TYPES[x.dtype]}{_kind_letter(x)}"
    function += "".join("_" + TYPES[dtype] for dtype in output_dtypes)

    parameters = []
    for i, (label, x) in enumerate(zip(input_names, inputs, strict=True)):
        space = "constant" if x.size < SMALL else "device"
        declarator = "*" if x.ndim else "&"
        text = f"const {space} {TYPES[x.dtype]}{declarator} {label}"
        parameters.append(Parameter("input", label, text, i))
        for kind, form in FACTS.items():
            fact = f"{label}_{kind}"
            if x.ndim and fact in source:
                parameters.append(Parameter(kind, fact, f"{form} {fact}", i))
    for i, (label, dtype) in enumerate(zip(output_names, output_dtypes, strict=True)):
        kind = f"atomic<{TYPES[dtype]}>" if atomic_outputs else TYPES[dtype]
        parameters.append(Parameter("output", label, f"device {kind}* {label}", i))
    attributes = []
    for name, kind in ATTRIBUTES.items():
        if name in source:
            attributes.append(Parameter("attribute", name, f"{kind} {name} [[{name}]]"))

    text = header
    if template:
        declared = ", ".join(f"{_template_kind(value)} {label}" for label, value in template)
        text += f"template <{declared}>\n"
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
        host_name = f'[[host_name("{function}")]]'
        text += f"\ntemplate {host_name} [[kernel]] decltype({instance}) {instance};\n"
    return Signature(function, instance, parameters + attributes, text)


def _kind_letter(x: mx.array) -> str:
    """MLX's mark of scalars and of arrays in the constant address space."""
    if x.ndim == 0:
        return "s"
    return "c" if x.size < SMALL else ""


def _template_kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "typename"


def _template_value(value: object) -> str:
    return TYPES[value] if isinstance(value, mx.Dtype) else str(int(value))
