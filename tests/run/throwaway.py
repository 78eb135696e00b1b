"""Families that only prove the contract: small enough to be read at a glance, and never registered.

Two stages with an upsampler between them; two networks of which the time chooses one; chunks made
one after the other with a cache between them, handed out as they are done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid.model import base
from mlxvid.model.base import Shot, Stage
from mlxvid.model.card import Card, Family, Part
from mlxvid.model.coefficients import Block, Coefficients
from mlxvid.model.conditions import Conditions
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Defaults, Geometry
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.run.pipeline import Pipeline
from mlxvid.schedulers import FlowEuler, Predict, Scheduler
from mlxvid.weights.loading import Components

CHANNELS = 4
CHUNK = 2  # latent frames


@dataclass
class SideConfig:
    channels: int = CHANNELS


class Mixer(nn.Module):
    """A network of one matrix over the channels, for every component."""

    def __init__(self, config: SideConfig):
        super().__init__()
        self.mix = nn.Linear(config.channels, config.channels)

    def __call__(self, x: mx.array) -> mx.array:
        return mx.tanh(self.mix(x))


def _part(stage, **more) -> Part:
    return Part("tests.run.throwaway:Mixer", SideConfig, stage, **more)


PARTS = {
    "text_encoder": _part("encode"),
    "transformer": _part("denoise"),
    "transformer_2": _part("denoise", optional=True),
    "vae": _part("decode"),
}


def _read(folder: Folder) -> Card:
    raise AssertionError("throw-away models are made by hand")


class ToyModel(base.Model):
    """Text, steps and frames in the plainest way."""

    shot_class: type[Shot] = Shot

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        return self.shot_class(self, request, noise, self.conditions(request, watch))

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        encoder = self.network("text_encoder", watch)
        with watch.task("encode"):
            words = mx.array([[len(prompt) / 10] * CHANNELS for prompt in prompts])
            text = encoder(words)
        return Conditions({"text": text})

    def scheduler(self, request: Request) -> Scheduler:
        return FlowEuler(request.steps)

    def predict(self, x, time, conditions, request):
        return x - self.network("transformer")(x) * conditions["text"][:, None, None, None]

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        vae = self.network("vae", watch)
        for frame in range(latents.shape[1]):
            pixels = vae(latents[:, frame])[..., :3]
            yield mx.repeat(mx.repeat(pixels, 2, axis=1), 2, axis=2)


# --- two stages with an upsampler ----------------------------------------------------------------


class HalfSize(Stage):
    """The first stage: half the height and width."""

    def begin(self, x: mx.array) -> mx.array:
        return self.scheduler.begin(x[:, :, ::2, ::2])


class FullSize(Stage):
    """The second stage: the first one's clip at twice the size, noised, from a later step on."""

    def __init__(self, scheduler: Scheduler, passes, noise: mx.array, first: int):
        super().__init__(scheduler, passes, first)
        self.noise = noise

    def begin(self, x: mx.array) -> mx.array:
        larger = mx.repeat(mx.repeat(x, 2, axis=2), 2, axis=3)
        return self.scheduler.noised(larger, self.noise, self.first)


class TwoStages(Shot):
    @property
    def steps(self) -> Sequence[int]:
        return (self.request.steps, 3)

    def stage(self, number: int, x: mx.array) -> Stage:
        if number == 0:
            return HalfSize(FlowEuler(self.request.steps), self.passes)
        return FullSize(FlowEuler(4), self.passes, self.noise, first=1)


class TwoStageModel(ToyModel):
    shot_class = TwoStages


# --- two networks --------------------------------------------------------------------------------


class TwoNetworkModel(ToyModel):
    """One network while there is much noise, the other afterwards; only one is in memory."""

    BOUNDARY = 0.6

    def denoiser_at(self, time):
        return "transformer" if time >= self.BOUNDARY else "transformer_2"

    def predict(self, x, time, conditions, request):
        return x - self.network(self.denoiser_at(time))(x) * conditions["text"][:, None, None, None]


# --- chunks with a cache -------------------------------------------------------------------------


class ChunkStage(Stage):
    """Some latent frames, made after those before them."""

    def __init__(self, scheduler, passes, shot: CachedChunks, number: int):
        super().__init__(scheduler, passes)
        self.shot = shot
        self.frames = slice(number * CHUNK, (number + 1) * CHUNK)

    def begin(self, x: mx.array) -> mx.array:
        return self.scheduler.begin(x[:, self.frames])

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        return mx.concatenate([x[:, : self.frames.start], y, x[:, self.frames.stop :]], axis=1)

    def end(self, x: mx.array, y: mx.array) -> mx.array:
        self.shot.state = {"cache": y.mean(axis=1, keepdims=True)}
        return self.merged(x, y)


class CachedChunks(Shot):
    @property
    def steps(self) -> Sequence[int]:
        return [self.request.steps] * (self.noise.shape[1] // CHUNK)

    def stage(self, number: int, x: mx.array) -> Stage:
        return ChunkStage(FlowEuler(self.request.steps), self.passes, self, number)

    def predictor(self, stage: Stage, step: int, latent_frames: int) -> Predict:
        inner = super().predictor(stage, step, latent_frames)

        def predict(x: mx.array, time: float) -> mx.array:
            seen = self.state.get("cache")
            return inner(x, time) if seen is None else inner(x, time) - 0.3 * seen

        return predict

    def finished(self, number: int, x: mx.array) -> Iterable[mx.array]:
        return self.model.decode(x[:, number * CHUNK : (number + 1) * CHUNK])

    def finish(self, latents: mx.array, settings, watch=None) -> Iterator[mx.array]:
        yield from ()


class ChunkModel(ToyModel):
    shot_class = CachedChunks


MODELS = {"stages": TwoStageModel, "networks": TwoNetworkModel, "chunks": ChunkModel}


def pipeline(kind: str, folder: Path) -> Pipeline:
    """A pipeline of the model `kind`, whose weights are written to `folder` and loaded from it."""
    model = MODELS[kind]
    family = Family(
        package="tests.run",
        pipelines=("ThrowawayPipeline",),
        parts=PARTS,
        read=_read,
        memory=Coefficients(
            metal=Block(attention=8, forward=8),
            cpu=Block(attention=8, forward=8),
            decode_values=8,
            decode_chunk=1,
            decode_tile=64,
            decode_halo=0,
        ),
    )
    card = Card(
        family=family,
        name=kind,
        title=kind,
        geometry=Geometry(1, 2, CHANNELS, (1, 1, 1), causal=False),
        defaults=Defaults(16, 16, 6, 8.0, 3, 2.0),
        samplers=("euler",),
        heads=1,
        head_dim=CHANNELS,
        takes=frozenset({"negative_prompt"}),
        folder=_written(folder),
    )
    return Pipeline(model(card, Components(card)), kind)


def _written(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "ThrowawayPipeline"}))
    mx.random.seed(3)
    for name in PARTS:
        network = Mixer(SideConfig())
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps({"channels": CHANNELS}))
        weights = {key: 2 * value for key, value in tree_flatten(network.parameters())}
        mx.save_safetensors(str(folder / name / "model.safetensors"), weights)
    return folder
