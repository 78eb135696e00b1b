"""What is known of samplers without MLX: their schedulers are in mlxvid.schedulers."""

from __future__ import annotations

FLOW = frozenset({"euler", "euler-even", "euler-stochastic", "dmd", "heun", "unipc"})
"""Those of rectified flows, whose networks predict the velocity."""

# Those that call the network twice a step, but once in the last one; and in the first one alone.
_TWICE = frozenset({"heun", "heun-discrete", "kdpm2-ancestral"})
_TWICE_AT_FIRST = frozenset({"pndm"})


def calls_in(sampler: str, number: int, steps: int) -> int:
    """Evaluations of the network in step `number` of so many that are made, each of all passes."""
    if number == steps - 1:
        return 1
    twice = sampler in _TWICE or (sampler in _TWICE_AT_FIRST and number == 0)
    return 2 if twice else 1
