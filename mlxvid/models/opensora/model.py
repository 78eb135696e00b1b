"""What is particular to Open-Sora 1.2 on the way from prompt to clip: its prompts, given frames,
long clips and rectified flow.

After scripts/inference.py and the scheduler "rflow" of hpcaitech/Open-Sora, v1.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError
from mlxvid.model import base
from mlxvid.model.attention_call import AttentionCall, Blocks, drawn, prompt_states
from mlxvid.model.base import Components, Passes, Shot, Stage
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.guidance import PROMPT
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import FlowEuler, Scheduler
from mlxvid.schedulers.given import GivenStill
from mlxvid.text.clean import clean_caption
from mlxvid.text.tokenizer import load_tokenizer

from .config import STDiT3Config
from .sampling import exact_sigmas, time_shift
from .strategy import Given, put_in, split_prompt, with_scores
from .transformer import STDiT3

# What the model is told of a picture's frame rate.
PICTURE_FPS = 120.0


class Model(base.Model):
    """One Open-Sora 1.2 model."""

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        words = self.path / "tokenizer"
        length = self.folder.config("transformer", STDiT3Config).model_max_length
        place = words if words.is_dir() else self.path / "text_encoder"
        self.tokenizer = load_tokenizer(place, length)

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        return PiecesShot(self, request, noise, self.conditions(request, watch))

    # --- text ------------------------------------------------------------------------------------

    def prompt(self, request: Request) -> str:
        """The prompt, each of its texts with its scores; a score of 0 is none."""
        options: Mapping[str, Any] = request.options
        aesthetic = options.get("aesthetic") or None
        motion = options.get("motion_score") or None
        camera = options.get("camera_motion")
        texts = [
            (loop, with_scores(text, aesthetic, motion, camera))
            for loop, text in split_prompt(request.prompt)
        ]
        last = texts[-1][0]
        count = len(self.pieces(request))
        if last >= count:
            raise SettingError(
                f"The `prompt` has a text from piece {last} on, and this clip is made in {count}: "
                "numbered from 0."
            )
        if len(texts) == 1:
            return texts[0][1]
        return "".join(f"|{loop}|{text}" for loop, text in texts)

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """For B prompts, of which the last is the one that counts: text [B, K, L, D], its K texts'
        states, lengths [B, K] of them in tokens, and prompted [B]: false for those before it, in
        whose place the model has a null caption of its own.
        """
        texts = [clean_caption(text) for _, text in split_prompt(prompts[-1])]
        ids, mask = self.tokenizer(texts)
        states = self.text_states(ids, mask, watch)
        rows = len(prompts)
        return Conditions(
            {
                "text": mx.broadcast_to(states, (rows, *states.shape)),
                "lengths": mx.broadcast_to(mask.sum(axis=1), (rows, len(texts))),
                "prompted": mx.arange(rows) == rows - 1,
            }
        )

    # --- given frames ----------------------------------------------------------------------------

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """fps [1] and size [1, 2] (height, width in pixels, as asked for); where frames are given,
        their latents, given [1, F, H, W, C], and edit [1, F]: 1 for a frame that isn't, else how
        much of it may change.
        """
        fps = PICTURE_FPS if request.frames == 1 else request.fps
        size = [[float(request.height), float(request.width)]]
        conditions = Conditions({"fps": mx.array([fps]), "size": mx.array(size)})
        if not request.pictures:
            return conditions
        vae = self.network("vae", watch)
        edit = float(request.options.get("edit", 0.0))
        references: list[mx.array] = []
        strategy = []
        for slot, pixels in sorted(request.pictures.items()):
            frames = pixels if pixels.ndim == 4 else pixels[None]
            clip = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
            # The reference draws from what the VAE says of pictures, and never takes the mean.
            latents = vae.sample(clip, _key(request.seed, "given", slot))
            length = latents.shape[1]
            strategy.append(Given(reference=len(references), start=slot, length=length, edit=edit))
            references.append(latents)
            mx.eval(latents)
        shape = (1, *self.latent_shape(request), self.card.geometry.channels)
        given, edits = put_in(shape, references, strategy, align=None)
        placed = Conditions({"given": given, "edit": mx.array(edits)}, {"given": 1, "edit": 1})
        return conditions.joined(placed)

    # --- steps -----------------------------------------------------------------------------------

    def pieces(self, request: Request) -> list[range]:
        """The latent frames that are denoised together, in order."""
        return self.card.geometry.parts(request.frames, request.width, request.height)

    def fresh(self, request: Request, number: int, i: int, shape: tuple[int, ...]) -> mx.array:
        """The noise that is mixed into given frames where they begin to move in step `i` of piece
        `number`.
        """
        key = _key(request.seed, "fresh", number * request.steps + i)
        return mx.random.normal(shape, key=key)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The velocity from x0 to noise of latents [B, F, H, W, C], float32. The network's is the
        other way round.
        """
        network = self.network("transformer")
        text = conditions["text"]
        null = network.y_embedder.y_embedding[: text.shape[1]]
        text = mx.where(conditions["prompted"][:, None, None], text, null)
        x_mask = conditions["edit"] >= time if "edit" in conditions else None
        height = float(conditions["size"][0, 0])
        width = float(conditions["size"][0, 1])
        times = mx.full((x.shape[0],), 1000 * time)
        output = network(
            x, times, text, None, conditions["fps"], height, width, x_mask, request.attention
        )
        return -output[..., : x.shape[-1]].astype(mx.float32)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        frames = self.card.geometry.pixel_frames(latents.shape[1])
        for part in self.network("vae", watch).decode(latents, frames):
            yield part[0]

    @staticmethod
    def attention_call(blocks: Blocks, frames: int) -> AttentionCall:
        """A pair of the family's blocks with random weights: see :class:`Blocks`."""
        text = prompt_states()
        config = STDiT3Config(
            in_channels=blocks.channels,
            patch_size=list(blocks.patch),
            hidden_size=blocks.width,
            depth=blocks.depth,
            num_heads=blocks.heads,
            caption_channels=text.shape[-1],
        )
        network = drawn(STDiT3(config), blocks.dtype)
        time = mx.array([500.0])
        fps = mx.array([24.0])

        def call(x: mx.array, mode: str) -> mx.array:
            height, width = (8 * side for side in x.shape[2:4])
            return network(x, time, text, None, fps, height, width, attention=mode)

        return call


class PiecesShot(Shot):
    """A run in as many stages as the clip has pieces."""

    @property
    def steps(self) -> Sequence[int]:
        steps = self.request.steps - self.request.first
        return [steps] * len(self.model.pieces(self.request))

    def stage(self, number: int, x: mx.array) -> Stage:
        """Piece `number`, with the text of that piece alone; from the second on, the end of the one
        before is given.
        """
        piece = self.model.pieces(self.request)[number]
        texts = split_prompt(self.request.prompt)
        text = [start <= number for start, _ in texts].count(True) - 1
        length = int(self.passes[PROMPT]["lengths"][-1, text])
        passes = {}
        for name, conditions in self.passes.items():
            states = conditions["text"][:, text, :length]
            kept = conditions.only("prompted", "fps", "size")
            passes[name] = kept.with_arrays(text=states)
        scheduler: Scheduler = FlowEuler(self.request.steps, self._shift(piece), exact_sigmas)
        given, edit = self._given(number, piece, x)
        if given is not None and edit is not None:
            shape = given.shape
            scheduler = GivenStill(
                scheduler,
                given,
                edit,
                lambda i: self.model.fresh(self.request, number, i, shape),
            )
            passes = {
                name: conditions.with_arrays(edit=mx.array(edit))
                for name, conditions in passes.items()
            }
        clip = None if self.clip is None else self.clip[:, piece.start : piece.stop]
        return PieceStage(scheduler, passes, piece, self.request.first, clip)

    def _shift(self, piece: range) -> float:
        if self.request.shift:
            return self.request.shift
        frames = self.model.card.geometry.pixel_frames(len(piece))
        return time_shift(self.request.height, self.request.width, frames)

    def _given(
        self, number: int, piece: range, x: mx.array
    ) -> tuple[mx.array | None, np.ndarray | None]:
        """The latents that are given in a piece and their frames' edit ratios, as
        :class:`GivenStill` takes them; None where nothing is.
        """
        inside = self.passes[PROMPT].window(piece.start, piece.stop)
        given = inside.get("given")
        edit = np.array(inside["edit"]) if "edit" in inside else None
        if number == 0:
            return given, edit
        overlap = self.model.card.geometry.chunk_latents
        latents = x[:, piece.start : piece.stop]
        edit = np.ones((1, len(piece)), np.float32) if edit is None else edit.copy()
        edit[:, :overlap] = 0
        others = latents if given is None else given
        return mx.concatenate([latents[:, :overlap], others[:, overlap:]], axis=1), edit


class PieceStage(Stage):
    """The stage of one piece of a clip: some of its latent frames."""

    def __init__(
        self,
        scheduler: Scheduler,
        passes: Passes,
        piece: range,
        first: int,
        clip: mx.array | None,
    ):
        super().__init__(scheduler, passes, first, clip)
        self.piece = piece

    def begin(self, x: mx.array) -> mx.array:
        y = super().begin(x[:, self.piece.start : self.piece.stop])
        return self.scheduler.begin(y)  # which puts given frames in the place of a noised clip's

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        return mx.concatenate([x[:, : self.piece.start], y, x[:, self.piece.stop :]], axis=1)

    def preview(self, x: mx.array, x0: mx.array) -> mx.array:
        """As far as the clip is made by now."""
        return mx.concatenate([x[:, : self.piece.start], x0], axis=1)


def _key(seed: int, what: str, number: int) -> mx.array:
    """The key of some noise besides the clip's own, which is drawn from the seed's."""
    kind = ("given", "fresh").index(what) + 1
    return mx.random.split(mx.random.split(mx.random.key(seed), 3)[kind], number + 1)[number]
