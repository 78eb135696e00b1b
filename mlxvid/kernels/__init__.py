"""Metal kernels, each beside the plain-MLX function that it must equal.

``MLXVID_KERNELS=0`` turns them off.
"""

from .plain import Rotary
from .report import device_report
from .switch import KernelStatus
from .temporal_attention import temporal_attention, temporal_attention_split

__all__ = [
    "KernelStatus",
    "Rotary",
    "device_report",
    "temporal_attention",
    "temporal_attention_split",
]
