"""Composing: what the clip should show, and how it is made. The controls are those of the chosen
model's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from mlxvid.gui.core.choices import Choice, Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.preferences import Preferences

from .form import ComposeForm

# The plan follows this many milliseconds after the last change.
_SETTLE = 60
# The settings that are pictures and clips: what belongs to one clip, and not to a model or to the
# clip that goes on from it.
_GIVEN = ("image", "last_image", "keyframes", "extend", "join")
_PICTURE_NAMES = {"image": "start", "last_image": "last"}


class ComposePanel(ComposeForm):
    """`submit`: jobs for the queue. `edited`: a job of the queue, and its new settings. `message`:
    a sentence for the user. `model_chosen`: the name of the model, whenever another is chosen."""

    submit = Signal(list)
    edited = Signal(object, dict)
    message = Signal(str)
    model_chosen = Signal(str)

    def __init__(
        self,
        database: Database,
        choices: Choices,
        preferences: Preferences,
        parent: QWidget | None = None,
    ):
        super().__init__(database, choices, parent)
        self._database, self._choices, self._preferences = database, choices, preferences
        self._editing: Job | None = None
        self._by_model: dict[str, dict[str, Any]] = {}  # how each model was last used
        self._name = ""
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE)
        self._connect()
        self._tell_editing()
        self._load_history()
        self._use(self.picker.value())
        self._restore()

    # --- what others ask of it --------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """All settings of the clip to be made, as a job holds them."""
        choice = self.picker.value()
        width, height = self.size_box.value()
        found = {
            "model": choice.name,
            "prompt": self.prompt.toPlainText().strip(),
            "width": width,
            "height": height,
            "frames": self.length_box.value(),
            "steps": self.steps.value(),
            "guidance": self.guidance.value(),
            "seed": self.seed.value(),
        }
        if choice.takes("negative_prompt"):
            found["negative_prompt"] = self.negative.toPlainText().strip()
        if choice.takes("loras") and self.loras.value():
            found["loras"] = self.loras.value()
        return found | self.advanced.settings(choice) | self.pictures.settings()

    def apply_settings(self, settings: dict[str, Any]) -> None:
        """Take over a clip's settings, its seed locked in, so that Generate makes that clip again."""
        self._fill(settings)
        if "seed" in settings:
            self.seed.set_locked(True)
        self.prompt.setFocus()

    def set_start_image(self, path: Path) -> None:
        """Begin with this picture, if the chosen model can."""
        if self.picker.value().takes("image"):
            self.pictures.set_start(path)
        else:
            self.message.emit(
                f"{self.picker.value().title} takes no start picture: choose a model that does."
            )

    def extend(self, settings: dict[str, Any], picture: Path, clip: Path) -> None:
        """Go on where a clip ended: its settings, no seed of its own, and its last frames where the
        model can go on from these; else the last one alone, as the picture to begin with."""
        self._fill({k: v for k, v in settings.items() if k not in ("seed", *_GIVEN)})
        if self.picker.value().takes("extend"):
            self.pictures.set_extended(clip)
        else:
            self.set_start_image(picture)
        self.prompt.setFocus()

    def clear(self) -> None:
        """Begin anew: no words, no pictures, and the model's own settings."""
        self.stop_editing()
        self._fill({"prompt": "", "model": self.picker.value().name})
        self.prompt.setFocus()

    def generate(self) -> None:
        """Hand over jobs for the clips that are asked for, or say what is missing."""
        obstacle = self.obstacle()
        if obstacle:
            self.message.emit(obstacle)
            return
        settings = self.settings()
        self._database.add_prompt(settings["prompt"])
        self._database.add_prompt(settings.get("negative_prompt", ""), negative=True)
        self._load_history()
        if self._editing is not None:
            job = self._editing
            self.stop_editing()
            self.edited.emit(job, settings)
            return
        jobs = [
            Job({**settings, "seed": settings["seed"] + take}) for take in range(self.takes.value())
        ]
        if not self.seed.locked:
            self.seed.throw()
        self.submit.emit(jobs)

    def obstacle(self) -> str:
        """Why the clip can't be made, as a sentence; "" where it can."""
        choice, settings = self.picker.value(), self.settings()
        if not settings["prompt"]:
            self.prompt.setFocus()
            return "Say first what the clip should show."
        given = {"image": settings.get("image"), "last_image": settings.get("last_image")}
        missing = [
            _PICTURE_NAMES[need] for need in sorted(choice.card.needs) if not given.get(need)
        ]
        if missing:
            return (
                f"{choice.title} needs a {' and a '.join(missing)} picture: drop it on its place."
            )
        self._replan()
        return "" if self.plan_line.fits else self.plan_line.text

    def edit(self, job: Job) -> None:
        """Show a job of the queue, to be changed rather than made anew."""
        self._editing = job
        self._fill(job.settings)
        self._tell_editing()
        self.prompt.setFocus()

    def stop_editing(self) -> None:
        """Go back to making new clips."""
        self._editing = None
        self._tell_editing()

    def save(self) -> None:
        """Remember what stands here for the next start."""
        state = {
            "settings": self.settings(),
            "locked": self.seed.locked,
            "takes": self.takes.value(),
            "advanced": self.advanced.open,
        }
        self._preferences.remember("compose", state)

    # --- following the model ----------------------------------------------------------------------

    def _connect(self) -> None:
        self.button.clicked.connect(self.generate)
        self._stop_button.clicked.connect(self.stop_editing)
        self.plan_line.apply.connect(self._fill)
        self.picker.changed.connect(self._use)
        self.picker.message.connect(self.message)
        self.advanced.preset.connect(self._fill)
        self.advanced.fps.valueChanged.connect(self.length_box.set_fps)
        self.pictures.message.connect(self.message)
        self.loras.message.connect(self.message)
        self._timer.timeout.connect(self._replan)
        for prompt in (self.prompt, self.negative):
            prompt.wanted.connect(self.generate)
        for changed in (
            self.size_box.changed,
            self.length_box.changed,
            self.steps.valueChanged,
            self.guidance.valueChanged,
            self.takes.valueChanged,
            self.advanced.changed,
            self.pictures.changed,
            self.loras.changed,
        ):
            changed.connect(self._timer.start)

    def _use(self, choice: Choice) -> None:
        """Show what this model can do; another model begins as it was last used, or with its own
        defaults.
        """
        other = choice.name != self._name
        if other and self._name:
            self._by_model[self._name] = self._particular()
        self._name = choice.name
        self._negative_row.setVisible(choice.takes("negative_prompt"))
        own = choice.card.defaults.negative_prompt
        self.negative.setPlaceholderText("The model's own" if own else "What it should not show")
        self.negative.setToolTip(own)
        self._loras_row.setVisible(choice.takes("loras"))
        self.pictures.set_takes(choice.card.takes)
        self.size_box.set_choice(choice)
        self.length_box.set_choice(choice)
        self.advanced.set_choice(choice)
        self._fit()
        if other:
            self._fill_particular(self._by_model.get(choice.name, {}), choice)
            self.model_chosen.emit(choice.name)
        self._timer.start()

    def _particular(self) -> dict[str, Any]:
        """The settings that mean something for one model only."""
        settings = self.settings()
        return {
            name: value
            for name, value in settings.items()
            if name not in ("prompt", "negative_prompt", "seed", "image", "last_image")
        }

    def _fill_particular(self, settings: dict[str, Any], choice: Choice) -> None:
        d = choice.card.defaults
        self.advanced.set_settings(settings, choice)
        self.length_box.set_fps(self.advanced.fps.value())
        self.length_box.set_value(settings.get("frames") or d.frames)
        self.size_box.set_value(
            settings.get("width") or d.width, settings.get("height") or d.height
        )
        self.steps.setValue(settings.get("steps") or d.steps)
        guidance = settings.get("guidance")
        self.guidance.setValue(d.guidance if guidance is None else guidance)
        self.loras.set_value(settings.get("loras") or [])
        self.pictures.set_frames(self.length_box.value())

    def _fill(self, settings: dict[str, Any]) -> None:
        """Put settings into the fields. Given without a prompt they are a part, and what they don't
        name stays.
        """
        whole_ = "prompt" in settings
        if whole_ and not self._choose(settings.get("model", "")):
            self.message.emit(
                f"The model {settings.get('model')} is not among the models here: the other settings are taken over."
            )
        choice = self.picker.value()
        self._fill_particular(settings if whole_ else self._particular() | settings, choice)
        if whole_:
            self.prompt.set_text(settings["prompt"])
            self.negative.set_text(settings.get("negative_prompt") or "")
            self.seed.set_value(settings.get("seed", self.seed.value()))
            self.pictures.set_settings(settings)
        self._timer.start()

    def _choose(self, name: str) -> bool:
        if self._choices.find(name) is None and (Path(name) / "model_index.json").is_file():
            self.picker.add_folder(Path(name))
        return self.picker.set_name(name)

    # --- small things -----------------------------------------------------------------------------

    def _replan(self) -> None:
        self.pictures.set_frames(self.length_box.value())
        self.plan_line.show_plan(
            self.settings(), self.picker.value(), self._choices.machine, self.takes.value()
        )

    def replan(self) -> None:
        """Something that the plan depends on has changed elsewhere: a run was timed, a model came
        onto the disk.
        """
        self._timer.start()

    def _load_history(self) -> None:
        self.prompt.set_history(self._database.prompts())
        self.negative.set_history(self._database.prompts(negative=True))

    def _tell_editing(self) -> None:
        editing = self._editing is not None
        self._banner.setVisible(editing)
        self._stop_button.setVisible(editing)
        self.button.setText("Save Changes" if editing else "Generate")
        self.takes.setEnabled(not editing)

    def _restore(self) -> None:
        state = self._preferences.recall("compose", {})
        if isinstance(state.get("settings"), dict) and "prompt" in state["settings"]:
            self._fill(state["settings"])
            self.seed.set_locked(bool(state.get("locked")))
            self.takes.setValue(int(state.get("takes") or 1))
            self.advanced.set_open(bool(state.get("advanced")))
