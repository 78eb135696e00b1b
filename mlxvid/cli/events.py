"""A worker's events as lines: strict JSON, errors in a sentence, pictures as text."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import sys
import traceback
from typing import TYPE_CHECKING, Any

from mlxvid.errors import FAULT, MlxvidError

if TYPE_CHECKING:
    import numpy as np

# Characters of an unexpected error that are shown in a message.
MAX_SHOWN = 200
OUT_OF_MEMORY = "Out of memory; make the clip smaller or shorter, or close other programs."


def told(error: Exception) -> dict[str, Any]:
    """An error as the fields of its event; one that nobody expected is logged with its
    traceback.
    """
    kind = type(error).__name__
    if isinstance(error, MemoryError):
        return {"kind": kind, "message": OUT_OF_MEMORY}
    if not isinstance(error, MlxvidError):
        with contextlib.suppress(OSError, ValueError):  # nobody may read standard error
            traceback.print_exception(error, file=sys.stderr)
        what = " ".join(f"{kind}: {error}".split())[:MAX_SHOWN]
        return {
            "kind": kind,
            "message": f"{FAULT} ({what}); please report it with the log, which has the details.",
        }
    return {"kind": kind, "message": str(error)}


def as_json(event: dict[str, Any]) -> str:
    """An event as JSON, which has no NaN and no Infinity: they are null."""
    try:
        return json.dumps(event, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_finite(event), allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def strip(frames: np.ndarray) -> str:
    """Frames uint8 [F, H, W, 3], one below the other, as a base64 PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frames.reshape(-1, *frames.shape[2:])).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
