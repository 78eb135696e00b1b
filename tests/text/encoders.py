"""Encoders of transformers' with random weights, and ours read from what they are saved as."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

from mlxvid.json_files import read_json
from mlxvid.model.folder import from_json
from mlxvid.weights.reading import fill, read_weights

TOLERANCE = 1e-4


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """The network with all parameters random, norms, biases and initial zeros included."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            scale = 0.3
            if parameter.ndim > 1:
                scale = 1.0 if "bias" in name else parameter[0].numel() ** -0.5
            offset = 1 if "norm" in name and name.endswith("weight") else 0
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * scale + offset)
    return network.eval()


def through(folder: Path, theirs, cls, config_class):
    """`theirs` saved, and read again as a `cls`."""
    theirs.save_pretrained(folder)
    path = folder / "config.json"
    network = cls(from_json(config_class, read_json(path), path))
    fill(network, network.sanitize(read_weights(folder)), folder)
    return network


def close(ours: mx.array, theirs: torch.Tensor) -> None:
    expected = theirs.detach().float().numpy()
    assert ours.shape == expected.shape and expected.std() > 0.01
    assert np.abs(np.array(ours) - expected).max() < TOLERANCE
