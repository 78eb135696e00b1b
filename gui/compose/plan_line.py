"""What the clip will cost: frames, tokens, memory and time; and if it won't fit, what would."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.choices import Choice
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.disks import GB
from mlxvid.gui.core.fetching import bytes_to_fetch, why_not
from mlxvid.gui.core.job_requests import alternative_text, plan_of
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.times import expected
from mlxvid.gui.widgets.links import LinkLabel
from mlxvid.gui.widgets.theme import set_role, small
from mlxvid.model.machine import GIB, Machine
from mlxvid.run.planning import Alternative, Plan

_DOT = " · "
# A link to the Models window.
_MODELS = "models"


class PlanLine(QWidget):
    """The plan in words, under a bar of memory.

    models_wanted: the name of a model that is got in the Models window. apply: settings that fit,
    which the user chose. fits: whether the clip can be made, as far as is known. lacking: bytes of
    its model that are still to be downloaded. is_fetched: whether the model of a name is being
    downloaded.
    """

    apply = Signal(dict)
    models_wanted = Signal(str)

    def __init__(self, database: Database):
        super().__init__()
        self._database = database
        self.fits = True
        self.lacking = 0
        self.is_fetched: Callable[[str], bool] = lambda name: False
        self._name = ""
        self._alternatives: Sequence[Alternative] = ()
        self._plain = ""
        self._parts: list[str] = []  # of a plan that fits; empty where the line is a sentence
        self._text = LinkLabel()
        self._text.setObjectName("plan_text")
        self._text.setAccessibleName("What this clip will cost")
        self._text.linkActivated.connect(self._take)
        self._memory = QProgressBar()
        self._memory.setTextVisible(False)
        self._memory.setRange(0, 1000)
        self._memory.setAccessibleName("Share of this machine's memory")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._memory)
        layout.addWidget(small(self._text))

    @property
    def text(self) -> str:
        """The line without its markup."""
        return self._plain

    def show_plan(
        self, settings: dict[str, Any], choice: Choice, machine: Machine, takes: int = 1
    ) -> None:
        """Show what clips of these settings cost."""
        self._name = choice.name
        self.lacking = 0 if choice.here else max(1, bytes_to_fetch(choice.card))
        try:
            planned = plan_of(settings, machine)
        except MlxvidError as error:
            self.fits = False
            message = shown(error)
            self._set_text(message, html.escape(message), "danger")
            self._memory.hide()
            return
        self._memory.show()
        self._memory.setValue(min(1000, round(1000 * planned.peak_bytes / machine.usable)))
        set_role(self._memory, "" if planned.fits else "danger")
        self.fits = planned.fits or bool(settings.get("force"))
        refusal = why_not(choice) if self.lacking else ""
        if not planned.fits:
            self._show_obstacle(planned, machine)
        elif refusal:
            self.fits = False
            link = f'<a href="{_MODELS}">Models window</a>'
            marked_up = html.escape(refusal).replace("Models window", link)
            self._set_text(refusal, marked_up, "danger")
        else:
            self._show_cost(planned, settings, takes)

    def _show_cost(self, planned: Plan, settings: dict[str, Any], takes: int) -> None:
        parts = [f"{planned.frames} frames", f"{planned.tokens:,} tokens"]
        parts.append(f"{_size(planned.peak_bytes)} of {_size(planned.machine.usable)}")
        time = expected(settings, self._database, planned.machine, planned)
        if time is not None:
            parts.append(str(time * takes))
        if self.lacking:
            parts.append("after the download")
        self._alternatives = ()
        self._set_text(_DOT.join(parts), "", "faint")
        self._parts = parts
        self._break_lines()

    def dress(self, button: QPushButton, editing: bool) -> None:
        """Have a button say what it does; a download that can't be is refused before the click."""
        text = "Save Changes" if editing else "Generate"
        if self.lacking and not editing and not self.is_fetched(self._name):
            text = f"Download {self.lacking / GB:.1f} GB and Generate"
        button.setText(text)
        button.setEnabled(editing or self.fits or not self.lacking)
        button.setToolTip("" if button.isEnabled() else self._plain)

    def _show_obstacle(self, planned: Plan, machine: Machine) -> None:
        self._alternatives = planned.alternatives
        needed = _size(planned.peak_bytes)
        words = f"Needs {needed}, and this machine has {_size(machine.usable)} to give."
        names = [alternative_text(choice) for choice in self._alternatives]
        if not names:
            words += " Nothing fits beside this model's weights: choose a smaller one."
            self._set_text(words, html.escape(words), "danger")
            return
        links = [f'<a href="{n}">{html.escape(name)}</a>' for n, name in enumerate(names)]
        plain = f"{words} What fits: {' or '.join(names)}."
        marked_up = f"{html.escape(words)} What fits: {' or '.join(links)}."
        self._set_text(plain, marked_up, "danger")

    def _set_text(self, plain: str, marked_up: str, role: str) -> None:
        self._plain = plain
        self._parts = []
        self._text.setText(marked_up)
        self._text.setAccessibleDescription(self._plain)
        set_role(self._text, role)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._break_lines()

    def _break_lines(self) -> None:
        """Break lines between parts only, and leave no dot at a line's end."""
        if not self._parts:
            return
        metrics = self._text.fontMetrics()
        lines = self._parts[:1]
        for part in self._parts[1:]:
            longer = lines[-1] + _DOT + part
            if metrics.horizontalAdvance(longer) < self.width():
                lines[-1] = longer
            else:
                lines.append(part)
        self._text.setText("<br>".join(map(html.escape, lines)))

    def _take(self, link: str) -> None:
        if link == _MODELS:
            self.models_wanted.emit(self._name)
            return
        choice = self._alternatives[int(link)]
        chosen = {"frames": choice.frames, "width": choice.width, "height": choice.height}
        if choice.quantize:
            chosen["quantize"] = choice.quantize
        self.apply.emit(chosen)


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"
