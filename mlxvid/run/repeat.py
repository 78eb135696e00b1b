"""A clip's settings, as they stand in its file, checked and ready to make it again."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlxvid.errors import ModelNotFoundError, SettingError
from mlxvid.model.keyframes import Keyframe
from mlxvid.model.settings import SETTINGS, check_json
from mlxvid.version import SAME_CLIPS_SINCE, __version__

from .clips import IN_MEMORY
from .sources import changed_sources, require_sources

log = logging.getLogger("mlxvid")

# What stands beside the settings in a clip's file.
_FACTS = ("mlxvid", "commit", "digests", "latents", "steps_done", "skipped")


def repeatable(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A clip's settings, as far as :func:`mlxvid.load` and generate take them.

    source: the file that they are in. Raises :class:`SettingError` where they can't make the clip
    again.
    """
    kept = {
        name: value for name, value in settings.items() if name in SETTINGS and value is not None
    }
    check_json(kept, f"The settings in {source}")
    kept["keyframes"] = keyframes_of(kept.get("keyframes", {}))
    given = (Keyframe.of(value, frame) for frame, value in kept["keyframes"].items())
    sources = {
        *(keyframe.source for keyframe in given),
        *map(kept.get, ("extend", "join", "video", "control")),
    }
    if settings.get("latents") == "given" or IN_MEMORY in sources:
        raise SettingError(
            f"{source} was made from arrays that are not in the file; repeat it in Python with the "
            "same arrays."
        )
    return kept


def keyframes_of(value: Mapping[str, Any]) -> dict[int, str | list[Any]]:
    """Paths by frame number as JSON has them, {"16": "path"} or {"16": ["path", strength]}, with
    numbers for keys.

    Raises :class:`SettingError` for anything else.
    """
    for frame, given in value.items():
        is_frame = re.fullmatch("-?[0-9]{1,6}", frame)
        if not is_frame or not isinstance(Keyframe.of(given, frame).source, str):
            raise SettingError(
                '`keyframes` are paths by frame number, as in {"16": "middle.png"}, or with a '
                'strength, {"16": ["middle.png", 0.5]}.'
            )
    return {int(frame): given for frame, given in value.items()}


# --- what has changed since ----------------------------------------------------------------------


def require_same(wanted: Mapping[str, Any], made: Mapping[str, Any], source: str) -> None:
    """Log what is no longer as it was when the clip in `source` was made, a sentence each.

    made: its settings, as they stand in the file; wanted: those of the clip to make. Raises
    :class:`MediaError` for a file that is gone, and :class:`ModelNotFoundError` for a model that
    is.
    """
    model = wanted.get("model", "")
    if model == made.get("model") and os.path.isabs(model) and not os.path.isdir(model):
        raise ModelNotFoundError(
            f"There is no model called {model!r}, with which {source} was made: give where it is "
            "now as `model`, or another one; `list_models` shows every name."
        )
    require_sources(wanted, repeatable(made, source), source)
    for note in changes(wanted, made, source):
        log.warning(note)


def changes(wanted: Mapping[str, Any], made: Mapping[str, Any], source: str) -> Iterator[str]:
    """Sentences on what may make the clip another one than in `source`; as :func:`require_same`."""
    unknown = [name for name in made if name not in SETTINGS and name not in _FACTS]
    if unknown:
        names = ", ".join(map(repr, unknown))
        yield (
            f"The settings in {source} have {names:.200}, which this version of mlxvid doesn't "
            "know and leaves out, so the clip may differ."
        )
    version = made.get("mlxvid")
    here = _numbers(__version__)
    if _numbers(version) > here:
        yield (
            f"{source} was made by mlxvid {version}, newer than this ({__version__}), so the clip "
            "may differ: update mlxvid to have the same."
        )
    elif () < _numbers(version) < _numbers(SAME_CLIPS_SINCE):
        yield (
            f"{source} was made by mlxvid {version}, and clips have changed since, so this one may "
            "differ."
        )
    yield from changed_sources(wanted, digests_of(made.get("digests")), source)


def digests_of(value: Any) -> dict[str, str]:
    """The digests in a clip's settings, {} where it was made before there were any."""
    known = value if isinstance(value, Mapping) else {}
    return {path: text for path, text in known.items() if isinstance(text, str)}


def note_commit(loaded: Mapping[str, Any], made: Mapping[str, Any], source: str) -> None:
    """Log that the hub repository of a model that was loaded has changed since, if it has.

    loaded: :attr:`mlxvid.Pipeline.loaded`.
    """
    before = made.get("commit")
    now = loaded.get("commit")
    if before and now and before != now and made.get("model") == loaded["model"]:
        log.warning(
            "%s was made with %s at %s, which is at %s now, so the clip may differ; "
            "`revision` %s has the same.",
            source,
            made["model"],
            str(before)[:12],
            now[:12],
            before,
        )


def _numbers(version: Any) -> tuple[int, ...]:
    """A version's numbers in their order; () for what is no version."""
    found = re.match(r"\d+(\.\d+)*", version) if isinstance(version, str) else None
    return tuple(map(int, found[0].split("."))) if found else ()
