"""What is particular to the factored family on the way from prompt to clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.geometry import Defaults, Geometry
from mlxvid.schedulers import FlowEuler, sampler
from mlxvid.text.tokenizer import SentencePieceTokenizer

from .config import Knows, TextConfig, TransformerConfig, VAEConfig
from .text import FactoredTextEncoder
from .transformer import ATTENTION_MODES, FactoredTransformer
from .vae import FactoredVAE

SHIFT = 1.5  # of the sigmas towards noise
NETWORKS = {
    "text_encoder": (FactoredTextEncoder, TextConfig),
    "transformer": (FactoredTransformer, TransformerConfig),
    "vae": (FactoredVAE, VAEConfig),
}


class Family:
    """Text, pictures, denoiser and decoder of one factored model, whose networks come from `components` as they are needed."""

    samplers = ("euler", "heun")
    attention_modes = ATTENTION_MODES
    capabilities = frozenset({"negative-prompt", "image", "last-image", "keyframes", "attention"})

    def __init__(self, components, index: Mapping):
        self.components = components
        self.defaults = components.parse(Defaults, index["defaults"]) if "defaults" in index else Defaults(96, 96, 33, 16.0, 20, 3.0)
        self.knows = components.parse(Knows, index["knows"]) if "knows" in index else None
        text, transformer, vae = (components.config(name, config) for name, (_, config) in NETWORKS.items())
        patch = (transformer.patch_size_t, transformer.patch_size, transformer.patch_size)
        self.geometry = Geometry(vae.patch_size_t, 2 * vae.patch_size, vae.latent_channels, patch)
        self.tokenizer = SentencePieceTokenizer.load(components.folder / "tokenizer" / "spiece.model", text.max_length)
        pieces = self.tokenizer.model.get_piece_size()
        if (transformer.in_channels, transformer.text_dim) != (vae.latent_channels, text.hidden_size) or pieces > text.vocab_size:
            raise WeightsError(f"The parts of {components.folder} come from different models; download or convert the model again.")

    def network(self, name: str, watch=None) -> nn.Module:
        """The component called `name`, loaded if it isn't yet, which `watch` is told of."""
        return self.components.network(name, *NETWORKS[name], watch)

    @property
    def vae(self) -> FactoredVAE:
        return self.network("vae")

    def advice(self, prompt: str) -> str | None:
        """A line for a prompt with words that this model never saw, or None."""
        if not self.knows:
            return None
        strange = self.tokenizer.unknown(prompt, set(self.knows.words))
        return f"Not known to this model: {', '.join(strange)}. {self.knows.say}" if strange else None

    def encode_text(self, prompts: list[str]) -> dict[str, mx.array]:
        """text [B, L, D] and mask [B, L] for B prompts."""
        ids, mask = self.tokenizer(prompts)
        return {"text": self.network("text_encoder")(ids, mask), "mask": mask}

    def encode_pictures(self, pictures: Mapping[int, np.ndarray], latent_shape: tuple[int, int, int]) -> dict[str, mx.array]:
        """condition [1, F, H, W, C + 1]: for each latent frame in `pictures` (uint8 [H, W, 3]) its latents, and ones."""
        f, h, w = latent_shape
        empty = mx.zeros((1, 1, h, w, self.geometry.channels + 1))
        slots = [empty] * f
        for place, picture in pictures.items():
            still = mx.array(picture).astype(mx.float32)[None, None] / 127.5 - 1
            slots[place] = mx.concatenate([self.vae.encode(still), mx.ones((1, 1, h, w, 1))], axis=-1)
        return {"condition": mx.concatenate(slots, axis=1)}

    def scheduler(self, name: str, steps: int) -> FlowEuler:
        return sampler(name, self.samplers)(steps, SHIFT)

    def predict(self, x: mx.array, sigma: float, conditions: Mapping[str, mx.array], attention: str) -> mx.array:
        """The velocity of latents [B, F, H, W, C] with B conditions of each kind, float32."""
        network = self.network("transformer")
        sigmas = mx.full((x.shape[0],), sigma)
        return network(x, conditions["condition"], sigmas, conditions["text"], conditions["mask"], attention).astype(mx.float32)

    def hold(self, x: mx.array, noise: mx.array, sigma: float, conditions: Mapping[str, mx.array]) -> mx.array:
        """Latents after a step to `sigma`, with a given first frame put back on its own road from `noise`, (1 - s) z + s n.

        The VAE is causal, so the first frame's latents are exactly those of its picture; a later frame's are not.
        """
        given = conditions["condition"][:, :1]
        z, mask = given[..., :-1], given[..., -1:]
        first = mask * ((1 - sigma) * z + sigma * noise[:, :1]) + (1 - mask) * x[:, :1]
        return mx.concatenate([first, x[:, 1:]], axis=1)

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        """Latents [1, F, H, W, C] -> frames [n, H, W, 3] in about [-1, 1], chunk after chunk."""
        for part in self.vae.decode(latents):
            yield part[0]
