"""The models known by name. A model of a family that mlxvid can run is one entry in
:data:`CATALOG`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlxvid.model.geometry import ATTENTION_MODES, Defaults, Geometry
from mlxvid.model.memory import Footprint
from mlxvid.model.options import OPTIONS, flag
from mlxvid.models.latte import defaults as latte
from mlxvid.models.opensora import defaults as opensora
from mlxvid.models.wan import defaults as wan

from .errors import ModelNotFoundError

CAPABILITIES = frozenset(
    {
        "negative-prompt",
        "image",
        "last-image",
        "keyframes",
        "extend",
        "join",
        "attention",
        "shift",
        "lora",
    }
)
CAPABILITIES |= {flag(name) for name in OPTIONS}
DEFAULT_MODEL = "mini"


@dataclass(frozen=True)
class Entry:
    """A model known by name.

    family: the folder of mlxvid.models that runs it. repo, revision: where its weights are on the
    hub; folder: where they are for a model that comes in the package. attention: the mode that it
    was trained for, the only one unless it can do "attention". capabilities: members of
    :data:`CAPABILITIES`; needs: those pictures among them without which it makes nothing.
    download_bytes: 0 for a packaged model. ready: it can be loaded and run; entries that are not
    stay out of the lists. parts: where `repo` is the transformer alone, the (repository, revision)
    of each other component, and pipeline: the class that the folder of all of them has in its
    model_index.json.
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
    needs: frozenset[str] = frozenset()
    download_bytes: int = 0
    ready: bool = True
    parts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    pipeline: str = ""

    def __post_init__(self):
        unknown = (self.capabilities | self.needs) - CAPABILITIES
        if (
            unknown
            or self.attention not in ATTENTION_MODES
            or (self.repo is None) == (self.folder is None)
        ):
            raise ValueError(
                f"catalog entry {self.name}: bad capabilities {sorted(unknown)}, attention, or not one of repo and folder"
            )

    @property
    def attention_modes(self) -> tuple[str, ...]:
        """The modes that --attention may name for this model."""
        return ATTENTION_MODES if "attention" in self.capabilities else (self.attention,)


_WAN_PARAMETERS = {"text_encoder": 5_680_910_336, "vae": 126_892_531}
_WAN_PICTURES = {"image_encoder": 630_766_080, **_WAN_PARAMETERS}


def _wan(
    name: str,
    title: str,
    description: str,
    size: tuple[int, int],
    parameters: dict[str, int],
    *,
    repo: str,
    revision: str,
    download_bytes: int,
    heads: int = 40,
    needs: frozenset[str] = frozenset(),
) -> Entry:
    """An entry for one of the Wan 2.1 models, whose transformers differ in depth and width, and in
    the pictures that they need.
    """
    return Entry(
        name=name,
        title=title,
        family="wan",
        licence="Apache-2.0",
        description=description,
        defaults=wan.defaults(*size),
        capabilities=frozenset({"negative-prompt", "shift", "lora"}) | needs,
        geometry=wan.GEOMETRY,
        footprint=Footprint(
            parameters=parameters, heads=heads, head_dim=128, dtype="bfloat16", float32=wan.FLOAT32
        ),
        repo=repo,
        revision=revision,
        needs=needs,
        download_bytes=download_bytes,
    )


_ENTRIES = (
    Entry(
        name="mini",
        title="Mini",
        family="factored",
        licence="Apache-2.0",
        description="The model in the package: simple shapes that move, from short English captions; works offline.",
        defaults=Defaults(width=96, height=96, frames=33, fps=16, steps=20, guidance=3.0),
        capabilities=frozenset(
            {"negative-prompt", "image", "last-image", "keyframes", "attention", "shift"}
        ),
        geometry=Geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2), causal=True),
        footprint=Footprint(
            parameters={"text_encoder": 437_376, "transformer": 4_945_984, "vae": 3_260_704},
            heads=3,
            head_dim=64,
            dtype="float32",
        ),
        folder=Path(__file__).parent / "assets" / "mini",
        attention="factored",
    ),
    _wan(
        "wan2.1-t2v-1.3b",
        "Wan 2.1 T2V 1.3B",
        "Text to video at 480p; the one to begin with.",
        (832, 480),
        {"transformer": 1_418_996_800, **_WAN_PARAMETERS},
        heads=12,
        repo="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        revision="0fad780a534b6463e45facd96134c9f345acfa5b",
        download_bytes=28_928_887_859,
    ),
    _wan(
        "wan2.1-t2v-14b",
        "Wan 2.1 T2V 14B",
        "Text to video at 480p and 720p; ten times the 1.3B's work.",
        (832, 480),
        {"transformer": 14_288_491_584, **_WAN_PARAMETERS},
        repo="Wan-AI/Wan2.1-T2V-14B-Diffusers",
        revision="38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
        download_bytes=80_406_933_703,
    ),
    _wan(
        "wan2.1-i2v-14b-480p",
        "Wan 2.1 I2V 14B 480p",
        "Brings a picture to life, at 480p.",
        (832, 480),
        {"transformer": 16_394_878_784, **_WAN_PICTURES},
        needs=frozenset({"image"}),
        repo="Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        revision="b184e23a8a16b20f108f727c902e769e873ffc73",
        download_bytes=90_104_322_037,
    ),
    _wan(
        "wan2.1-i2v-14b-720p",
        "Wan 2.1 I2V 14B 720p",
        "Brings a picture to life, at 720p.",
        (1280, 720),
        {"transformer": 16_394_878_784, **_WAN_PICTURES},
        needs=frozenset({"image"}),
        repo="Wan-AI/Wan2.1-I2V-14B-720P-Diffusers",
        revision="eb849f76dfa246545b65774a9e25943ee69b3fa3",
        download_bytes=90_100_000_000,
    ),
    _wan(
        "wan2.1-flf2v-14b-720p",
        "Wan 2.1 FLF2V 14B 720p",
        "Goes from a first picture to a last one, at 720p.",
        (1280, 720),
        {"transformer": 16_395_536_704, **_WAN_PICTURES},
        needs=frozenset({"image", "last-image"}),
        repo="Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers",
        revision="17c30769b1e0b5dcaa1799b117bf20a9c31f59d7",
        download_bytes=90_100_000_000,
    ),
    Entry(
        name="latte-1",
        title="Latte 1",
        family="latte",
        licence="Apache-2.0",
        description="Text to two seconds of video, or to a picture; spatial and temporal attention in turn.",
        defaults=latte.DEFAULTS,
        capabilities=latte.CAPABILITIES,
        geometry=latte.GEOMETRY,
        footprint=Footprint(
            parameters={
                "text_encoder": 4_762_310_656,
                "transformer": 1_057_246_880,
                "vae": 83_653_863,
                "vae_temporal_decoder": 97_742_847,
            },
            heads=16,
            head_dim=72,
            dtype="float16",
            float32=latte.FLOAT32,
        ),
        repo="maxin-cn/Latte-1",
        revision="0653024365272f061fc44d1078134df22842b687",
        attention="factored",
        download_bytes=24_000_000_000,
    ),
    Entry(
        name="opensora-1.2",
        title="Open-Sora 1.2",
        family="opensora",
        licence="Apache-2.0",
        description="Text, pictures and clips to video of any shape: 240p to 720p, 2 to 16 seconds and, in loops, longer.",
        defaults=opensora.DEFAULTS,
        capabilities=opensora.CAPABILITIES,
        geometry=opensora.GEOMETRY,
        footprint=Footprint(
            parameters={
                "text_encoder": 4_762_310_656,
                "transformer": 1_207_643_972,
                "vae": 393_341_007,
            },
            heads=16,
            head_dim=72,
            dtype="bfloat16",
            float32=opensora.FLOAT32,
        ),
        repo=opensora.REPOSITORY,
        revision=opensora.REVISION,
        attention="factored",
        download_bytes=15_900_000_000,
        parts=opensora.PARTS,
        pipeline="OpenSoraPipeline",
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
    near = difflib.get_close_matches(
        wanted, [entry.name for entry in CATALOG.values() if entry.ready], 3, 0.5
    )
    suggestion = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise ModelNotFoundError(
        f"There is no model called {name!r}{suggestion}; --list-models shows every name."
    )


def listing() -> str:
    """The models that can be run, for ``--list-models``: a line of facts and a line of description
    for each.
    """
    lines = []
    for entry in CATALOG.values():
        if entry.ready:
            d = entry.defaults
            origin = (
                "in the package"
                if entry.folder
                else f"{entry.download_bytes / 1e9:.1f} GB to download from {entry.repo}"
            )
            lines.append(
                f"{entry.name:<24}{d.width}x{d.height}, {d.frames} frames at {d.fps:g} fps; {entry.licence}; {origin}"
            )
            lines.append(f"{'':<24}{entry.description}")
    return "\n".join(lines)
