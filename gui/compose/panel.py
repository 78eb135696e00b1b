"""The compose panel: the settings of the next clip, as far as the chosen model takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QAbstractSpinBox, QApplication, QWidget

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.model.settings import MAX_SEED, SETTINGS
from mlxvid.run.repeat import changes

from .checks import obstacle
from .commands import ReplaceFields
from .editing import Editing
from .following import FollowingForm
from .wells import PictureWell

# Kinds of settings that belong to one clip: a clip that goes on from it doesn't take them over.
_FILE_KINDS = ("picture", "clip", "keyframes")


class ComposePanel(FollowingForm):
    """Composes jobs.

    submit: jobs for the queue. replaced: a command that brings back what was in the fields. edited:
    a job of the queue, and its new settings.
    """

    submit = Signal(list)
    replaced = Signal(object)
    edited = Signal(object, dict)

    def __init__(
        self,
        database: Database,
        choices: Choices,
        preferences: Preferences,
        parent: QWidget | None = None,
    ):
        super().__init__(database, choices, preferences, parent)
        self._database = database
        self._preferences = preferences
        self._editing = Editing()
        self._is_waiting = False  # for pictures to be read, to generate then
        self._connect()
        self._show_editing()
        self._load_history()
        self._use(self.picker.value())
        self._restore()

    # --- for the window ---------------------------------------------------------------------------

    def apply_settings(self, settings: dict[str, Any]) -> None:
        """Show a clip's settings, its seed kept, so that Generate makes that clip again, and say
        what is no longer as it was.
        """
        self._replace("Use Settings", settings)
        for note in changes(settings, settings, "the clip"):
            self.message.emit(shown(note))
        if "seed" in settings:
            self.seed.set_locked(True)
        self.prompt.setFocus()

    def set_start_image(self, path: Path, thumbnail: QImage | None = None) -> None:
        """Begin with this picture, if the chosen model can."""
        if self.picker.value().takes("image"):
            self.pictures.set_start(path, thumbnail)
        else:
            title = self.picker.value().title
            self.message.emit(f"{title} takes no first picture: choose a model that does.")

    def use_picture(self, setting: str, path: Path) -> None:
        """Take a picture for `image`, `last_image` or one of the `keyframes`."""
        if setting == "image":
            self.set_start_image(path)
        elif self.picker.value().takes(setting):
            self.pictures.set_picture(setting, path)
        else:
            title = self.picker.value().title
            what = SETTINGS[setting].label.lower()
            self.message.emit(f"{title} takes no {what}: choose a model that does.")

    def extend(self, settings: dict[str, Any], picture: Path, clip: Path) -> None:
        """Go on where a clip ended, with its settings and another seed.

        It goes on from the clip's last frames where the model takes them, else from `picture`, the
        last one alone.
        """
        kept = _without_files(settings)
        kept.pop("seed", None)
        self._replace("Extend", kept)
        if self.picker.value().takes("extend"):
            self.pictures.set_extended(clip)
        else:
            self.set_start_image(picture)
        self.prompt.setFocus()

    def clear(self) -> None:
        """Empty the prompt and the pictures, and show the settings that new clips begin with, or
        the model's own.
        """
        self.stop_editing()
        begin = self._preferences.new_clip
        new = {"model": self.picker.value().name} | begin | {"prompt": ""}
        self._replace("New Clip", new)
        self.prompt.setFocus()

    def _replace(self, what: str, settings: dict[str, Any]) -> None:
        """Put settings into the fields; undo brings back what was there."""
        before = self.settings()
        self._fill(settings)
        if self._editing.job is None and self.settings() != before:
            self.replaced.emit(ReplaceFields(what, self._refill, before, settings))

    def _refill(self, settings: dict[str, Any]) -> None:
        self.stop_editing()
        self._fill(settings)

    def to_begin_with(self) -> dict[str, Any]:
        """The model and its settings, for other clips to begin with: no prompt and no files."""
        return _without_files(self.particular())

    def generate(self) -> None:
        """Hand over jobs for the clips that are asked for, or say what is missing; once all
        pictures are read.
        """
        self._commit()
        self._is_waiting = self._reads_pictures()
        if self._is_waiting or self._is_hindered():
            return
        settings = self.settings()
        self._database.add_prompt(settings["prompt"])
        self._database.add_prompt(settings.get("negative_prompt", ""), negative=True)
        self._load_history()
        job = self._editing.job
        if job is not None:
            self.stop_editing()
            self.edited.emit(job, settings)
            return
        seeds = [(settings["seed"] + take) % (MAX_SEED + 1) for take in range(self.takes.value())]
        jobs = [Job({**settings, "seed": seed}) for seed in seeds]
        if not self.seed.locked:
            self.seed.randomize()
        self.submit.emit(jobs)

    def _reads_pictures(self) -> bool:
        return any(well.busy for well in self.findChildren(PictureWell))

    def _go_on(self) -> None:
        """Generate, if that waited for a picture."""
        if self._is_waiting and not self._reads_pictures():
            self.generate()

    def _give_up(self) -> None:
        """Don't generate: what was waited for is no picture."""
        self._is_waiting = False

    def _commit(self) -> None:
        """Take the number that is being typed: keys and menus don't end its field."""
        field = QApplication.focusWidget()
        if isinstance(field, QAbstractSpinBox) and self.isAncestorOf(field):
            field.interpretText()

    def _is_hindered(self) -> bool:
        """Whether the clip can't be made, which is said beside what is missing."""
        for complaint in self.complaints.values():
            complaint.withdraw()
        settings = self.settings()
        self.pictures.set_frames(settings["frames"])
        found = obstacle(self, settings)
        if found is not None:
            part, text = found
            if part is self.prompt:
                part.setFocus()
            self.complain(part, text)
            return True
        self._replan()
        if not self.plan_line.fits:
            self.message.emit(self.plan_line.text)
        return not self.plan_line.fits

    def edit(self, job: Job) -> None:
        """Show the settings of a job of the queue, to be changed; the draft comes back after it.

        Changes to another job are kept, and come back with it.
        """
        self._commit()
        if self._editing.is_changed(self.settings()):
            self.message.emit("Your changes to the other clip are kept: edit it again to go on.")
        settings = self._editing.begin(job, self.settings())
        self._fill(job.settings)
        self._editing.note_shown(self.settings())
        if settings is not job.settings:
            self._fill(settings)
        self._show_editing()
        self.prompt.setFocus()

    def stop_editing(self) -> None:
        """Go back to making new clips, with what was in the fields before; a prompt that was
        changed goes into the history.
        """
        if self._editing.job is None:
            return
        if self._editing.is_changed(self.settings()):
            self._database.add_prompt(self.prompt.toPlainText().strip())
            self._load_history()
        self._fill(self._editing.end())
        self._show_editing()

    def take_back(self, settings: dict[str, Any]) -> None:
        """Show settings that were refused; the prompt in the fields goes into the history."""
        self._database.add_prompt(self.prompt.toPlainText().strip())
        self._load_history()
        self._fill(settings)

    def save(self) -> None:
        """Keep the fields for the next start."""
        self._commit()
        state = {
            "settings": self.settings() if self._editing.job is None else self._editing.draft,
            "locked": self.seed.locked,
            "takes": self.takes.value(),
            "advanced": self.advanced.open,
        }
        self._preferences.remember("compose", state)

    # --- state ------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.button.clicked.connect(self.generate)
        self._stop_button.clicked.connect(self.stop_editing)
        for prompt in (self.prompt, self.negative):
            prompt.submitted.connect(self.generate)
        self.planned.connect(self._dress)
        for part in (self.pictures, self.advanced):
            part.message.connect(self._give_up)
            part.read.connect(self._go_on)

    def _dress(self) -> None:
        self.plan_line.dress(self.button, self._editing.job is not None)

    def _load_history(self) -> None:
        self.prompt.set_history(self._database.prompts())
        self.negative.set_history(self._database.prompts(negative=True))

    def _show_editing(self) -> None:
        editing = self._editing.job is not None
        self._banner.setVisible(editing)
        self._stop_button.setVisible(editing)
        self._dress()
        self.takes.setEnabled(not editing)

    def _restore(self) -> None:
        state = self._preferences.recall("compose", {})
        if isinstance(state.get("settings"), dict) and "prompt" in state["settings"]:
            self._fill(state["settings"])
            self.seed.set_locked(bool(state.get("locked")))
            self.takes.setValue(int(state.get("takes") or 1))
            self.advanced.set_open(bool(state.get("advanced")))


def _without_files(settings: dict[str, Any]) -> dict[str, Any]:
    files = {name for name, setting in SETTINGS.items() if setting.kind in _FILE_KINDS}
    return {name: value for name, value in settings.items() if name not in files}
