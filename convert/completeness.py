"""Checks that a release has all that its conversion needs, before anything is written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from mlxvid import models
from mlxvid.errors import WeightsError
from mlxvid.model.card import Family
from mlxvid.weights.files import check_content

from .release import Release


def check_files(release: Release, family: Family, source: Path) -> None:
    """Raise :class:`WeightsError` where a tokenizer, a scheduler or another file is missing, empty
    or only a stand-in for it.
    """
    for content in release.files.values():
        if isinstance(content, Path):
            check_content(content)
    present = [path for path, content in release.files.items() if _has_bytes(content)]
    for alternatives in family.needed:
        if not any(path in present for path in alternatives):
            raise _missing(source, " or ".join(alternatives))
    for name, entry in release.index.items():
        is_listed = isinstance(entry, list) and len(entry) == 2 and any(entry)
        if not is_listed or name in family.parts:
            continue
        if not any(path.startswith(f"{name}/") for path in present):
            raise _missing(source, f"{name}/, which its model_index.json lists")


def check_card(release: Release, source: Path) -> None:
    """Raise :class:`WeightsError` where mlxvid would not load what the release becomes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        configs: dict[str, Path | bytes] = {
            path: content for path, content in release.files.items() if path.endswith(".json")
        }
        configs["model_index.json"] = json.dumps(release.index).encode()
        for component in release.components:
            path = f"{component.name}/config.json"
            configs[path] = json.dumps(component.config).encode()
        for path, content in configs.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            data = content.read_bytes() if isinstance(content, Path) else content
            (folder / path).write_bytes(data)
        try:
            models.card_of(folder)
        except WeightsError as error:
            raise WeightsError(str(error).replace(place, str(source))) from None


def _has_bytes(content: Path | bytes) -> bool:
    return content.stat().st_size > 0 if isinstance(content, Path) else bool(content)


def _missing(source: Path, what: str) -> WeightsError:
    return WeightsError(f"{source} lacks {what}; download the whole model again.")
