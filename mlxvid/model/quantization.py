"""Weights that other programs quantized, told by what they write into config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError

# The programs by the "quant_method" of Diffusers' and transformers' quantization_config.
PROGRAMS = {
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "gptq": "GPTQ",
    "hqq": "HQQ",
    "modelopt": "NVIDIA's ModelOpt",
    "quanto": "Quanto",
    "sdnq": "SDNQ",
    "svdquant": "Nunchaku (SVDQuant)",
    "torchao": "torchao",
}


def check_config(config: Mapping[str, Any], folder: Path) -> None:
    """Raise :class:`WeightsError` for a component whose config says that its weights are quantized
    by another program.

    mlxvid's own conversions say "quantization".
    """
    stored = config.get("quantization_config")
    if stored:
        method = stored.get("quant_method") if isinstance(stored, dict) else None
        raise refusal(folder, PROGRAMS.get(str(method), f"another program ({str(method)[:30]!r})"))


def refusal(place: Path, program: str) -> WeightsError:
    """What is raised for weights that `program` quantized."""
    return WeightsError(
        f"{place} is quantized by {program}, which mlxvid can't read; get the model in 16 or 32 "
        "bits, and `quantize` makes it small here."
    )
