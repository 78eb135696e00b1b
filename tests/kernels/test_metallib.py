"""What the names in MLX's compiled kernels say of it."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.kernels.metallib import fused_head_sizes, has_matrix_units, kernel_names
from mlxvid.model.memory import FUSED_HEAD_DIMS

# The types of weights, and what the kernels of quantized ones call them.
DTYPES = {"float32": "float", "float16": "float16_t", "bfloat16": "bfloat16_t"}
TABLE = (
    b"\x01NAME\x00steel_attention_float16_bq32_bk16_bd72_bv72_wm4_wn1_maskbool_\x00\x02"
    b"\x00steel_attention_float32_bq32_bk16_bd128_bv128_wm4_wn1_maskfloat32\x00"
    b"winograd_conv_2d_input_transform_float32_bc32\x00Not_A_kernel-name\x00short\x00"
)


def test_names_are_read_from_a_compiled_library():
    names = kernel_names(TABLE)
    assert "winograd_conv_2d_input_transform_float32_bc32" in names
    assert not any("Not" in name or name == "short" for name in names)
    assert fused_head_sizes(names) == {"float16": {72}, "float32": {128}}
    assert not has_matrix_units(names)


def test_kernels_for_matrix_units_are_told_by_their_names():
    assert has_matrix_units(kernel_names(b"\x00steel_gemm_fused_nax_nt_float16\x00"))


@pytest.fixture(scope="module")
def newest_wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The compiled kernels of the newest wheel of MLX for macOS 14."""
    folder = tmp_path_factory.mktemp("wheel")
    asked = ["--no-deps", "--only-binary=:all:", "--platform", "macosx_14_0_arm64"]
    command = [sys.executable, "-m", "pip", "download", "-q", *asked, "mlx-metal", "-d", folder]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("mlx/lib/mlx.metallib")


@pytest.mark.registry
def test_the_newest_wheel_has_every_kernel_that_the_models_need(newest_wheel):
    names = kernel_names(newest_wheel)
    sizes = fused_head_sizes(names)
    for card in CATALOG.values():
        assert card.head_dim in sizes[card.dtype], card.name
        assert card.head_dim in sizes["float32"], card.name
    needed = []
    for dtype, quantized in DTYPES.items():
        assert FUSED_HEAD_DIMS <= sizes[dtype]
        needed += [f"rms{dtype}", f"layer_norm{dtype}", f"winograd_conv_2d_input_transform_{dtype}"]
        needed += [f"affine_qmm_t_{quantized}_gs_64_b_{bits}" for bits in (4, 8)]
    for kernel in needed:
        assert any(name.startswith(kernel) for name in names), kernel
