"""T5 encoders by transformers' names, which several layouts have: config and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlxvid.json_files import read_json
from mlxvid.weights.tensors import Tensor

from ..release import WeightFile, block_count, shape_of
from ..sources import files_in

TOKENIZER_FILES = (
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
BIAS_MARKS = frozenset({"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"})
# UMT5 has a table of biases in every block, T5 in the first alone.
UMT5_BIAS = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"


def encoder_config(
    tensors: Mapping[str, Tensor], *, model_type: str, architecture: str
) -> dict[str, Any]:
    """The config.json of a T5 v1.1 or UMT5 encoder ("t5" or "umt5"), from the tensors' shapes."""
    attention = "encoder.block.0.layer.0.SelfAttention"
    vocabulary, width = shape_of(tensors, "shared.weight", 2)
    buckets, heads = shape_of(tensors, f"{attention}.relative_attention_bias.weight", 2)
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": shape_of(tensors, f"{attention}.q.weight", 2)[0] // heads,
        "d_ff": shape_of(tensors, "encoder.block.0.layer.1.DenseReluDense.wo.weight", 2)[1],
        "num_layers": block_count(tensors, "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
        "dense_act_fn": "gelu_new",
        "is_gated_act": True,
        "layer_norm_epsilon": 1e-06,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        "tie_word_embeddings": False,
        "scalable_attention": model_type == "umt5",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }


def config_of(folder: Path, file: WeightFile) -> dict[str, Any]:
    """The config.json of a T5 v1.1 encoder: the one beside its weights, or from their shapes."""
    path = (folder / file.path).parent / "config.json"
    if path.is_file():
        return read_json(path)
    return encoder_config(file.tensors, model_type="t5", architecture="T5EncoderModel")


def tokenizer_in(folder: Path) -> dict[str, Path]:
    """The files of the first tokenizer anywhere in `folder`, as :func:`tokenizer_files` has them;
    empty where there is none.
    """
    for path in files_in(folder):
        if path.name == "spiece.model":
            return tokenizer_files(path.parent)
    return {}


def tokenizer_files(folder: Path) -> dict[str, Path]:
    """The tokenizer's files that `folder` has, by their path in the new model's folder."""
    files = {}
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            files[f"tokenizer/{name}"] = folder / name
    return files
