"""Imports models: original releases and Diffusers folders -> a folder that mlxvid loads.

PyTorch's files and safetensors are read, without PyTorch.
"""

from __future__ import annotations

from .convert import convert

__all__ = ["convert"]
