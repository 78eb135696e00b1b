"""What the worker has loaded, and the load requests that it has not answered yet."""

from __future__ import annotations

import itertools
from typing import Any

from .worker_client import WorkerClient


class Loads:
    """Asks for a model once. open: the settings of unanswered requests, by their ids."""

    def __init__(self, client: WorkerClient):
        self._client = client
        self._numbers = itertools.count(1)
        self.open: dict[str, dict[str, Any]] = {}
        # What the worker has loaded, or will have once it has answered.
        self._last: dict[str, Any] | None = None

    def ask(self, loading: dict[str, Any]) -> None:
        """Ask for a model, unless the worker has it already or was asked before."""
        if loading == self._last and self._client.alive:
            return
        number = f"load-{next(self._numbers)}"
        self._last = loading
        self.open[number] = loading
        self._client.load(number, loading)

    def end(self, event: dict[str, Any]) -> str:
        """Take the event that ends a request; returns the model's name."""
        loading = self.open.pop(event["id"])
        if event["event"] != "loaded" and self._last == loading:
            self._last = None
        return loading["model"]

    def forget(self) -> None:
        """Begin anew, with a worker that has loaded nothing."""
        self._last = None
        self.open.clear()
