"""Exports: the sheet for a clip and for several, and the line of what was made."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.recipes import PRESETS
from mlxvid.gui.export.sheet import ExportSheet

from .clips import gallery
from .studio import Studio, rest, scene, wait


@scene()
def export_sheet(studio: Studio) -> None:
    """What is asked of one clip, with a preset for editing."""
    gallery.play(studio)
    window = studio.window
    window.preferences.remember("export_folder", str(Path.home()))
    window.stage.player.playhead.mark_in(3)
    window.stage.player.export.trigger()
    (sheet,) = window.findChildren(ExportSheet)
    sheet._take(PRESETS["Edit"])
    rest()
    studio.shoot("export", sheet)
    sheet.reject()


@scene()
def exported(studio: Studio) -> None:
    """The line below the clip, once several are made."""
    gallery.play(studio)
    window = studio.window
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for row in studio.clips()[:3]:
            source = Source(row.path, row.frames, row.fps, row.width, row.height)
            copies.append(Copy(source, Path(folder) / f"{row.path.stem}.gif"))
        window.exports.start(copies, PRESETS["Chat"])
        wait(lambda: not window.exports.job.running, "The copies")
        studio.shoot("exported")
