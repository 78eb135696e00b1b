"""What the tests' hub has: a tiny model and what lies beside such files on the hub."""

from __future__ import annotations

REPO = "org/tiny"


VAE = "vae/diffusion_pytorch_model.safetensors"


TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


REQUIRED = {
    "model_index.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/spiece.model",
    "transformer/config.json",
    TRANSFORMER,
    "vae/config.json",
    VAE,
}


DECOYS = {
    "README.md": b"read me",
    ".gitattributes": b"*",
    "LICENSE": b"free",
    "assets/clip.mp4": b"film",
    "examples/example.json": b"{}",
    "whole.safetensors": b"all in one",
    "config.json": b"{}",
    "vae/extra.png": b"picture",
    "vae/old/config.json": b"{}",
    "transformer/diffusion_pytorch_model.fp16.safetensors": b"half",
    "text_encoder/pytorch_model.bin": b"pickle",
    "safety_checker/config.json": b"{}",
    "safety_checker/model.safetensors": b"prude",
}


def sentence_of(error) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and "Error" not in text
    return text


def parts(tmp_path) -> list[int]:
    return [path.stat().st_size for path in (tmp_path / "hub").glob("*/blobs/*.incomplete")]
