"""Cards: all that is known of a model and of its family without its weights. No MLX here.

A family is a package of mlxvid.models with a `card` module, which has a :class:`Family` and the
:class:`Card` of each release known by name; a model in a local folder gets its card from its
configs (:attr:`Family.read`). Plans, the catalog, downloads, the window and the converter read
cards; loading makes a :class:`mlxvid.model.base.Model` of one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from mlxvid.text.streamed import Streamed

from .caching import Tea
from .coefficients import Coefficients, Shared
from .extrapolation import Extrapolation
from .folder import Folder
from .geometry import ATTENTION_MODES, Defaults, Geometry
from .knows import Knows
from .passes import Counted, usual_steps
from .recipe import Recipe
from .settings import SETTINGS, Setting
from .tiny import TinyDecoder

Stage = Literal["encode", "denoise", "decode"]
AnyCard = TypeVar("AnyCard", bound="Card")
STAGES: tuple[Stage, ...] = ("encode", "denoise", "decode")

ABILITIES = frozenset({"keyframe_clips", "keyframe_strength"})
"""What a card may take besides settings: clips among the `keyframes`, and a strength of each."""

CLIP_TO_CLIP = frozenset({"video", "strength"})
"""What a card takes whose model can begin from a noised clip."""


GUIDED = frozenset({"guidance_method", "skip_layers", "skip_scale", "skip_start", "skip_stop"})
"""What a card takes whose model is guided as others are."""


@dataclass(frozen=True)
class Part:
    """A component of a family's models: how it is made, and how its weights are used.

    network: where its class is, as "module:Class"; a module that begins with a dot is the family's
    own. config: the dataclass of its config.json. stage: in which of a run's stages it is in
    memory; of several parts of a stage one is at a time. dtype: the type in which its weights are
    used on Metal when none is asked for, None for the checkpoint's own; "float32" is kept whatever
    is asked for. float16: whether its network is known to do well in float16, which takes
    bfloat16's place where that is slow. quantized: whether its large matrices can be. loras:
    whether LoRAs are added to it. optional: a model may do without it. streamed: whether its
    network can be used piece by piece (:mod:`mlxvid.layers.streaming`), and so is where it would
    not stay in memory.
    """

    network: str
    config: type
    stage: Stage
    dtype: str | None = None
    quantized: bool = False
    loras: bool = False
    optional: bool = False
    float16: bool = False
    streamed: bool = False

    @property
    def stays_float32(self) -> bool:
        """Whether its weights stay in float32 where the rest is in half precision."""
        return self.dtype == "float32"

    def used_dtype(
        self, asked: str | None, half_is_slow: bool, bfloat16_is_slow: bool = False
    ) -> str | None:
        """The type of its weights in memory; None for the checkpoint's own.

        asked: by the user, None for none. half_is_slow: as on MLX's CPU backend. bfloat16_is_slow:
        as on an M1 or M2.
        """
        if self.stays_float32:
            return "float32"
        if asked or half_is_slow:
            return asked or "float32"
        if self.float16 and self.dtype == "bfloat16" and bfloat16_is_slow:
            return "float16"
        return self.dtype


UNPINNED = "main"
"""The revision of a source of which no commit is known: the one at its first download is kept."""


@dataclass(frozen=True)
class Source:
    """A place on the hub: a repository at a pinned revision, and the folder in it, or the one file
    in which a release has several components.

    The revision is a commit, and :data:`UNPINNED` where none is known.
    """

    repository: str
    revision: str
    subfolder: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What all models of a family have in common.

    package: of the family, `__package__` of the module that makes this. pipelines: the classes in
    model_index.json that it runs. parts: by component, which is its folder's name. read: the card
    of a model in a folder, from its configs; raises :class:`mlxvid.WeightsError`. memory: what its
    stages hold. options: settings that it adds to :data:`mlxvid.model.settings.SETTINGS`. presets:
    settings that go together, by name. needed: files that its models have besides their components'
    configs and weights, of each group one at least. layouts: modules of mlxvid.convert.layouts that
    recognise its original releases. examples: of its use, for --help. model: where its class is.
    tea: of a card, the constants of its model for TeaCache, if any. texts: where the function is
    that makes of a prompt the texts that are tokenized, each cut by itself; "" for the prompt as it
    is. tiny_decoder: that goes with its latents; its cards then take `draft_decode`. terms: a
    sentence on where or for whom its licence doesn't hold, which is said before its models are
    downloaded. prompting: how its models like to be told what to make. recipe: of a few-step LoRA,
    by the names that it goes by. exact_steps: the number of steps of samplers that take no other.
    shared: what of its transformer several machines share, if they can.
    """

    package: str
    pipelines: tuple[str, ...]
    parts: Mapping[str, Part]
    read: Callable[[Folder], Card]
    memory: Coefficients
    options: tuple[Setting, ...] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needed: tuple[tuple[str, ...], ...] = ()
    layouts: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    model: str = ".model:Model"
    tiny_decoder: TinyDecoder | None = None
    tea: Callable[[Any], Tea | None] | None = None
    terms: str = ""
    texts: str = ""
    prompting: str = ""
    recipe: Callable[[Iterable[str]], Recipe | None] | None = None
    exact_steps: Mapping[str, int] = field(default_factory=dict)
    shared: Shared | None = None

    @property
    def name(self) -> str:
        return self.package.rpartition(".")[2]

    def texts_of(self, prompt: str) -> list[str]:
        """What is tokenized of a prompt, each by itself."""
        return self.load(self.texts)(prompt) if self.texts else [prompt]

    def load(self, place: str) -> Any:
        """The class at `place`, "module:Class", of the family's own where it begins with a dot."""
        module, _, name = place.partition(":")
        return getattr(importlib.import_module(module, self.package), name)

    def network(self, component: str) -> Any:
        """The class of a component's network: brings MLX with it."""
        return self.load(self.parts[component].network)


def _no_shift(width: int, height: int) -> float | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model, known by name or described by the configs in its folder.

    name: finds it, for :func:`mlxvid.load` too. takes: the settings that not every model has and
    that this one can be given, and of :data:`ABILITIES` those that it has; needs: those pictures
    among them without which it makes nothing. samplers: the first is not always the default, which
    is in `defaults`. attention_modes: the first is the one that it was trained for. heads,
    head_dim: of its transformer; inner: the width of its feed-forward, 0 for four times its own;
    blocks: those that attend over the clip's tokens, one over space and one over time counted as
    one; 0 where only its size tells. options: of the family's options, those that have a value when
    none is given. shared_frames: frames that a clip has in common with the one that it extends or
    joins. prompt_pieces: word pieces that are read of a text, those that the tokenizer itself adds
    left out. shift(width, height): of the noise schedule, None for a model without one.
    guidance_is_input: guidance is an input of the network, which then takes one pass a step.
    batches: several passes may go through the network at once. extrapolation: what makes long clips
    repeat, of models that take `length_extrapolation`. streamed: what its parts that can be
    streamed hold then. precise: parameters by component that are never quantized, where they are
    many. easy_threshold: of EasyCache, where none is asked for.

    knows: the words of a model that was trained with few; prompts: that show what it makes.

    Of a release: parameters by component, dtype as stored; source: its repository in the Diffusers
    layout; aliases: other names of that; originals: repositories of the same weights in other
    layouts; sources: those of single components, of a release that is in several places, and index:
    what the model_index.json of these says besides the class, or in its place; download_bytes: 0
    for a model in the package. Of a model on this machine: folder; note: what its converter left to
    be said whenever it is loaded.
    """

    family: Family
    name: str
    title: str
    geometry: Geometry
    defaults: Defaults
    samplers: tuple[str, ...]
    heads: int
    head_dim: int
    inner: int = 0
    blocks: int = 0
    takes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    attention_modes: tuple[str, ...] = ("full",)
    options: Mapping[str, float | str | bool] = field(default_factory=dict)
    shared_frames: int = 0
    prompt_pieces: int = 0
    shift: Callable[[int, int], float | None] = _no_shift
    guidance_is_input: bool = False
    batches: bool = True
    extrapolation: Extrapolation | None = None
    streamed: Mapping[str, Streamed] = field(default_factory=dict)
    precise: Mapping[str, int] = field(default_factory=dict)
    easy_threshold: float = 0.05
    knows: Knows | None = None
    prompts: tuple[str, ...] = ()
    licence: str = ""
    description: str = ""
    dtype: str = "bfloat16"
    parameters: Mapping[str, int] = field(default_factory=dict)
    source: Source | None = None
    aliases: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    index: Mapping[str, Any] = field(default_factory=dict)
    download_bytes: int = 0
    folder: Path | None = None
    note: str = ""

    def __post_init__(self) -> None:
        optional = {name for name, setting in SETTINGS.items() if setting.needs_support}
        known = optional | ABILITIES | {option.name for option in self.family.options}
        strange = (self.takes | self.needs) - known
        if strange or not self.needs <= self.takes:
            raise ValueError(f"card {self.name}: takes or needs {sorted(strange or self.needs)}")
        if not set(self.attention_modes) <= set(ATTENTION_MODES) or not self.samplers:
            raise ValueError(f"card {self.name}: no samplers, or attention that is unknown")

    @classmethod
    def in_folder(cls: type[AnyCard], folder: Folder, *, dtype: str, **known: Any) -> AnyCard:
        """The card of a model in a local folder. dtype: as stored, unless its index says."""
        return cls(
            name=str(folder.path),
            title=folder.path.name,
            description=f"The model in {folder.path}.",
            dtype=folder.index.get("dtype") or dtype,
            folder=folder.path,
            note=str(folder.index.get("note") or ""),
            **known,
        )

    @property
    def width(self) -> int:
        """Values a token in the transformer."""
        return self.heads * self.head_dim

    @property
    def inner_width(self) -> int:
        """Values a token in the transformer's feed-forward."""
        return self.inner or 4 * self.width

    @property
    def places(self) -> tuple[Source, ...]:
        """Everything on the hub that it is downloaded from; empty for a model on this machine."""
        own = (self.source,) if self.source else ()
        return (*own, *self.sources.values())

    @property
    def download_size(self) -> str:
        """What is to be downloaded, for people; of what isn't pinned to a commit about that."""
        is_pinned = all(place.revision != UNPINNED for place in self.places)
        return f"{'' if is_pinned else 'about '}{self.download_bytes / 1e9:.1f} GB"

    @property
    def is_in_files(self) -> bool:
        """Whether it is released as single files, of which a folder has to be made first."""
        return any(source.file for source in self.places)

    @property
    def repository(self) -> str | None:
        """The repository that stands for it: its own, or that of its transformer."""
        return self.places[0].repository if self.places else None

    @property
    def revision(self) -> str | None:
        """The pinned revision of :attr:`repository`."""
        return self.places[0].revision if self.places else None

    def offers(self, name: str) -> bool:
        """Whether a setting is worth a field: it is taken, and may be other than it is."""
        return name in self.takes

    def settled(
        self, options: Mapping[str, Any], frames: int, prompt: str
    ) -> tuple[Mapping[str, Any], str | None]:
        """The family's settings that a clip of `frames` with that prompt is made with, and a line
        for the user about those that are not as in `options`.
        """
        return options, None

    def advice(self, prompt: str) -> str | None:
        """A line for a prompt with words that this model never saw, or None."""
        strange = self.knows.strange(prompt) if self.knows else []
        if not self.knows or not strange:
            return None
        return f"Not known to this model: {', '.join(strange)}. {self.knows.say}"

    def lowered(self, asked: bool, latent_frames: int) -> tuple[int, int] | None:
        """The temporal rotary frequency to lower, counted from 1, and the length for which.

        asked: whether `length_extrapolation` was; else, and for clips that don't repeat, None.
        """
        if self.extrapolation is None or not asked:
            return None
        return self.extrapolation.lowered(latent_frames)

    def extrapolation_notes(self, frames: int, asked: bool | None) -> list[str]:
        """Lines on a clip longer than the training's. asked: None where nothing was."""
        if self.extrapolation is None:
            return []
        return list(self.extrapolation.notes(frames, self.geometry, asked))

    def worked_size(self, width: int, height: int, options: Mapping[str, Any]) -> tuple[int, int]:
        """The largest (width, height) in pixels at which a clip of that size is denoised and
        decoded. options: the family's settings of the clip.
        """
        return width, height

    def together(
        self, frames: int, width: int, height: int, options: Mapping[str, Any]
    ) -> tuple[int, int, int]:
        """The most (frames, width, height) that are denoised together, of a clip worked at that
        size.
        """
        return self.geometry.at_once(frames, width, height), width, height

    def passes(self, guidance: float, true_guidance: float = 1.0) -> int:
        """Rows of conditions that the network evaluates a step: 2 with classifier-free guidance.

        true_guidance: that of a model whose `guidance` is an input of the network.
        """
        return 1 if self.scale(guidance, true_guidance) == 1 else 2

    def counted(self, given: Mapping[str, Any]) -> Sequence[Counted]:
        """The stages of a run of these settings, as plans count them; what is missing is the
        model's default.
        """
        steps = usual_steps(self, given)
        defaults = self.defaults
        sizes = [given.get(name, getattr(defaults, name)) for name in ("frames", "width", "height")]
        frames, width, height, _ = self.geometry.round(*sizes)
        latent_frames = self.geometry.latent_frames(frames)
        parts = self.geometry.parts(frames, width, height)
        return [Counted(steps, len(part) / latent_frames) for part in parts]

    def cache_threshold(self, kind: str, asked: float | None) -> float:
        """The threshold of a step cache. asked: None for the model's own."""
        if asked is not None:
            return asked
        return self.tea.threshold if kind == "tea" and self.tea else self.easy_threshold

    @property
    def tea(self) -> Tea | None:
        """TeaCache's constants, of a model that has some."""
        return self.family.tea(self) if self.family.tea else None

    def scale(self, guidance: float, true_guidance: float = 1.0) -> float:
        """The scale of classifier-free guidance, as in :meth:`passes`."""
        return true_guidance if self.guidance_is_input else guidance
