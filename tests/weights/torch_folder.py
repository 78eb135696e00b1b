"""A model's folder with its weights rewritten as ``torch.save`` writes them."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch


def tensors_of(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file."""
    return {name: torch.from_numpy(np.array(array)) for name, array in mx.load(str(file)).items()}


def rewrite(
    folder: Path,
    *,
    form: str = "zip",
    ending: str = "bin",
    names: int = 1,
    dtype: torch.dtype | None = None,
) -> Path:
    """Replace every safetensors file in `folder` by `names` of PyTorch's; returns `folder`.

    Several come with an index. form: "zip" or "legacy". dtype: of the new weights, as they are for
    None.
    """
    for file in list(folder.glob("*/*.safetensors")):
        tensors = {name: tensor.to(dtype) for name, tensor in tensors_of(file).items()}
        stem = "pytorch_model" if file.stem == "model" else file.stem
        keys = sorted(tensors)
        files = {
            f"{stem}-{n + 1:05d}-of-{names:05d}.{ending}": keys[n::names] for n in range(names)
        }
        if names == 1:
            files = {f"{stem}.{ending}": keys}
        else:
            table = {name: shard for shard, inside in files.items() for name in inside}
            (file.parent / f"{stem}.{ending}.index.json").write_text(
                json.dumps({"metadata": {}, "weight_map": table})
            )
        for name, inside in files.items():
            saved = {key: tensors[key] for key in inside}
            torch.save(saved, file.parent / name, _use_new_zipfile_serialization=form == "zip")
        file.unlink()
    return folder
