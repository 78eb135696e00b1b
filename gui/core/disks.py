"""The disks of models: what is free where downloads and copies go, and what that lacks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlxvid.paths import SPARE, existing, free_bytes

GB = 1e9


@dataclass(frozen=True)
class Disks:
    """Where downloads and copies go, and the bytes that are free there.

    one: whether both are on one disk. problem: why nothing can be written there, "" where it can.
    """

    downloads: Path
    copies: Path
    free_for_downloads: int
    free_for_copies: int
    one: bool
    problem: str = ""

    @classmethod
    def at(cls, downloads: Path, copies: Path) -> Disks:
        """Those of two folders, which need not exist. Reads the disk."""
        return cls(
            downloads,
            copies,
            free_bytes(downloads),
            free_bytes(copies),
            os.stat(existing(downloads)).st_dev == os.stat(existing(copies)).st_dev,
            unwritable(downloads) or unwritable(copies),
        )

    def lack(self, download: int, copy: int) -> str:
        """What a disk lacks for a download and the copy that is made of it; "" for nothing."""
        if self.problem:
            return self.problem
        if self.one:
            return lack(download + copy, self.downloads, self.free_for_downloads)
        return lack(download, self.downloads, self.free_for_downloads) or lack(
            copy, self.copies, self.free_for_copies
        )


def unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, there or not; "" where it can. Reads the disk."""
    if os.access(existing(folder), os.W_OK):
        return ""
    return f"{folder} can't be written: connect its disk, or choose another folder in Settings."


def lack(size: int, folder: Path, free: int) -> str:
    """Why so many bytes can't be written to a folder, in a sentence; "" where they can."""
    needed = size + SPARE
    if not size or needed <= free:
        return ""
    return (
        f"{needed / GB:.1f} GB have to be free on the disk of {folder}, and {free / GB:.1f} GB "
        "are: make room, or choose another folder in Settings."
    )
