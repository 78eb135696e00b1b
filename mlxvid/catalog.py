"""The models known by name. A model of a family that mlxvid can run is one entry in :data:`CATALOG`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelNotFoundError
from .geometry import Defaults, Geometry
from .memory import Footprint

CAPABILITIES = frozenset({"negative-prompt", "image", "last-image", "keyframes", "attention"})
ATTENTION_MODES = ("factored", "full", "spatial")
DEFAULT_MODEL = "mini"


@dataclass(frozen=True)
class Entry:
    """A model known by name.

    family: the folder of mlxvid.models that runs it. repo, revision: where its weights are on the hub; folder: where they are for a
    model that comes in the package. attention: the mode that it was trained for, the only one unless it can do "attention".
    capabilities: members of :data:`CAPABILITIES`. download_bytes: 0 for a packaged model. ready: it can be loaded and run;
    entries that are not stay out of the lists.
    """

    name: str
    title: str
    family: str
    licence: str
    description: str
    defaults: Defaults
    capabilities: frozenset[str]
    geometry: Geometry
    footprint: Footprint
    repo: str | None = None
    revision: str | None = None
    folder: Path | None = None
    attention: str = "full"
    download_bytes: int = 0
    ready: bool = True

    def __post_init__(self):
        unknown = self.capabilities - CAPABILITIES
        if unknown or self.attention not in ATTENTION_MODES or (self.repo is None) == (self.folder is None):
            raise ValueError(f"catalog entry {self.name}: bad capabilities {sorted(unknown)}, attention, or not one of repo and folder")

    @property
    def attention_modes(self) -> tuple[str, ...]:
        """The modes that --attention may name for this model."""
        return ATTENTION_MODES if "attention" in self.capabilities else (self.attention,)


_ENTRIES = (
    Entry(
        name="mini",
        title="Mini",
        family="factored",
        licence="Apache-2.0",
        description="The model in the package: simple shapes that move, from short English captions; works offline.",
        defaults=Defaults(width=96, height=96, frames=33, fps=16, steps=20, guidance=3.0),
        capabilities=frozenset({"negative-prompt", "image", "last-image", "keyframes", "attention"}),
        geometry=Geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2), causal=True),
        footprint=Footprint(
            parameters={"text_encoder": 437_376, "transformer": 4_945_984, "vae": 3_260_704}, heads=3, head_dim=64, dtype="float16"
        ),
        folder=Path(__file__).parent / "assets" / "mini",
        attention="factored",
    ),
)

CATALOG: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def find(name: str) -> Entry:
    """The entry called `name`, or whose hub repository is `name`; neither minds capitals.

    Raises :class:`ModelNotFoundError`, whose sentence suggests the names that come near.
    """
    wanted = name.strip().lower()
    for entry in CATALOG.values():
        if wanted in (entry.name.lower(), (entry.repo or "").lower()) and wanted:
            return entry
    near = difflib.get_close_matches(wanted, [entry.name for entry in CATALOG.values() if entry.ready], 3, 0.5)
    suggestion = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise ModelNotFoundError(f"There is no model called {name!r}{suggestion}; --list-models shows every name.")


def listing() -> str:
    """The models that can be run, for ``--list-models``: a line of facts and a line of description for each."""
    lines = []
    for entry in CATALOG.values():
        if entry.ready:
            d = entry.defaults
            origin = "in the package" if entry.folder else f"{entry.download_bytes / 1e9:.1f} GB to download from {entry.repo}"
            lines.append(f"{entry.name:<24}{d.width}x{d.height}, {d.frames} frames at {d.fps:g} fps; {entry.licence}; {origin}")
            lines.append(f"{'':<24}{entry.description}")
    return "\n".join(lines)
