"""The job of the queue that is edited, and what was in the fields before."""

from __future__ import annotations

from typing import Any

from mlxvid.gui.core.jobs import Job


class Editing:
    """Keeps what the user had in the fields: the draft of a new clip, and changes to jobs that
    were left for those to another one.
    """

    def __init__(self) -> None:
        self.job: Job | None = None
        self.draft: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}  # the job's settings as the fields first had them
        self._aside: dict[int | None, dict[str, Any]] = {}  # by the job's id

    def begin(self, job: Job, fields: dict[str, Any]) -> dict[str, Any]:
        """Edit a job; returns the settings to show. fields: those shown now."""
        if self.job is None:
            self.draft = fields
        elif self.is_changed(fields):
            self._aside[self.job.id] = fields
        self.job = job
        return self._aside.pop(job.id, job.settings)

    def note_shown(self, fields: dict[str, Any]) -> None:
        """These are the job's settings, unchanged."""
        self._shown = fields

    def is_changed(self, fields: dict[str, Any]) -> bool:
        """Whether a job is edited, and not as it was."""
        return self.job is not None and fields != self._shown

    def end(self) -> dict[str, Any]:
        """Edit none any more; returns the draft."""
        self.job = None
        return self.draft
