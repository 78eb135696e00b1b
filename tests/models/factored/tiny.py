"""A tiny factored model with random weights, in the very layout of the real one: quick to make,
quick to run.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import mlx.core as mx
import sentencepiece
from mlx.utils import tree_flatten

from mlxvid.models.factored.config import TextConfig, TransformerConfig, VAEConfig
from mlxvid.models.factored.text import FactoredTextEncoder
from mlxvid.models.factored.transformer import FactoredTransformer
from mlxvid.models.factored.vae import FactoredVAE

VAE = dict(
    latent_channels=4,
    patch_size=4,
    patch_size_t=4,
    block_channels=[8, 12],
    encoder_layers=[1, 2],
    decoder_layers=[2, 1],
)
TEXT = dict(vocab_size=64, hidden_size=64, num_layers=1, attention_head_dim=64, max_length=16)
TRANSFORMER = dict(
    in_channels=4,
    patch_size=2,
    patch_size_t=1,
    hidden_size=64,
    num_layers=2,
    attention_head_dim=64,
    text_dim=64,
)
DEFAULTS = dict(width=32, height=32, frames=9, fps=8.0, steps=3, guidance=2.0)


def write_model(folder: Path, seed: int = 0) -> Path:
    """Write the model to `folder` in the Diffusers layout and return it."""
    mx.random.seed(seed)
    networks = {"vae": (FactoredVAE(VAEConfig(**VAE)), VAE, "diffusion_pytorch_model")}
    networks["text_encoder"] = (FactoredTextEncoder(TextConfig(**TEXT)), TEXT, "model")
    networks["transformer"] = (
        FactoredTransformer(TransformerConfig(**TRANSFORMER)),
        TRANSFORMER,
        "diffusion_pytorch_model",
    )
    for name, (network, config, stem) in networks.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config))
        weights = {}
        for key, weight in tree_flatten(network.parameters()):
            as_in_pytorch = mx.moveaxis(weight, -1, 1) if weight.ndim > 2 else weight
            weights[key] = mx.contiguous(as_in_pytorch)
        file = folder / name / f"{stem}.safetensors"
        mx.save_safetensors(str(file), weights, {"format": "pt"})
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(
            ["a red ball moving left", "a blue star on a white background", "two green rings"] * 4
        ),
        model_writer=model,
        vocab_size=TEXT["vocab_size"],
        model_type="bpe",
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(model.getvalue())
    knows = {
        "words": "a red blue green ball star rings moving left on white background two".split(),
        "say": "It knows balls and stars.",
    }
    index = {"_class_name": "FactoredPipeline", "defaults": DEFAULTS, "knows": knows}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
