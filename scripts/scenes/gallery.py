"""The gallery: takes in a stack and out of it, one large tile a row, files that are missing."""

from __future__ import annotations

import os

from PySide6.QtWidgets import QApplication

from mlxvid.gui.core.jobs import Job, grouped
from mlxvid.gui.gallery.options import TILES

from .clips import gallery
from .studio import Studio, rest, scene, wait


@scene()
def stacks(studio: Studio) -> None:
    """Three takes in one tile, then opened; a day's clips in large tiles."""
    window = studio.window
    database = studio.database
    rows = database.clips()[2:5]
    jobs = grouped([Job({**row.settings, "prompt": rows[0].prompt}) for row in rows])
    for row, job, number in zip(rows, jobs, database.insert_jobs(jobs), strict=True):
        size = (row.width, row.height)
        database.add_clip(row.path, job.settings, row.fps, row.frames, *size, number)
    gallery.play(studio)
    view = window.gallery
    index = next(
        view.model.index(place)
        for place in range(view.model.rowCount())
        if view.model.index(place).data(view.model.MARKS).stack
    )
    studio.shoot("stacks")
    view.model.toggle_stack(index)
    view.view.set_least_width(TILES["Small"])
    studio.shoot("stacks-open")
    view.view.set_least_width(TILES["Large"])
    rest()
    studio.shoot("large-tiles")
    view.view.set_least_width(TILES["Medium"])
    QApplication.processEvents()


@scene()
def missing(studio: Studio) -> None:
    """A clip whose file has been moved away, selected."""
    panel = studio.window.gallery
    studio.window.show_side(panel)
    row = panel.model.index(1).data(panel.model.ROW)
    away = row.path.rename(row.path.with_suffix(".away"))
    panel.thumbnails.forget(row.id)
    panel.view.viewport().update()
    wait(lambda: panel.thumbnails.broken(row.id) is not None, "The missing file")
    panel.view.setCurrentIndex(panel.model.index_of(row.id))
    studio.shoot("missing")
    away.rename(row.path)
    panel.thumbnails.forget(row.id)


@scene()
def trashed(studio: Studio) -> None:
    """A clip has gone to the Trash, and the next one is shown."""
    window = studio.window
    panel = window.gallery
    data = studio.database.path.parent / "for the trash"
    data.mkdir(exist_ok=True)
    os.environ["XDG_DATA_HOME"] = str(data)
    window.show_side(panel)
    panel.view.setCurrentIndex(panel.model.index(1))
    panel.open_action.trigger()
    rest()
    panel.delete_action.trigger()
    rest()
    studio.shoot("trashed")
    window.undo_stack.undo()
    del os.environ["XDG_DATA_HOME"]
