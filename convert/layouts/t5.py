"""T5 encoders by transformers' names, which several layouts have: config and tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.weights.tensors import Tensor

from ..release import Component, WeightFile, block_count, files_with, shape_of, single
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
EMBEDDING = "shared.weight"
# The same, as the encoder alone may have it.
TWIN = "encoder.embed_tokens.weight"


def encoder_file(files: Sequence[WeightFile], what: str, remedy: str) -> WeightFile:
    """The only T5 among the files, which is no UMT5; raises as :func:`single` does."""
    found = files_with(files, BIAS_MARKS)
    return single([file for file in found if UMT5_BIAS not in file.tensors], what, remedy)


def text_encoder(folder: Path, file: WeightFile) -> Component:
    """T5's encoder, without the decoder that whole models have; its config.json is the one beside
    it, or follows from its shapes.
    """
    tensors = {}
    for name, tensor in file.tensors.items():
        if name.startswith(("shared.", "encoder.")):
            tensors[name] = tensor
    if TWIN in tensors:
        tensors.setdefault(EMBEDDING, tensors.pop(TWIN))
    path = (folder / file.path).parent / "config.json"
    own = read_json(path) if path.is_file() else {}
    # A folder of ComfyUI's has files of many models, and a config.json of another one or none.
    if own.get("model_type") != "t5":
        own = encoder_config(tensors, model_type="t5", architecture="T5EncoderModel")
    return Component("text_encoder", own, tensors, "model", folder)


def tokenizer(folder: Path, source: str, remedy: str) -> dict[str, Path]:
    """T5's tokenizer's files anywhere in `folder`, by their path in the new model's folder.

    source: whose it is, for the message. Raises :class:`WeightsError` where there is none.
    """
    paths = list(files_in(folder))
    for path in paths:
        if path.name == "spiece.model":
            return tokenizer_files(path.parent)
    for path in paths:
        if path.name == "tokenizer.json" and path.parent.name in ("tokenizer", "text_encoder"):
            return tokenizer_files(path.parent)
    raise WeightsError(f"There is no tokenizer in {folder} (spiece.model of {source}); {remedy}.")


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


def tokenizer_files(folder: Path) -> dict[str, Path]:
    """The tokenizer's files that `folder` has, by their path in the new model's folder."""
    files = {}
    for name in TOKENIZER_FILES:
        if (folder / name).is_file():
            files[f"tokenizer/{name}"] = folder / name
    return files
