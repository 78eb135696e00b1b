"""What the clip will cost, before paying for it: frames, tokens, memory, time; and if it won't fit,
what would.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.choices import GB, Choice
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.job_requests import alternative_text, passes_of, plan_of
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.progress_text import duration
from mlxvid.gui.widgets.theme import set_role, small
from mlxvid.model.machine import GIB, Machine
from mlxvid.run.planning import Alternative, Plan

# So many of the earlier runs nearest in size say how long the next will take.
_NEAREST = 5
_DOT = " · "


class PlanLine(QWidget):
    """`apply`: settings that fit, which the user asked for. `fits`: whether the clip can be made,
    as far as is known.
    """

    apply = Signal(dict)

    def __init__(self, database: Database):
        super().__init__()
        self._database = database
        self.fits = True
        self._alternatives: Sequence[Alternative] = ()
        self._plain = ""
        self._parts: list[str] = []  # what the plan says, while it says no sentence
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
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
        """What the line says, without its markup."""
        return self._plain

    def show_plan(
        self, settings: dict[str, Any], choice: Choice, machine: Machine, takes: int = 1
    ) -> None:
        """Say what clips of these settings cost."""
        try:
            planned = plan_of(settings, machine)
        except MlxvidError as error:
            self.fits = False
            message = shown(error)
            self._tell(message, html.escape(message), "danger")
            self._memory.hide()
            return
        self._memory.show()
        self._memory.setValue(min(1000, round(1000 * planned.peak_bytes / machine.usable)))
        set_role(self._memory, "" if planned.fits else "danger")
        self.fits = planned.fits or bool(settings.get("force"))
        if planned.fits:
            self._tell_cost(planned, settings, choice, takes)
        else:
            self._tell_obstacle(planned, machine)

    def _tell_cost(
        self, planned: Plan, settings: dict[str, Any], choice: Choice, takes: int
    ) -> None:
        parts = [f"{planned.frames} frames", f"{planned.tokens:,} tokens"]
        parts.append(f"{_size(planned.peak_bytes)} of {_size(planned.machine.usable)}")
        seconds = estimate(
            self._database.timings(planned.model), planned.tokens, passes_of(settings)
        )
        if seconds is not None:
            parts.append(f"about {duration(takes * seconds)}")
        if not choice.here:
            parts.append(f"first a download of {choice.card.download_bytes / GB:.1f} GB")
        self._alternatives = ()
        self._tell(_DOT.join(parts), "", "faint")
        self._parts = parts
        self._break_lines()

    def _tell_obstacle(self, planned: Plan, machine: Machine) -> None:
        self._alternatives = planned.alternatives
        words = f"Needs {_size(planned.peak_bytes)}, and this machine has {_size(machine.usable)} to give."
        links = [
            f'<a href="{n}">{html.escape(alternative_text(setting))}</a>'
            for n, setting in enumerate(self._alternatives)
        ]
        rest = (
            f" What fits: {' or '.join(links)}."
            if links
            else " Nothing fits beside this model's weights: choose a smaller one."
        )
        plain = (
            f" What fits: {' or '.join(map(alternative_text, self._alternatives))}."
            if links
            else rest
        )
        self._tell(words + plain, html.escape(words) + rest, "danger")

    def _tell(self, plain: str, marked_up: str, role: str) -> None:
        self._plain, self._parts = plain, []
        self._text.setText(marked_up)
        self._text.setAccessibleDescription(self._plain)
        set_role(self._text, role)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._break_lines()

    def _break_lines(self) -> None:
        """Begin a line only with a whole part, and leave no dot at the end of the one before."""
        if not self._parts:
            return
        metrics, lines = self._text.fontMetrics(), self._parts[:1]
        for part in self._parts[1:]:
            longer = lines[-1] + _DOT + part
            if metrics.horizontalAdvance(longer) < self.width():
                lines[-1] = longer
            else:
                lines.append(part)
        self._text.setText("<br>".join(map(html.escape, lines)))

    def _take(self, link: str) -> None:
        setting = self._alternatives[int(link)]
        chosen = {"frames": setting.frames, "width": setting.width, "height": setting.height}
        self.apply.emit(chosen | ({"quantize": setting.quantize} if setting.quantize else {}))


def estimate(timings: list[tuple[int, float, float]], tokens: int, passes: float) -> float | None:
    """Seconds that a run will take, from (tokens, passes, seconds) of earlier ones: the median rate
    of those nearest in size.

    None where there was no run yet.
    """
    work = tokens * passes
    known = sorted(
        (max(t * p / work, work / (t * p)), s / (t * p)) for t, p, s in timings if t * p > 0
    )[:_NEAREST]
    if not known:
        return None
    rates = sorted(rate for _, rate in known)
    return work * rates[len(rates) // 2]


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.0f} MiB"
