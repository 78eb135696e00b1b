"""What is known of samplers without MLX: their schedulers are in mlxvid.schedulers."""

from __future__ import annotations

# Evaluations of the network a step, where they are not one.
_EVALUATIONS = {"heun": 2, "heun-discrete": 2, "kdpm2-ancestral": 2}


def evaluations(sampler: str) -> int:
    """Evaluations of the network a step."""
    return _EVALUATIONS.get(sampler, 1)
