"""Step four of training mini: the trained networks as a model folder that mlxvid loads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import world
from .dit_torch import TEXT, TRANSFORMER

DEFAULTS = dict(width=96, height=96, frames=33, fps=16.0, steps=20, guidance=3.0)
SAY = (
    "The embedded model draws one plain shape (ball, square, triangle, star, ring, cross) in one of eight colours that moves in one way, "
    "as in 'a small red ball bouncing on a navy background'; "
    "for anything else a larger model is needed, and --list-models shows those that can be loaded."
)
GRAMMAR = (
    "a an the on past to of small medium large background colour color shape light its".split()
)


def words() -> list[str]:
    """Every word of the drawn world's captions."""
    found = {
        *GRAMMAR,
        *world.COLOURS,
        *world.SHAPES,
        *world.BACKGROUNDS,
        "left",
        "right",
        "pans",
        "camera",
    }
    for phrases in world.MOTIONS.values():
        for phrase in phrases:
            found.update(phrase.split())
    return sorted(found)


def export(run: Path, out: Path) -> None:
    """Write the averaged weights of `run` to `out` in the Diffusers layout, float32, names and axes
    as in PyTorch.
    """
    finished = run / "decoder.pt"
    vae = torch.load(finished if finished.exists() else run / "vae.pt")
    dit = torch.load(run / "dit.pt", weights_only=False)
    config = json.loads((run / "vae.json").read_text())
    config["latents_mean"], config["latents_std"] = (dit[k].tolist() for k in ("mean", "std"))
    part = lambda prefix: {
        k.removeprefix(prefix): v for k, v in dit["ema"].items() if k.startswith(prefix)
    }  # noqa: E731
    text = {**TEXT, "vocab_size": len(part("text_encoder.")["embed.weight"])}
    networks = {
        "vae": (vae["model"], config, "diffusion_pytorch_model"),
        "text_encoder": (part("text_encoder."), text, "model"),
        "transformer": (part("transformer."), TRANSFORMER, "diffusion_pytorch_model"),
    }
    for name, (weights, config, stem) in networks.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        save_file(
            {k: v.contiguous() for k, v in weights.items()},
            out / name / f"{stem}.safetensors",
            {"format": "pt"},
        )
    (out / "tokenizer").mkdir(exist_ok=True)
    (out / "tokenizer" / "spiece.model").write_bytes((run / "spiece.model").read_bytes())
    index = {
        "_class_name": "FactoredPipeline",
        "vae": ["mlxvid", "FactoredVAE"],
        "text_encoder": ["mlxvid", "FactoredTextEncoder"],
        "tokenizer": ["mlxvid", "SentencePieceTokenizer"],
        "transformer": ["mlxvid", "FactoredTransformer"],
        "dtype": "float32",  # what it computes in, however its weights are stored: it is small, and every machine then makes the same clip
        "defaults": DEFAULTS,
        "knows": {"words": words(), "say": SAY},
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
