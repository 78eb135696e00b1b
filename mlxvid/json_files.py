"""JSON files of model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from .errors import WeightsError
from .paths import require_regular

# What a checkout without Git LFS has in place of a file begins with this.
POINTER = "version https://git-lfs"


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model's folder.

    Raises :class:`WeightsError` where it is missing or is none.
    """
    require_regular(path, WeightsError)
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        _refuse(path, text)
    return value


def _refuse(path: Path, text: str) -> NoReturn:
    if text.startswith(POINTER):
        raise WeightsError(
            f"{path} is a pointer of Git LFS in place of the file; run `git lfs pull` in its "
            "folder, or download it again."
        )
    raise WeightsError(
        f"{path} is missing or is not a JSON object; download or convert the model again."
    )
