"""The choice of a model's weights: as released, or a smaller copy, with what that needs."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFormLayout, QVBoxLayout, QWidget

from mlxvid.gui.core.variants import Variant
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.theme import faint_label, set_role

from .survey import ModelRow, size_text


class VariantField(QWidget):
    """A list of the variants of a model, and a line on what the chosen one needs.

    changed: another is chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self._variants: tuple[Variant, ...] = ()
        self.field: QComboBox = choice(
            "Weights", [], "Smaller weights take less memory and disk; clips differ a little"
        )
        self.field.setMinimumWidth(self.fontMetrics().averageCharWidth() * 34)
        self.field.activated.connect(self._choose)
        self._needs = faint_label()
        self._needs.setWordWrap(True)
        self._needs.setObjectName("variant-needs")
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        form.addRow(faint_label("Weights"), self.field)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(form)
        column.addWidget(self._needs)

    def show_model(self, row: ModelRow | None) -> None:
        """Show the variants of a model; the choice is kept while it is the same one."""
        name = row.name if row is not None else ""
        variants = row.variants if row is not None else ()
        chosen = self.field.currentIndex() if name == self._name else 0
        self._name = name
        if variants != self._variants:
            self._variants = variants
            self.field.clear()
            for variant in variants:
                self.field.addItem(_label(variant, row is not None and row.complete))
        self.field.setCurrentIndex(min(max(chosen, 0), len(variants) - 1))
        self.setVisible(bool(variants))
        self.field.setEnabled(len(variants) > 1)
        self._show_needs()

    def value(self) -> Variant | None:
        """The chosen variant; None where there is no choice."""
        place = self.field.currentIndex()
        return self._variants[place] if 0 <= place < len(self._variants) else None

    def _choose(self) -> None:
        self._show_needs()
        self.changed.emit()

    def _show_needs(self) -> None:
        variant = self.value()
        if variant is None:
            return
        self._needs.setText(variant.problem or _needs(variant))
        set_role(self._needs, "warning" if variant.problem else "faint")


def _label(variant: Variant, here: bool) -> str:
    """A variant's name and size."""
    if variant.bits is None:
        if variant.copy:
            return f"As released · {size_text(variant.copy)}"
        return "As it is" if here else f"As released · {size_text(variant.download)}"
    return f"{variant.bits} bits · {size_text(variant.copy)}"


def _needs(variant: Variant) -> str:
    """What a variant takes on the disk at most, and in memory."""
    parts = []
    if variant.copy and variant.download:
        parts.append(
            f"Takes {size_text(variant.most)} on the disk at most, {size_text(variant.copy)} once "
            "the download is let go."
        )
    elif variant.most:
        parts.append(f"Takes {size_text(variant.most)} on the disk.")
    return " ".join([*parts, variant.memory])
