"""Heads of attention that are made wider on Metal, where ``MLXVID_PADDED_HEADS=1`` asks for it.

MLX has attention for an M5's matrix units for heads of 64, 96 and 128 channels, not for 72: with
zeros to 96 they are reached, at a third more arithmetic. Only a Mac can tell whether that is
quicker: ``scripts/bench.py heads``.
"""

from __future__ import annotations

import os

SWITCH = "MLXVID_PADDED_HEADS"
WIDER = {72: 96}


def asked_for() -> bool:
    """Whether the switch is on. It may change while Python runs."""
    return os.environ.get(SWITCH) == "1"


def padded(channels: int) -> int:
    """How wide a head of so many channels is in attention over tokens on Metal."""
    return WIDER.get(channels, channels) if asked_for() else channels
