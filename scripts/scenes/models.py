"""The models window."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from mlxvid.catalog import CATALOG
from mlxvid.gui.models.import_dialog import ImportDialog
from mlxvid.gui.models.panel import ModelsPanel
from mlxvid.gui.widgets.licence_dialog import LicenceDialog

from .studio import Studio, scene, wait


def _opened(studio: Studio) -> ModelsPanel:
    studio.window.tools.show_models()
    panel = studio.window.tools.models
    assert panel is not None
    wait(lambda: panel.chosen() is not None, "The models")
    return panel


@scene()
def models(studio: Studio) -> None:
    """The models, the recommended one chosen."""
    panel = _opened(studio)
    studio.shoot("models", panel.window())
    panel.window().close()


@scene(empty=True)
def models_smaller(studio: Studio) -> None:
    """A smaller copy, of a model that starts from a picture."""
    panel = _opened(studio)
    panel.select(next(card.name for card in CATALOG.values() if "image" in card.needs))
    field = panel.details.variant.field
    field.setCurrentIndex(field.count() - 1)
    field.activated.emit(field.currentIndex())
    studio.shoot("models-smaller", panel.window())
    panel.window().close()


@scene(empty=True)
def models_import(studio: Studio) -> None:
    """What can't be imported: refused before, and failed."""
    panel = _opened(studio)
    with TemporaryDirectory() as place:
        source = Path(place) / "clips"
        source.mkdir()
        panel.ask_to_import()
        dialog = panel.findChildren(ImportDialog)[-1]
        dialog.source.setText(str(source))
        wait(lambda: "clips holds" in dialog.kind.text(), "What the folder holds")
        studio.shoot("models-import", dialog)
        dialog.reject()
        out = Path(place) / "made"
        panel.import_checkpoint(out, "My Model", [str(source), "--out", str(out)])
        wait(lambda: bool(panel.jobs.failure(str(out))), "The failure")
        studio.shoot("models-failed", panel.window())
        panel.manager.own.end(out)
    panel.window().close()


@scene(empty=True)
def models_licence(studio: Studio) -> None:
    """A licence that does not hold everywhere."""
    panel = _opened(studio)
    panel.select(next(card.name for card in CATALOG.values() if card.family.terms))
    panel.details.get.click()
    dialog = panel.findChildren(LicenceDialog)[-1]
    studio.shoot("models-licence", dialog)
    dialog.reject()
    panel.window().close()
