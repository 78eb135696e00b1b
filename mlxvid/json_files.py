"""JSON files of model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import WeightsError
from .paths import require_regular


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model's folder.

    Raises :class:`WeightsError` where it is missing or is none.
    """
    require_regular(path, WeightsError)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise WeightsError(
            f"{path} is missing or is not a JSON object; download or convert the model again."
        )
    return value
