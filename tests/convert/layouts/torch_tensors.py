"""A converted component's tensors in PyTorch, for comparing with Diffusers'."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a component, from all of its files."""
    tensors = {}
    for file in folder.glob("*.safetensors"):
        tensors.update(load_file(file))
    return tensors


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """Assert that both have the same tensors, bit for bit."""
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
