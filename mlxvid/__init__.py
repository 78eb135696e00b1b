"""Text to video on your own Mac, with open weights, in MLX.

>>> import mlxvid
>>> mlxvid.load("mini").generate("a red ball bouncing").save("clip.mp4")
"""

from __future__ import annotations

from . import _before_mlx, _starting

_starting.end_quietly()
_before_mlx.prepare()  # before anything imports mlx.core

from mlxvid.media.clip import Clip  # noqa: E402

from .errors import (  # noqa: E402
    CancelledError,
    DegenerateClipError,
    DoesNotFitError,
    GpuError,
    MachinesError,
    MediaError,
    MlxvidError,
    ModelNotFoundError,
    SettingError,
    WeightsError,
)
from .progress import Progress  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = [
    "CancelledError",
    "Clip",
    "DegenerateClipError",
    "DoesNotFitError",
    "GpuError",
    "MachinesError",
    "MediaError",
    "MlxvidError",
    "ModelNotFoundError",
    "Pipeline",
    "Progress",
    "SettingError",
    "WeightsError",
    "__version__",
    "load",
]


def __getattr__(name: str):
    """`load` and `Pipeline` bring MLX with them, so they are imported when first used: `--help`
    stays quick.
    """
    if name == "load":
        from .run.load import load

        return load
    if name == "Pipeline":
        from .run.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'mlxvid' has no attribute {name!r}")
