"""How fast a machine is, by tables of its chip: what guesses of a run's time go by."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .machine import Machine

# Cores of the full GPU of each chip, by generation; how many a Mac has is not told by its name.
_CORES = {
    1: {"": 8, "Pro": 16, "Max": 32, "Ultra": 64},
    2: {"": 10, "Pro": 19, "Max": 38, "Ultra": 76},
    3: {"": 10, "Pro": 18, "Max": 40, "Ultra": 80},
    4: {"": 10, "Pro": 20, "Max": 40, "Ultra": 80},
    5: {"": 10, "Pro": 20, "Max": 40, "Ultra": 80},
}
# 128 units a core that multiply and add, at 1.30 GHz in M1s and 1.40 in M2s and about so in later
# ones (philipturner/metal-benchmarks): 2.6e12 operations a second of an M1, as Apple says.
_CORE_OPERATIONS = {1: 0.333e12, 2: 0.358e12, 3: 0.358e12, 4: 0.426e12, 5: 0.426e12}
# The shares of these that large products and convolutions are taken to reach. Of the M4's 4.3e12
# its GPU reached 2.9e12 in products (Hübner et al., arXiv:2502.05317).
_PRODUCTS = 0.65
_CONVOLUTIONS = 0.35
# What is taken of a Mac whose chip is unknown: an M1's.
_UNKNOWN = (1, "")
# Operations a second and core on MLX's CPU backend, whose elementwise operations have one thread:
# the embedded model's usual clip on two cores of a server.
_CPU_PRODUCTS = 9e9
_CPU_CONVOLUTIONS = 5e9
# Bytes of weights a second from an SSD.
_READING = 1.5e9


@dataclass(frozen=True)
class Speed:
    """products, convolutions: floating-point operations a second in either; reading: bytes of
    weights a second from the disk.
    """

    products: float
    convolutions: float
    reading: float = _READING


def speed_of(machine: Machine) -> Speed:
    """What a machine is taken to reach. Nobody has measured these networks on a Mac yet."""
    if not machine.metal:
        cores = os.cpu_count() or 1
        return Speed(cores * _CPU_PRODUCTS, cores * _CPU_CONVOLUTIONS)
    generation, kind = _chip(machine.chip)
    most = _CORES[generation][kind] * _CORE_OPERATIONS[generation]
    return Speed(most * _PRODUCTS, most * _CONVOLUTIONS)


def _chip(name: str) -> tuple[int, str]:
    """The generation and kind in a name such as "Apple M2 Pro"; a later one counts as the latest
    that is known.
    """
    found = re.search(r"\bM(\d+)(?: (Pro|Max|Ultra))?\b", name)
    if found is None:
        return _UNKNOWN
    generation = min(max(int(found[1]), min(_CORES)), max(_CORES))
    return generation, found[2] or ""
