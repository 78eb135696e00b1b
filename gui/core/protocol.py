"""The worker's events (docs/worker.md), from the bytes that a pipe happens to deliver."""

from __future__ import annotations

import json
from typing import Any

# A preview is one line: 81 frames of 256x256 are at most 21 MB in base64. What is longer than this
# is no event.
MAX_LINE = 64 * 2**20
# Bytes that are shown of a line that is no event.
SHOWN = 200

_NUMBER = (int, float)
_MAYBE_NUMBER = (int, float, type(None))
# The fields of each known event that the app relies on, and their types.
_FIELDS: dict[str, dict[str, Any]] = {
    "ready": {"mlxvid": str, "protocol": int},
    "loaded": {"model": str, "samplers": list},
    "progress": {"stage": str, "step": int, "total": int, "remaining": _MAYBE_NUMBER},
    "preview": {"step": int, "frames": int, "width": int, "height": int, "png": str},
    "note": {"text": str},
    "saved": {"path": str, "seconds": _NUMBER, "settings": dict},
    "cancelled": {},
    "error": {"kind": str, "message": str},
}


class LineParser:
    """Gathers bytes into lines and lines into events; keeps a partial line until its rest comes."""

    def __init__(self, max_line: int = MAX_LINE):
        self._max_line = max_line
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> tuple[list[dict[str, Any]], list[str]]:
        """The events that `data` completes, and the beginnings of lines that are none.

        Events of unknown names are events too (docs/worker.md).
        """
        events: list[dict[str, Any]] = []
        strange: list[str] = []
        # No newline stands before this place: each byte is searched once, however small the pieces.
        begin = len(self._rest)
        self._rest += data
        while (end := self._rest.find(b"\n", begin)) >= 0:
            line = bytes(self._rest[:end])
            begin = 0
            del self._rest[: end + 1]
            if self._skipping:
                self._skipping = False
            elif line.strip():
                event = _event(line)
                strange.append(_shown(line)) if event is None else events.append(event)
        if len(self._rest) > self._max_line:
            if not self._skipping:
                strange.append(_shown(self._rest))
            self._skipping = True
            self._rest.clear()
        return events, strange


def _event(line: bytes) -> dict[str, Any] | None:
    """The event on a line; None for what is none, or lacks a field that its name requires."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    needed = _FIELDS.get(event["event"], {})
    for name, kind in needed.items():
        if name not in event or not isinstance(event[name], kind):
            return None
    return event


def _shown(line: bytes | bytearray) -> str:
    return bytes(line[:SHOWN]).decode("utf-8", "replace")
