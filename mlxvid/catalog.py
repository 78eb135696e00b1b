"""The models known by name: those of every family's card."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from . import models
from .errors import ModelNotFoundError
from .model.card import Card
from .model.folder import CONVERT, around
from .paths import models_folder

CATALOG: dict[str, Card] = {card.name: card for card in models.cards()}
DEFAULT_MODEL = "mini"


def find(name: str) -> Card:
    """The card of the model called `name`, or whose hub repository is `name`, in any case.

    Raises :class:`ModelNotFoundError`, whose sentence suggests the names that come near.
    """
    wanted = name.strip().lower()
    for card in CATALOG.values():
        names = (card.name, card.repository or "", *card.aliases)
        if wanted and wanted in [known.lower() for known in names]:
            return card
    path = os.path.expanduser(name)
    if os.path.isfile(path):
        use = _use_of(Path(path))
        raise ModelNotFoundError(f"{name} is a file, and a model is a folder; {use}.")
    if "://" in name:
        raise ModelNotFoundError(
            f"{name} is a URL; give a repository of the hub as owner/name, or a folder by its path."
        )
    near = difflib.get_close_matches(wanted, list(CATALOG), 3, 0.5)
    meant = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise ModelNotFoundError(
        f"There is no model called {name!r}{meant}; `list_models` shows every name."
    )


def _use_of(path: Path) -> str:
    """What to do with a file that was given as a model."""
    whole = around(path)
    if whole is not None:
        return f"give {whole}"
    if path.suffix == ".gguf":
        return "mlxvid does not read GGUF, so get the model as safetensors"
    if "lora" in path.name.lower():
        return "a LoRA is added to one with `loras`"
    return f"make one of the folder with the whole release: {CONVERT} FOLDER"


def card_of(model: str) -> Card:
    """The card of a model by name or repository, or of the one in a local folder.

    Raises :class:`ModelNotFoundError` where it is neither, and :class:`WeightsError` for a folder
    that holds no model.
    """
    try:
        return find(model)
    except ModelNotFoundError:
        path = local_folder(model)
        if path is None:
            raise
        return models.card_of(path)


def kind_of(card: Card) -> str:
    """What a model in a folder is: the title of the first release that is built like it, else its
    family's name.
    """
    for release in CATALOG.values():
        if release.family is card.family and _build(release) == _build(card):
            return release.title
    return card.family.name


def _build(card: Card) -> tuple[object, ...]:
    return card.heads, card.head_dim, card.inner_width, card.needs, card.geometry


def local_folder(model: str) -> Path | None:
    """The folder that `model` is the path of, or the name of in the folder for models; or None."""
    # Not Path's own questions, which fail at a name that is too long.
    path = os.path.expanduser(model)
    if os.path.isdir(path):
        return Path(path)
    home = models_folder()
    if home is None or Path(model).name != model or not os.path.isdir(home / model):
        return None
    return home / model


def listing() -> str:
    """The models known by name, for people: a line of facts and one of description for each."""
    lines = []
    for card in CATALOG.values():
        usual = card.defaults
        origin = "in the package"
        if not card.folder:
            origin = f"{card.download_size} to download from {card.repository}"
        clip = f"{usual.width}x{usual.height}, {usual.frames} frames at {usual.fps:g} fps"
        lines.append(f"{card.name:<26}{clip}; {card.licence}; {origin}")
        lines.append(f"{'':<26}{card.description}")
    return "\n".join(lines)
