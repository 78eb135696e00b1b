"""Brings models in: original releases and Diffusers folders, PyTorch's files or safetensors -> a
folder that mlxvid loads.
"""

from __future__ import annotations

from .convert import convert

__all__ = ["convert"]
