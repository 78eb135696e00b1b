"""One file a scheduler. Each turns a denoiser's predictions into steps from noise to latents."""

from __future__ import annotations

from mlxvid.errors import SettingError

from .flow_euler import FlowEuler
from .flow_heun import FlowHeun

SAMPLERS = {"euler": FlowEuler, "heun": FlowHeun}


def sampler(name: str, allowed: tuple[str, ...] = tuple(SAMPLERS)) -> type[FlowEuler]:
    """The scheduler class called `name`; raises :class:`SettingError` with the names that there are."""
    if name not in allowed:
        raise SettingError(f"There is no sampler {name!r} for this model; use one of: {', '.join(allowed)}.")
    return SAMPLERS[name]
