"""Brings checkpoints in: a PyTorch model folder in the Diffusers layout -> a folder that mlxvid loads."""

from __future__ import annotations

from .convert import convert

__all__ = ["convert"]
