"""Weights that other programs quantized, told by their tensors' names.

Facts from the files of bitsandbytes, AutoGPTQ, AutoAWQ, Nunchaku, Quanto, torchao and ComfyUI.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.model.quantization import refusal

__all__ = ["check_names", "program_of", "program_of_class", "refusal"]

# By the ends of names; the first that any name has decides.
ENDS = (
    ((".absmax", ".quant_map", ".SCB", "bitsandbytes__nf4", "bitsandbytes__fp4"), "bitsandbytes"),
    ((".wscales", ".wtscale", ".smooth_factor", ".proj_down"), "Nunchaku (SVDQuant)"),
    ((".qzeros", ".g_idx"), "GPTQ or AWQ"),
    (("._data", "._scale"), "Quanto"),
    (("_weight_qdata", "_weight_scale"), "torchao"),
    ((".weight_scale_2",), "NVIDIA's ModelOpt (NVFP4)"),
)
# What only ComfyUI's scaled FP8 has, which is converted and not loaded.
SCALED_FP8 = (".scale_weight", ".weight_scale", "scaled_fp8", ".comfy_quant")
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


def check_names(names: Iterable[str], place: Path) -> None:
    """Raise :class:`mlxvid.WeightsError` for the names of weights that can't be loaded."""
    names = list(names)
    program = program_of(names)
    if program is not None:
        raise refusal(place, program)
    if any(name.endswith(SCALED_FP8) for name in names):
        raise WeightsError(
            f"{place} has weights in ComfyUI's scaled FP8, which are converted before they are "
            "loaded: python -m mlxvid.convert FOLDER."
        )
