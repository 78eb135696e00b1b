"""Open-Sora 1.2 as released -> the folder that mlxvid loads: model_index.json and the parts as they
are.

A release is a folder that holds, anywhere in it, the transformer (hpcai-tech/OpenSora-STDiT-v3),
the VAE (hpcai-tech/OpenSora-VAE-v1.2) and T5's encoder with its tokenizer (DeepFloyd/t5-v1_1-xxl),
each with its config.json beside it, or without one a size that was released. Any names will do, and
PyTorch's files as well as safetensors: the tensors say what a file is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.model.folder import read_json

from . import wan_encoders
from .layouts import Component, Model, WeightFile, only
from .sources import files_in
from .wan import TOKENIZER_FILES

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
# UMT5 has a table of biases in every block, T5 in the first alone.
TEXT_MARKS, NO_TEXT_MARKS = (
    frozenset({"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"}),
    frozenset({"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"}),
)
T5 = {"architectures": ["T5EncoderModel"], "model_type": "t5", "scalable_attention": False}
REMEDY = "download it into a folder beside the others"


def recognises(files: list[WeightFile]) -> bool:
    """Whether one of the files is Open-Sora's transformer."""
    return any(file.tensors.keys() >= TRANSFORMER_MARKS for file in files)


def model(folder: Path, files: list[WeightFile]) -> Model:
    """The model in `folder`. Raises :class:`WeightsError` where a part of it is missing or is there
    twice.
    """
    transformer = only(
        (f for f in files if f.tensors.keys() >= TRANSFORMER_MARKS),
        "transformer of Open-Sora 1.2",
        REMEDY,
    )
    vae = only(
        (f for f in files if f.tensors.keys() >= VAE_MARKS),
        f"VAE in {folder} (hpcai-tech/OpenSora-VAE-v1.2)",
        REMEDY,
    )
    encoder = f"text encoder in {folder} (DeepFloyd/t5-v1_1-xxl)"
    text = only(
        (
            f
            for f in files
            if f.tensors.keys() >= TEXT_MARKS and not f.tensors.keys() & NO_TEXT_MARKS
        ),
        encoder,
        REMEDY,
    )
    components = [
        Component(
            "transformer",
            _config(folder, transformer),
            transformer.tensors,
            "diffusion_pytorch_model",
            folder,
        ),
        Component("vae", _config(folder, vae), vae.tensors, "diffusion_pytorch_model", folder),
        Component(
            "text_encoder",
            _config(folder, text) or {**wan_encoders.text_config(text.tensors), **T5},
            text.tensors,
            "model",
            folder,
        ),
    ]
    notes = [
        f"Left out: {f.path}, which is no part of this model."
        for f in files
        if f not in (transformer, vae, text)
    ]
    return Model(
        "Open-Sora 1.2", {"_class_name": "OpenSoraPipeline"}, components, _tokenizer(folder), notes
    )


def _config(folder: Path, file: WeightFile) -> dict[str, Any]:
    """The config.json beside a weight file; empty where there is none."""
    path = (folder / file.path).parent / "config.json"
    return read_json(path) if path.is_file() else {}


def _tokenizer(folder: Path) -> dict[str, Path]:
    """The tokenizer's files by their path in the new folder."""
    home = next((path.parent for path in files_in(folder) if path.name == "spiece.model"), None)
    if home is None:
        raise WeightsError(
            f"There is no tokenizer in {folder} (spiece.model of DeepFloyd/t5-v1_1-xxl); {REMEDY}."
        )
    return {f"tokenizer/{name}": home / name for name in TOKENIZER_FILES if (home / name).is_file()}
