"""Step four: the trained networks as a model folder that mlxvid loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from . import world
from .dit_torch import TEXT, TRANSFORMER

DEFAULTS = dict(width=96, height=96, frames=33, fps=16.0, steps=20, guidance=3.0)
SAY = (
    "It draws one plain shape that moves in one way, as in 'a small red ball bouncing on a navy "
    "background'; anything else needs a larger model (`list_models`)."
)
GRAMMAR = (
    "a an the on past to of small medium large background colour color shape light its".split()
)
# Names of weight files.
DIFFUSION = "diffusion_pytorch_model"
ENCODER = "model"


def words() -> list[str]:
    """Every word of the drawn world's captions."""
    found = {*GRAMMAR, *world.COLOURS, *world.SHAPES, *world.BACKGROUNDS}
    found |= {"left", "right", "pans", "camera"}
    for phrases in world.MOTIONS.values():
        for phrase in phrases:
            found.update(phrase.split())
    return sorted(found)


def export(run: Path, out: Path) -> None:
    """Write the averaged weights of `run` to `out` in the Diffusers layout.

    In float32, names and axes as in PyTorch.
    """
    finished = run / "decoder.pt"
    vae = torch.load(finished if finished.exists() else run / "vae.pt")
    dit = torch.load(run / "dit.pt", weights_only=False)
    vae_config = json.loads((run / "vae.json").read_text())
    vae_config["latents_mean"] = dit["mean"].tolist()
    vae_config["latents_std"] = dit["std"].tolist()
    text_encoder = _part(dit["ema"], "text_encoder.")
    text_config = {**TEXT, "vocab_size": len(text_encoder["embed.weight"])}
    _write_network(out / "vae", vae["model"], vae_config, DIFFUSION)
    _write_network(out / "text_encoder", text_encoder, text_config, ENCODER)
    _write_network(out / "transformer", _part(dit["ema"], "transformer."), TRANSFORMER, DIFFUSION)
    (out / "tokenizer").mkdir(exist_ok=True)
    (out / "tokenizer" / "spiece.model").write_bytes((run / "spiece.model").read_bytes())
    index = {
        "_class_name": "FactoredPipeline",
        "vae": ["mlxvid", "FactoredVAE"],
        "text_encoder": ["mlxvid", "FactoredTextEncoder"],
        "tokenizer": ["mlxvid", "SentencePieceTokenizer"],
        "transformer": ["mlxvid", "FactoredTransformer"],
        # What it computes in, however its weights are stored: it is small, and every machine then
        # makes the same clip.
        "dtype": "float32",
        "defaults": DEFAULTS,
        "knows": {"words": words(), "say": SAY},
    }
    _write_json(out / "model_index.json", index)


def _part(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The weights whose names begin with `prefix`, without it."""
    part = {}
    for name, weight in weights.items():
        if name.startswith(prefix):
            part[name.removeprefix(prefix)] = weight
    return part


def _write_network(
    folder: Path, weights: dict[str, torch.Tensor], config: dict[str, Any], stem: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config)
    whole = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(whole, folder / f"{stem}.safetensors", {"format": "pt"})


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
