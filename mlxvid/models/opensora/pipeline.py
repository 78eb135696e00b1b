"""What is particular to Open-Sora 1.2 on the way from prompt to clip: its prompts, given frames,
long clips and rectified flow.

After scripts/inference.py and the scheduler "rflow" of hpcaitech/Open-Sora, v1.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError
from mlxvid.model.base import Family as Base
from mlxvid.model.base import Part
from mlxvid.model.geometry import Facts
from mlxvid.run.request import Request
from mlxvid.schedulers import FlowEuler
from mlxvid.text.clean import clean_caption
from mlxvid.text.t5 import T5EncoderModel
from mlxvid.text.t5_config import T5Config
from mlxvid.text.tokenizer import load_tokenizer

from .config import STDiT3Config
from .long import pieces
from .sampling import GivenFramesFlow, exact_sigmas, moving, time_shift
from .strategy import Given, put_in, split_prompt, with_scores
from .transformer import STDiT3
from .vae import OpenSoraVAE
from .vae_config import OpenSoraVAEConfig

# What the model is told of a picture's frame rate.
PICTURE_FPS = 120.0

Conditions = dict[str, mx.array]


class Family(Base):
    """One Open-Sora 1.2 model."""

    parts = {
        "text_encoder": Part(T5EncoderModel, T5Config, "bfloat16"),
        "transformer": Part(STDiT3, STDiT3Config, "bfloat16"),
        "vae": Part(OpenSoraVAE, OpenSoraVAEConfig, "float32"),
    }
    samplers = ("euler",)
    options = {"aesthetic": 6.5}

    def __init__(self, components: Any, facts: Facts):
        super().__init__(components, facts)
        folder = components.folder
        self.joint = self.geometry.chunk
        words = folder.path / "tokenizer"
        length = folder.config("transformer", STDiT3Config).model_max_length
        self.tokenizer = load_tokenizer(
            words if words.is_dir() else folder.path / "text_encoder", length
        )

    # --- text -------------------------------------------------------------------------------------

    def prompt(self, request: Request) -> str:
        """The prompt, each of its texts with the scores that it is to have; a score of 0 is none."""
        options = request.options
        scores = (
            options.get("aesthetic") or None,
            options.get("motion_score") or None,
            options.get("camera_motion"),
        )
        texts = [(loop, with_scores(text, *scores)) for loop, text in split_prompt(request.prompt)]
        last, count = texts[-1][0], len(self.pieces(request))
        if last >= count:
            raise SettingError(
                f"The prompt has a text from piece {last} on, and this clip is made in {count}: numbered from 0."
            )
        return (
            texts[0][1] if len(texts) == 1 else "".join(f"|{loop}|{text}" for loop, text in texts)
        )

    def encode_text(self, prompts: list[str]) -> Conditions:
        """For B prompts, of which the last is the one that counts: text [B, K, L, D], its K texts'
        states, lengths [B, K] of them in tokens, and prompted [B]: false for those before it, in
        whose place the model has a null caption of its own."""
        texts = [clean_caption(text) for _, text in split_prompt(prompts[-1])]
        ids, mask = self.tokenizer(texts)
        states, rows = self.network("text_encoder")(ids, mask), len(prompts)
        return {
            "text": mx.broadcast_to(states, (rows, *states.shape)),
            "lengths": mx.broadcast_to(mask.sum(axis=1), (rows, len(texts))),
            "prompted": mx.arange(rows) == rows - 1,
        }

    # --- what is given ----------------------------------------------------------------------------

    def encode_request(
        self, request: Request, latent_shape: tuple[int, int, int], watch: Any = None
    ) -> Conditions:
        """fps [1] and size [1, 2] (height, width in pixels, as asked for); where frames are given,
        their latents, given [1, F, H, W, C], and edit [1, F]: 1 for a frame that isn't, else how
        much of it may change."""
        fps = PICTURE_FPS if request.frames == 1 else request.fps
        told = {
            "fps": mx.array([fps]),
            "size": mx.array([[float(request.height), float(request.width)]]),
        }
        if not request.pictures:
            return told
        vae, edit = self.network("vae", watch), request.options.get("edit", 0.0)
        references, strategy = [], []
        for slot, pixels in sorted(request.pictures.items()):
            clip = (
                mx.array(pixels if pixels.ndim == 4 else pixels[None]).astype(mx.float32)[None]
                / 127.5
                - 1
            )
            # The reference draws from what the VAE says of pictures, and never takes the mean.
            latents = vae.sample(clip, _key(request.seed, "given", slot))
            strategy.append(
                Given(reference=len(references), start=slot, length=latents.shape[1], edit=edit)
            )
            references.append(latents)
            mx.eval(latents)
        given, edits = put_in(
            (1, *latent_shape, self.geometry.channels), references, strategy, align=None
        )
        return {**told, "given": given, "edit": mx.array(edits)}

    # --- pieces and steps -------------------------------------------------------------------------

    def pieces(self, request: Request) -> list[range]:
        geometry = self.geometry
        longest = geometry.latent_frames(geometry.longest(request.width, request.height))
        return pieces(geometry.latent_frames(request.frames), geometry.chunk_latents, longest)

    def begin(
        self, request: Request, conditions: list[Conditions], number: int, x: mx.array
    ) -> tuple[list[Conditions], Any]:
        """The text of the piece alone, as long as it is; and what is given in it: from the second
        on, the end of the one before.
        """
        piece = self.pieces(request)[number]
        text = [start <= number for start, _ in split_prompt(request.prompt)].count(True) - 1
        length = conditions[-1]["lengths"][-1, text].item()
        told = [
            {k: c[k] for k in ("prompted", "fps", "size")} | {"text": c["text"][:, text, :length]}
            for c in conditions
        ]
        given, edit = self._given(conditions[-1], number, piece, x)
        shift = request.shift or time_shift(
            request.height, request.width, self.geometry.pixel_frames(len(piece))
        )
        if edit is None:
            return told, FlowEuler(request.steps, shift, exact_sigmas)
        scheduler = GivenFramesFlow(
            request.steps, shift, given, edit, lambda i: self.fresh(request, number, i, given.shape)
        )
        return [{**c, "edit": mx.array(edit)} for c in told], scheduler

    def _given(
        self, told: Conditions, number: int, piece: range, x: mx.array
    ) -> tuple[mx.array | None, np.ndarray | None]:
        """The latents that are given in a piece and their frames' edit ratios, as
        :class:`GivenFramesFlow` takes them.
        """
        inside = slice(piece.start, piece.stop)
        given, edit = (
            (told["given"][:, inside], np.array(told["edit"])[:, inside])
            if "given" in told
            else (None, None)
        )
        if number == 0:
            return given, edit
        overlap = self.geometry.chunk_latents
        before = x[:, inside][:, :overlap]
        edit = np.ones((1, len(piece)), np.float32) if edit is None else edit.copy()
        edit[:, :overlap] = 0
        return mx.concatenate(
            [before, (x[:, inside] if given is None else given)[:, overlap:]], axis=1
        ), edit

    def fresh(self, request: Request, number: int, i: int, shape: tuple[int, ...]) -> mx.array:
        """The noise that is mixed into given frames where they begin to move in step `i` of piece
        `number`.
        """
        return mx.random.normal(shape, key=_key(request.seed, "fresh", number * request.steps + i))

    def predict(
        self, x: mx.array, time: float, conditions: Mapping[str, mx.array], attention: str
    ) -> mx.array:
        """The velocity from clip to noise of latents [B, F, H, W, C], float32. The network's is the
        other way round.
        """
        network = self.network("transformer")
        null = network.y_embedder.y_embedding[: conditions["text"].shape[1]]
        text = mx.where(conditions["prompted"][:, None, None], conditions["text"], null)
        x_mask = moving(conditions["edit"], time) if "edit" in conditions else None
        height, width = conditions["size"][0].tolist()
        times = mx.full((x.shape[0],), 1000 * time)
        out = network(x, times, text, None, conditions["fps"], height, width, x_mask, attention)
        return -out[..., : x.shape[-1]].astype(mx.float32)

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        for part in self.network("vae").decode(
            latents, self.geometry.pixel_frames(latents.shape[1])
        ):
            yield part[0]


def _key(seed: int, what: str, number: int) -> mx.array:
    """The key of some noise besides the clip's own, which is drawn from the seed's."""
    kind = ("given", "fresh").index(what) + 1
    return mx.random.split(mx.random.split(mx.random.key(seed), 3)[kind], number + 1)[number]
