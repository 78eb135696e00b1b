"""Open-Sora 1.2 as released: its components stay as they are, and get a model_index.json.

A release is a folder that holds, anywhere in it, the transformer (hpcai-tech/OpenSora-STDiT-v3),
the VAE (hpcai-tech/OpenSora-VAE-v1.2) and T5's encoder with its tokenizer (DeepFloyd/t5-v1_1-xxl).
Each has its config.json beside it, or without one a size that was released. Files may have any
names and be PyTorch's or safetensors: they are recognised by their tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlxvid.json_files import read_json

from ..release import Component, Release, WeightFile, files_with, left_out, single
from . import t5

TRANSFORMER_MARKS = frozenset(
    {
        "x_embedder.proj.weight",
        "fps_embedder.mlp.0.weight",
        "temporal_blocks.0.attn.qkv.weight",
        "y_embedder.y_embedding",
    }
)
VAE_MARKS = frozenset(
    {"spatial_vae.module.encoder.conv_in.weight", "temporal_vae.encoder.conv_in.conv.weight"}
)
REMEDY = "download it into a folder beside the others"


def recognises(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is Open-Sora's transformer."""
    return bool(files_with(files, TRANSFORMER_MARKS))


def has_part(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is Open-Sora's VAE."""
    return bool(files_with(files, VAE_MARKS))


def read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where a component is missing or is there twice.
    """
    transformer = single(
        files_with(files, TRANSFORMER_MARKS), "transformer of Open-Sora 1.2", REMEDY
    )
    vae = single(
        files_with(files, VAE_MARKS), f"VAE in {folder} (hpcai-tech/OpenSora-VAE-v1.2)", REMEDY
    )
    text = t5.encoder_file(files, f"text encoder in {folder} (DeepFloyd/t5-v1_1-xxl)", REMEDY)

    stem = "diffusion_pytorch_model"
    components = [
        Component("transformer", _config(folder, transformer), transformer.tensors, stem, folder),
        Component("vae", _config(folder, vae), vae.tensors, stem, folder),
        t5.text_encoder(folder, text),
    ]
    return Release(
        title="Open-Sora 1.2",
        index={"_class_name": "OpenSoraPipeline"},
        components=components,
        files=t5.tokenizer(folder, "DeepFloyd/t5-v1_1-xxl", REMEDY),
        notes=left_out(files, used=(transformer, vae, text)),
    )


def _config(folder: Path, file: WeightFile) -> dict[str, Any]:
    """The config.json beside a weight file; empty where there is none."""
    path = (folder / file.path).parent / "config.json"
    return read_json(path) if path.is_file() else {}
