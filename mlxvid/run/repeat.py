"""A clip's settings, as they stand in its file, checked and ready to make it again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlxvid.errors import SettingError
from mlxvid.model.settings import SETTINGS, check_json

from .complete import IN_MEMORY


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
    sources = {*kept["keyframes"].values(), kept.get("extend"), kept.get("join")}
    if settings.get("latents") == "given" or IN_MEMORY in sources:
        raise SettingError(
            f"{source} was made from arrays that are not in the file; repeat it in Python with the "
            "same arrays."
        )
    return kept


def keyframes_of(value: Mapping[str, Any]) -> dict[int, str]:
    """Paths by frame number as JSON has them, {"16": "path"}, with numbers for keys.

    Raises :class:`SettingError` for anything else.
    """
    for frame, path in value.items():
        if not re.fullmatch("[0-9]{1,6}", frame) or not isinstance(path, str):
            raise SettingError('`keyframes` are paths by frame number, as in {"16": "middle.png"}.')
    return {int(frame): path for frame, path in value.items()}
