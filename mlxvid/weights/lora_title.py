"""What is written in a LoRA's file besides its tensors. No MLX here: plans read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import safetensors_file, torch_file
from .lora import Lora
from .tensors import mapped

# Where trainers write a LoRA's name: kohya's, and whoever follows Stability's specification.
TITLES = ("ss_output_name", "modelspec.title")


def title(lora: Lora) -> list[str]:
    """What trainers call a LoRA in its metadata: nothing, or a text or two."""
    metadata = metadata_of(lora.files[0])
    return [str(metadata[key]) for key in TITLES if metadata.get(key)]


def metadata_of(file: Path) -> dict[str, Any]:
    """What a program wrote beside a file's tensors; PyTorch's files have nothing."""
    return {} if is_torch(file) else safetensors_file.read_metadata(file)


def is_torch(file: Path) -> bool:
    """Whether it is PyTorch's, by its content: names mislead."""
    start = mapped(file)[: len(torch_file.LEGACY)]
    return start.startswith((torch_file.ZIP, torch_file.LEGACY))
