"""A training run from a model folder, to train published weights further."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from .train_vae import CONFIG


def restore(model: Path, run: Path) -> None:
    """Make `run` as the training leaves it, from the networks in `model`.

    The optimizers begin anew. Raises FileExistsError where `run` has checkpoints of its own.
    """
    if (run / "vae.pt").exists() or (run / "dit.pt").exists():
        raise FileExistsError(
            f"{run} has checkpoints already; name another folder, or resume them without --start."
        )
    run.mkdir(parents=True, exist_ok=True)
    weights = {part: _load(model / part) for part in ("vae", "text_encoder", "transformer")}
    config = json.loads((model / "vae" / "config.json").read_text())
    sizes = {name: config[name] for name in CONFIG}
    (run / "vae.json").write_text(json.dumps(sizes))
    torch.save({"model": weights["vae"], "optimizer": None, "step": 0}, run / "vae.pt")
    shutil.copy(model / "tokenizer" / "spiece.model", run / "spiece.model")
    dit = {}
    for part in ("text_encoder", "transformer"):
        for name, weight in weights[part].items():
            dit[f"{part}.{name}"] = weight
    state = {
        "model": dit,
        "ema": dit,
        "optimizer": None,
        "step": 0,
        "mean": torch.tensor(config["latents_mean"]),
        "std": torch.tensor(config["latents_std"]),
    }
    torch.save(state, run / "dit.pt")


def _load(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return {name: weight.float() for name, weight in load_file(file).items()}
