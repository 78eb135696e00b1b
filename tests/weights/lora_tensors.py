"""What the tests of LoRAs make and compare."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.weights.lora import Lora, find_lora
from mlxvid.weights.lora_file import read_lora


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: np.array(weight) for name, weight in tree_flatten(network.parameters())}


def arrays(tensors: dict[str, np.ndarray]) -> dict[str, mx.array]:
    return {key: mx.array(value) for key, value in tensors.items()}


def written(path, tensors: dict, metadata: dict | None = None):
    mx.save_safetensors(str(path), arrays(tensors), metadata)
    return path


def read(file) -> dict[str, mx.array]:
    """The tensors of a LoRA in a local file or folder."""
    return read_lora(find_lora(Lora(str(file)), no_hub))


def no_hub(repo: str, file: str | None):
    raise AssertionError(f"asked the hub for {repo}")


def same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], atol: float = 1e-5) -> bool:
    return ours.keys() == theirs.keys() and all(
        np.allclose(ours[name], theirs[name], atol=atol) for name in ours
    )
