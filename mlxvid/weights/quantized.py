"""Weights that other programs quantized, told by their tensors' names.

Facts from the files of bitsandbytes, AutoGPTQ, AutoAWQ, Nunchaku, Quanto, torchao and ComfyUI.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.model.quantization import refusal

__all__ = ["check_types", "integers_in", "program_of", "program_of_class", "refusal"]

# By the ends of names; the first that any name has decides.
ENDS = (
    ((".absmax", ".quant_map", ".SCB", "bitsandbytes__nf4", "bitsandbytes__fp4"), "bitsandbytes"),
    ((".wscales", ".wtscale", ".smooth_factor", ".proj_down"), "Nunchaku (SVDQuant)"),
    ((".qzeros", ".g_idx"), "GPTQ or AWQ"),
    ((".W_q",), "HQQ"),
    (("._data", "._scale"), "Quanto"),
    (("_weight_qdata", "_weight_scale"), "torchao"),
    ((".weight_scale_2",), "NVIDIA's ModelOpt (NVFP4)"),
)
# What only ComfyUI's scaled FP8 has, which is converted and not loaded.
SCALED_FP8 = (".scale_weight", ".weight_scale", "scaled_fp8", ".comfy_quant")
# Types of safetensors that MLX has not, or takes for others; PyTorch's files are read otherwise.
UNLOADED = frozenset({"F64", "F8_E4M3", "F8_E5M2"})
CLASSES = {
    "bitsandbytes": "bitsandbytes",
    "hqq": "HQQ",
    "optimum.quanto": "Quanto",
    "torchao": "torchao",
}


def program_of(names: Iterable[str]) -> str | None:
    """The program that quantized a network with tensors of these names; None for none."""
    names = list(names)
    for ends, program in ENDS:
        if any(name.endswith(ends) for name in names):
            return program
    return None


def program_of_class(name: str) -> str | None:
    """The program whose class a pickle names; None for another class."""
    for package, program in CLASSES.items():
        if name.startswith(f"{package}."):
            return program
    return None


def integers_in(types: Mapping[str, str]) -> str | None:
    """The type of integers that a weight is made of, by the names of tensors and their types, as
    files of safetensors or :mod:`.tensors` call them; None where there are none.

    Those that mlxvid packs its own quantized weights into are no fault.
    """
    for name, dtype in types.items():
        kind = dtype.lower()
        is_packed = kind in ("u32", "uint32")
        if name.endswith(".weight") and kind.startswith(("i", "u")) and not is_packed:
            return kind
    return None


def check_types(types: Mapping[str, str], place: Path) -> None:
    """Raise :class:`mlxvid.WeightsError` for weights that can't be loaded, by the tensors' names
    and types (see :func:`integers_in`).
    """
    program = program_of(types)
    integers = integers_in(types)
    if program is None and integers is not None:
        program = f"another program, to integers ({integers})"
    if program is not None:
        raise refusal(place, program)
    stored = {dtype.upper() for dtype in types.values()}
    what = None
    if any(name.endswith(SCALED_FP8) for name in types):
        what = "ComfyUI's scaled FP8"
    elif stored & UNLOADED:
        what = f"a type that is not loaded as it is ({min(stored & UNLOADED)})"
    if what is not None:
        raise WeightsError(
            f"{place} has weights in {what}, which are converted before they are loaded: "
            "python -m mlxvid.convert FOLDER."
        )
