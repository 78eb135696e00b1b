"""Metal kernels, each beside the plain-MLX function that it must equal. ``MLXVID_KERNELS=0`` turns them off."""

from mlxvid.kernels.plain import Rotary
from mlxvid.kernels.report import device_report
from mlxvid.kernels.switch import KernelStatus
from mlxvid.kernels.temporal_attention import temporal_attention, temporal_attention_split

__all__ = ["KernelStatus", "Rotary", "device_report", "temporal_attention", "temporal_attention_split"]
