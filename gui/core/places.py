"""Where clips are saved: in the clips folder, or where the user wants one of them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mlxvid.errors import MediaError

from .file_names import free_path
from .jobs import Job
from .preferences import Preferences


class Places:
    """The files of clips to be."""

    def __init__(self, preferences: Preferences):
        self._preferences = preferences
        self._chosen: dict[int, Path] = {}  # by the jobs' ids

    def choose(self, number: int, path: Path) -> None:
        """Have a job's clip saved as this file."""
        self._chosen[number] = path

    def forget(self, number: int) -> bool:
        """Save a job's clip in the clips folder after all; whether it had a place of its own."""
        return self._chosen.pop(number, None) is not None

    def file_of(self, job: Job) -> Path:
        """The file to save a job's clip as; its folder is made.

        Raises :class:`MediaError` where no file can be written in that folder.
        """
        chosen = self._chosen.get(job.number)
        folder = chosen.parent if chosen else self._preferences.clips_folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise OSError(errno.EACCES, "it may not be written")
        except OSError as error:
            raise MediaError(f"No clip can be saved in {folder} ({error.strerror})") from error
        return chosen or free_path(job.settings, folder, self._preferences.file_names)
