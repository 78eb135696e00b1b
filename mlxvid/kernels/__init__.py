"""Metal kernels, each beside the plain-MLX function that it must equal.

``MLXVID_KERNELS=0`` turns them off.
"""

from .gelu import joined_gelu
from .modulation import added_and_modulated, modulated
from .norm_rotary import normed_rotated
from .plain import Rotary, gated
from .report import device_report
from .switch import KernelStatus
from .temporal_attention import attends_over, temporal_attention, temporal_attention_split

__all__ = [
    "KernelStatus",
    "Rotary",
    "added_and_modulated",
    "attends_over",
    "device_report",
    "gated",
    "joined_gelu",
    "modulated",
    "normed_rotated",
    "temporal_attention",
    "temporal_attention_split",
]
