"""What the command line and the worker do around a clip: checks before it, saving after it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL, card_of
from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.media.clip import Clip
from mlxvid.media.names import given_file
from mlxvid.media.targets import check_writable, expand, replaces
from mlxvid.model.card import Card
from mlxvid.model.geometry import frames_of
from mlxvid.progress import Cancel, Progress, Watch

from .complete import named_size
from .joints import joint_rate
from .planning import plan
from .sources import Source, require_apart, sources

log = logging.getLogger("mlxvid")

# The settings that a clip's memory depends on, besides its size.
_PLANNED_MAKING = (
    *("frames", "attention", "guidance", "true_guidance", "skip_layers", "cache", "options"),
)
_PLANNED_LOADING = ("quantize", "dtype", "loras")


def known_card(loading: Mapping[str, Any]) -> Card | None:
    """The card of the model to load; None for a hub repository that the catalog doesn't know, and
    for what is no model at all.
    """
    try:
        return card_of(loading.get("model", DEFAULT_MODEL))
    except (ModelNotFoundError, WeightsError):  # which loading it says better
        return None


def with_length(
    making: Mapping[str, Any], seconds: float | None, card: Card, targets: Sequence[str]
) -> dict[str, Any]:
    """`making` with `seconds` as frames.

    Raises :class:`MediaError` where a clip of that length can't be written to the targets.
    """
    settings = dict(making)
    defaults = card.defaults
    if seconds is not None:
        fps = settings.get("fps") or joint_rate(settings) or defaults.fps
        settings["frames"] = frames_of(seconds, fps)
    for target in targets:
        check_writable(target, settings.get("frames", defaults.frames))
    return settings


def check_targets(
    targets: Iterable[str],
    settings: Mapping[str, Any],
    repeated: str = "",
    overwrite: bool = True,
) -> None:
    """Log what clips of these settings will replace: before anything is loaded.

    repeated: the file of the clip that is made again. Raises :class:`MediaError` for a target that
    can't be written, is what the clip is made from, or is there already without `overwrite`.
    """
    made_from = [*sources(settings)]
    if repeated:
        made_from.append(Source("from", os.path.abspath(given_file(repeated))))
    for target in targets:
        place = expand(target)
        require_apart(target, made_from)
        check_writable(target, overwrite=overwrite)
        if place.exists() and replaces(place):
            what = "frames are" if place.is_dir() else "clip is"
            log.warning(
                "%s is there already: its %s replaced when the new one is done.", target, what
            )


def require_fit(
    card: Card, loading: Mapping[str, Any], making: Mapping[str, Any], machines: int = 1
) -> None:
    """Raise :class:`DoesNotFitError` for a clip that is too large for this machine, or for this one
    of several `machines` that share the network's layers.
    """
    making_planned = {name: making[name] for name in _PLANNED_MAKING if name in making}
    loading_planned = {name: loading[name] for name in _PLANNED_LOADING if name in loading}
    try:
        width, height = named_size(making, card.geometry)
        planned = plan(
            card,
            **making_planned,
            **loading_planned,
            width=width,
            height=height,
            from_clip=making.get("video") is not None,
            follows=making.get("control") is not None,
            machines=machines,
        )
    except SettingError:  # which loading and making say better
        return
    planned.require_fit()


def save(
    clip: Clip,
    target: str,
    on_progress: Callable[[Progress], None] | None,
    cancel: Cancel | None = None,
    metadata: bool = True,
    overwrite: bool = True,
) -> None:
    """Write the clip, told as the stage "save"; `metadata`, `overwrite`: see :meth:`Clip.save`."""
    watch = Watch(on_progress, cancel)
    with clip.latents_named():
        watch.begin("save", len(clip.frames))
        clip.save(target, lambda done, total: watch.done(), metadata=metadata, overwrite=overwrite)
