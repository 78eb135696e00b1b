"""A tiny Open-Sora model in the layout that mlxvid loads: the golden data's transformer and VAE,
and a random T5.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
import sentencepiece
from mlx.utils import tree_flatten

from mlxvid.text.t5 import T5EncoderModel
from mlxvid.text.t5_config import T5Config

GOLDEN = Path(__file__).parents[2] / "golden" / "opensora12"
VARIANT = "stdit3_c"
WORDS = [
    "a red ball moving left",
    "a blue star on a white background",
    "aesthetic score: 6.5. motion score: 3.0. camera motion: pan left.",
]
PIECES = 90
TEXT = dict(
    vocab_size=PIECES + 100,
    d_model=24,
    d_kv=8,
    d_ff=32,
    num_layers=2,
    num_heads=3,
    feed_forward_proj="gated-gelu",
)
DEFAULTS = dict(width=48, height=32, frames=17, fps=24.0, steps=2, guidance=7.0)


def vae_config() -> dict:
    """The golden VAE's sizes, which are in three groups, as mlxvid has them."""
    golden = json.loads((GOLDEN / "vae.config.json").read_text())
    sizes = {
        k: golden["autoencoder_kl"][k]
        for k in ("block_out_channels", "layers_per_block", "norm_num_groups")
    }
    return {**sizes, **golden["vae_temporal"], "micro_frame_size": golden["micro_frame_size"]}


def random_text_encoder(seed: int = 3) -> dict[str, mx.array]:
    """Every weight of a T5, by transformers' names."""
    numbers = np.random.default_rng(seed)
    weights = {}
    for name, weight in tree_flatten(T5EncoderModel(T5Config(**TEXT)).parameters()):
        spread = 0.1 if weight.ndim == 1 else weight.shape[-1] ** -0.5
        values = numbers.standard_normal(weight.shape).astype(np.float32) * spread
        weights[name] = mx.array(values + 1 if name.endswith("norm.weight") else values)
    return weights


def write_tokenizer(folder: Path, words: list[str] = WORDS, pieces: int = PIECES) -> None:
    """A T5 tokenizer over the pieces of a few captions."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words * 4),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())


def write_parts(folder: Path) -> dict[str, Path]:
    """The three downloads that the release consists of, each as its repository is; by component."""
    parts = {name: folder / name for name in ("transformer", "vae", "text_encoder")}
    for path in parts.values():
        path.mkdir(parents=True)
    shutil.copy(GOLDEN / f"{VARIANT}.config.json", parts["transformer"] / "config.json")
    shutil.copy(
        GOLDEN / f"{VARIANT}.weights.safetensors", parts["transformer"] / "model.safetensors"
    )
    (parts["vae"] / "config.json").write_text(json.dumps(vae_config()))
    shutil.copy(GOLDEN / "vae.weights.safetensors", parts["vae"] / "model.safetensors")
    (parts["text_encoder"] / "config.json").write_text(
        json.dumps({"architectures": ["T5EncoderModel"], "model_type": "t5", **TEXT})
    )
    mx.save_safetensors(
        str(parts["text_encoder"] / "model.safetensors"), random_text_encoder(), {"format": "pt"}
    )
    write_tokenizer(parts["text_encoder"])
    return parts


def write_model(folder: Path) -> Path:
    """Write the whole model to `folder` and return it."""
    write_parts(folder)
    write_tokenizer(folder / "tokenizer")
    (folder / "text_encoder" / "spiece.model").unlink()
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "OpenSoraPipeline", "defaults": DEFAULTS})
    )
    return folder
