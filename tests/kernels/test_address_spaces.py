"""The kernel's address spaces, which g++ can't check.

Clang's OpenCL C++ mode has the same four as types and refuses to mix them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid.kernels import temporal_launch
from tests.metal_emulator.signature import signature

CLANG = shutil.which("clang")
SHIMS = Path(__file__).parents[1] / "metal_emulator" / "address_spaces"
INPUTS = ["q", "k", "v", "q_weight", "k_weight", "cos_table", "sin_table", "scale", "eps"]


# (frames, channels of a head, type)
INSTANCES = [
    (5, 64, mx.float32),
    (16, 72, mx.float16),
    (40, 96, mx.float16),
    (64, 128, mx.float32),
]


def instance(T: int, D: int, dtype: mx.Dtype, rope: int, norm: bool, body: str) -> str:
    """One instance of the kernel in OpenCL C++."""
    plan = temporal_launch.layout(T, D, dtype.size)
    data = mx.zeros((1, T, 1, 1, D), dtype)
    table = mx.zeros((8,))
    scalar = mx.array(1.0)
    options = [("T", dtype), ("D", D)]
    options += zip(("R", "SIMDS", "TUBES", "STAGE_V"), plan, strict=True)
    options += [("NORM_Q", norm), ("NORM_K", norm), ("ROPE", rope)]
    made = signature(
        name=f"k{T}_{rope}",
        input_names=INPUTS,
        inputs=[data] * 3 + [table] * 4 + [scalar] * 2,
        output_names=["out"],
        output_dtypes=[dtype],
        source=body,
        header="",
        template=options,
        atomic_outputs=False,
    )
    # In OpenCL C++ a template can't be a kernel, nor hold local arrays: a function and a pointer
    # replace them.
    function = made.text.split("\ntemplate [[host_name")[0]
    function = function.replace("[[kernel]] void", "void")
    function = re.sub(
        r"threadgroup T staged\[.*?\];", "threadgroup T* staged = (threadgroup T*)0;", function
    )
    function = re.sub(r"\[\[.*?\]\]", "", function)
    parameters = function[function.index("(\n") : function.index(") {")]
    return f"{function}\ntemplate void {made.instance}{parameters});\n"


def clang_says(header: str, body: str, folder: Path) -> str:
    """Clang's messages about many instances of the kernel; empty where there is no fault."""
    text = header
    for shape in INSTANCES:
        for rope, norm in [(0, False), (1, True), (2, True)]:
            text += instance(*shape, rope, norm, body)
    source = folder / "kernel.clcpp"
    source.write_text(text)
    command = [
        CLANG,
        "-x",
        "clcpp",
        "-cl-std=clc++",
        "-fsyntax-only",
        "-Wall",
        "-Wextra",
        "-Wno-unused",
        "-target",
        "spir64",
        f"-I{SHIMS}",
    ]
    return subprocess.run([*command, str(source)], capture_output=True, text=True).stderr


@pytest.mark.skipif(
    CLANG is None,
    reason="clang isn't installed; g++ runs the kernels but can't check their address spaces",
)
def test_address_spaces(tmp_path):
    header, body = temporal_launch.sources()
    assert clang_says(header, body, tmp_path) == ""
    wrong = header.replace("const threadgroup T* row", "const device T* row", 1)
    assert "no matching function for call to 'read_staged'" in clang_says(wrong, body, tmp_path)
    wrong = body.replace("threadgroup T* keys = ", "device T* keys = ", 1)
    assert "address space" in clang_says(header, wrong, tmp_path)
