"""The choice of a model's weights: as released, or a smaller copy, with what that needs."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QComboBox, QGridLayout, QWidget

from mlxvid.gui.core.variants import Variant
from mlxvid.gui.widgets.fields import choice
from mlxvid.gui.widgets.theme import faint_label, set_role, small_font

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
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(6)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(faint_label("Weights"), 0, 0)
        grid.addWidget(self.field, 0, 1)
        grid.addWidget(self._needs, 1, 1)

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
        text = variant.problem or _needs(variant)
        self._needs.setText(text)
        self._needs.setVisible(bool(text))
        set_role(self._needs, "warning" if variant.problem else "faint")


def _label(variant: Variant, here: bool) -> str:
    """A variant's name and size."""
    if variant.bits is None:
        if variant.copy:
            return f"As released · {size_text(variant.copy)}"
        return "As it is" if here else f"As released · {size_text(variant.download)}"
    return f"{variant.bits} bits · {size_text(variant.copy)}"


def _needs(variant: Variant) -> str:
    """What a copy takes on the disk at most, and in memory; "" for the model as it is released."""
    if not variant.copy:
        return ""
    if not variant.download:
        return variant.memory
    return (
        f"Takes {size_text(variant.most)} on the disk at most, and {size_text(variant.copy)} once "
        f"the download is let go. {variant.memory}"
    )


def label_width(widget: QWidget) -> int:
    """The width of the column of labels, in which the details line up."""
    return QFontMetrics(small_font(widget.font())).horizontalAdvance("Download")
