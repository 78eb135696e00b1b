"""What is done with models, without widgets: surveys, downloads, imports, names, removals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.own_models import Import, OwnModels
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.core.trash import move_to_trash
from mlxvid.gui.widgets.notices import Notice
from mlxvid.model.machine import Machine

from .survey import FROM_HUB, ModelRow, Presence, Survey, begun_row, in_order, survey, work_folder


class ModelManager(QObject):
    """The work on models.

    surveyed: how things are now. listed: a model that no survey has seen is to be listed. told: a
    notice. settled: the name of a notice that no longer holds. use_wanted: the name of a model to
    make clips with. removal_wanted: a model to delete, once that is confirmed.
    """

    surveyed = Signal(object)
    listed = Signal(object)
    told = Signal(object)
    settled = Signal(str)
    use_wanted = Signal(str)
    removal_wanted = Signal(object)

    def __init__(
        self,
        preferences: Preferences,
        machine: Machine,
        jobs: ModelJobs,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self.own = OwnModels(preferences)
        self.machine = machine
        self.jobs = jobs
        self._tasks = Tasks(1, self)
        self._rows: dict[str, ModelRow] = {}
        self._removals: dict[Task, ModelRow] = {}
        self._asked: dict[str, ModelRow] = {}  # by their names on the hub, and in no survey yet
        jobs.changed.connect(self._settle)
        jobs.done.connect(self._done)
        jobs.failed.connect(self._failed)
        jobs.stopped.connect(lambda name: self.refresh())
        preferences.models_folder_changed.connect(self.refresh)

    # --- surveys ----------------------------------------------------------------------------------

    def set_machine(self, machine: Machine) -> None:
        """Use what the worker reports of this machine."""
        if machine != self.machine:
            self.machine = machine
            self.refresh()

    def refresh(self) -> None:
        """Survey the disk again, in the background."""
        known = self.own.known()
        machine = self.machine
        self._tasks.run(
            lambda task: survey(known, machine), done=self._take, failed=self._tell_of_failure
        )

    def _take(self, task: Task, found: Survey) -> None:
        known = {row.name for row in found.rows} | {row.repo for row in found.rows}
        self._asked = {name: row for name, row in self._asked.items() if name not in known}
        rows = in_order([*found.rows, *self._asked.values()])
        self._rows = {row.name: row for row in rows}
        self.surveyed.emit(replace(found, rows=rows))

    def _tell_of_failure(self, task: Task, text: str) -> None:
        self.told.emit(Notice(text, wrong=True))

    # --- to get a model ---------------------------------------------------------------------------

    def download(self, row: ModelRow) -> None:
        """Download a model, or the rest of it."""
        self.jobs.download(row.name, *_place(row))

    def ask_hub(self, repo: str) -> str:
        """List a repository of the hub and download it; returns the name under which it is listed.

        A model of the catalog, or one that is listed already, is only found.
        """
        for row in self._rows.values():
            if repo in (row.repo, row.name):
                return row.name
        row = ModelRow(repo, repo, Presence.ABSENT, repo=repo, description=FROM_HUB)
        self._asked[repo] = row
        self._list(row)
        self.download(row)
        return repo

    def convert(self, folder: Path, title: str, arguments: Sequence[str]) -> str:
        """Make a model in a folder; returns its name."""
        folder = folder.resolve()
        self.own.begin(folder, title, arguments)
        begun = Import(title, tuple(arguments))
        self._list(begun_row(folder, begun))
        self.jobs.convert(str(folder), arguments)
        return str(folder)

    def copy(self, row: ModelRow, bits: int | None) -> str:
        """Make a copy of a model with weights of so many bits; returns the copy's name.

        None: of 16 bits, of a release in files.
        """
        short = CATALOG[row.name].name if row.name in CATALOG else row.title.rpartition("/")[2]
        folder = self.own.free_folder(self.own.place / (f"{short}-{bits}bit" if bits else short))
        title = f"{row.title}, {bits} bits" if bits else row.title
        quantize = ["--quantize", str(bits)] if bits else []
        return self.convert(folder, title, [row.name, "--out", str(folder), *quantize])

    def resume(self, row: ModelRow) -> None:
        """Go on with an import."""
        if row.begun is not None:
            self.jobs.convert(row.name, row.begun.arguments)

    def verify(self, row: ModelRow) -> None:
        """Compare a download with its checksums."""
        self.jobs.verify(row.name, *_place(row))

    def _list(self, row: ModelRow) -> None:
        self._rows[row.name] = row
        self.listed.emit(row)

    # --- what is here -----------------------------------------------------------------------------

    def rename(self, name: str, title: str) -> None:
        """Give one of the user's models another name."""
        row = self._rows[name]
        if row.begun is not None:
            self.own.begin(Path(name), title, row.begun.arguments)
        else:
            self.own.rename(Path(name), title)
        self.refresh()

    def unlist(self, row: ModelRow) -> None:
        """Take a folder off the list, and leave it where it is."""
        if row.folder is not None:
            self.own.remove(row.folder)
            self.jobs.forget(row.name)
            text = f"{row.title} is off the list; its folder stays in {row.folder.parent}."
            back = partial(self._list_again, row)
            self.told.emit(Notice(text, [("Undo", back)]))
            self.refresh()

    def _list_again(self, row: ModelRow) -> None:
        if row.folder is not None:
            self.own.add(row.folder, row.title, made=row.made)
            self.refresh()

    def delete(self, row: ModelRow) -> None:
        """Delete a download, or move what mlxvid made to the trash, in the background."""
        self.jobs.forget(row.name)
        self.settled.emit(notice_of(row.name))
        task = self._tasks.task(partial(_delete, row))
        self._removals[task] = row
        task.done.connect(self._forget)
        task.failed.connect(self._tell_of_failure)
        task.ended.connect(self._deleted)
        self._tasks.start(task)

    def _forget(self, task: Task, result: None) -> None:
        row = self._removals[task]
        if row.begun is not None:
            self.own.end(Path(row.name))
        elif row.folder is not None:
            self.own.remove(row.folder)

    def _deleted(self, task: Task) -> None:
        self._removals.pop(task, None)
        self.refresh()

    # --- results ----------------------------------------------------------------------------------

    def _done(self, name: str, result: dict[str, Any]) -> None:
        row = self._rows.get(name)
        title = row.title if row is not None else name
        if result["kind"] == "verify":
            self.told.emit(Notice(f"{title} is complete and valid.", stays=True))
        elif result["kind"] == "convert":
            self._imported(name, title, row.begun if row is not None else None)
        else:
            self._offer_use(name, f"{title} is downloaded.")
        self.refresh()

    def _offer_use(self, name: str, text: str) -> None:
        use = ("Use It", partial(self._use, name))
        self.told.emit(Notice(text, [use], name=notice_of(name)))

    def _use(self, name: str) -> None:
        """Use a model; one from the hub is listed by its folder once it is here."""
        for row in self._rows.values():
            if name in (row.name, row.repo) and row.usable:
                self.use_wanted.emit(row.name)
                return

    def _imported(self, name: str, title: str, begun: Import | None) -> None:
        """List what was made; offer to let go of what it was made of, if that was mlxvid's."""
        folder = Path(name)
        self.own.end(folder)
        self.own.add(folder, title, made=True)
        source = self._rows.get(begun.arguments[0]) if begun is not None else None
        if source is None or source.repo is None and not source.made:
            self._offer_use(name, f"{title} is imported.")
            return
        what = "Delete the Download" if source.folder is None else "Delete the Original"
        actions = [
            ("Use It", partial(self._use, name)),
            (f"{what}…", partial(self.removal_wanted.emit, source)),
        ]
        text = f"{title} is ready. {source.title}, of which it was made, is no longer needed."
        self.told.emit(Notice(text, actions, name=notice_of(name)))

    def _failed(self, name: str, sentence: str) -> None:
        actions = [("Try Again", partial(self.jobs.again, name))]
        self.told.emit(Notice(sentence, actions, wrong=True, name=notice_of(name)))
        self.refresh()

    def _settle(self, name: str) -> None:
        if self.jobs.job(name) is not None:  # it is tried again
            self.settled.emit(notice_of(name))

    def stop(self) -> None:
        """End the work on the disk."""
        self._tasks.stop()


def notice_of(name: str) -> str:
    """The name of the notice about how a job ended, the same one throughout the window."""
    return f"download {name}"


def _place(row: ModelRow) -> tuple[str | None, str | None]:
    """The repository and revision to fetch; of the catalog's models the command knows them all."""
    return (None, None) if row.name in CATALOG else (row.repo, row.revision)


def _delete(row: ModelRow, task: Task) -> None:
    """Remove a model from the hub's cache, or move its folder to the trash."""
    if row.begun is not None:
        unfinished = work_folder(Path(row.name))
        if unfinished.exists():
            move_to_trash(unfinished)
    elif row.folder is not None:
        move_to_trash(row.folder)
    else:
        places = [place.repository for place in row.card.places] if row.card else []
        if not places and row.repo is not None:
            places = [row.repo]
        for repo in places:
            hub.delete(repo)
