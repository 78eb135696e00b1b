"""What a folder or a file holds, told without converting it."""

from __future__ import annotations

import os
from pathlib import Path

from mlxvid import models
from mlxvid.catalog import kind_of
from mlxvid.errors import ModelNotFoundError

from . import diffusers_folder, families
from .completeness import check_files
from .recognise import recognise


def look(source: str | os.PathLike[str]) -> str:
    """The title of the model in `source`, a folder or a file on this machine.

    Raises :class:`ModelNotFoundError` where there is none of that name, and :class:`WeightsError`
    where it is no model that can be converted.
    """
    path = Path(os.path.expanduser(source))
    if not os.path.exists(path):
        raise ModelNotFoundError(f"{path} is not on this machine; check the spelling.")
    path = path.resolve()
    release = recognise(path)
    check_files(release, families.family_of(release.index["_class_name"]), path)
    if diffusers_folder.recognises(path):
        return kind_of(models.card_of(path))
    return release.title
