"""The tiny decoder that goes with a family's models, beside the VAE, and where it is. No MLX."""

from __future__ import annotations

from dataclasses import dataclass

REPOSITORY = "madebyollin/taehv"
COMMIT = "1f14a568f24bf8811e0a0ac601613e04fc1581e8"

FOLDER = "tiny_vae"
"""Where one is in a model's folder: any file of PyTorch's or of safetensors."""


@dataclass(frozen=True)
class TinyDecoder:
    """A decoder of madebyollin/taehv on GitHub, whose licence is MIT.

    name: of its files there. blob: Git's hash of the one in safetensors, and nbytes its size, which
    is the same of all that have its architecture.
    """

    name: str
    blob: str
    nbytes: int = 22_642_902

    @property
    def url(self) -> str:
        """Where its file is, at a commit that stays."""
        return (
            f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/safetensors/"
            f"{self.name}.safetensors"
        )
