"""Tiny releases of Wan 2.1 with random weights, and the sizes of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from . import wan_modules
from .wan_modules import randomised

VAE_FILE = "Wan2.1_VAE.pth"
TEXT_FILE = "models_t5_umt5-xxl-enc-bf16.pth"
VISION_FILE = "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
SHARDS = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
TINY = dict(dim=48, heads=2, ffn=80, layers=2, freq=32, text=64, image=160, places=10)
TINY_TEXT = dict(vocabulary=70, dim=64, attention=64, ffn=96, heads=4, layers=2, buckets=8)
TINY_CLIP = dict(dim=160, heads=2, layers=3, side=28, out=24)
REAL = {
    "t2v-1.3b": dict(
        dim=1536, heads=12, ffn=8960, layers=30, freq=256, text=4096, image=1280, places=514
    ),
    "14b": dict(
        dim=5120, heads=40, ffn=13824, layers=40, freq=256, text=4096, image=1280, places=514
    ),
}
REAL_TEXT = dict(
    vocabulary=256384, dim=4096, attention=4096, ffn=10240, heads=64, layers=24, buckets=32
)
REAL_CLIP = dict(dim=1280, heads=16, layers=32, side=224, out=1024)


def write_release(folder: Path, kind: str, zipped: bool = True) -> dict[str, nn.Module]:
    """Write a tiny release to `folder`, under its files' own names; returns its modules.

    kind: "t2v", "i2v" or "flf2v". zipped: whether PyTorch's files have the zip or the legacy form.
    """
    modules = {
        "transformer": randomised(wan_modules.transformer(kind, **TINY), 1),
        "vae": randomised(wan_modules.vae(4), 2),
        "text": randomised(wan_modules.text_encoder(**TINY_TEXT), 3),
    }
    tokenizer = folder / "google" / "umt5-xxl"
    tokenizer.mkdir(parents=True)
    (tokenizer / "spiece.model").write_bytes(b"pieces")
    (tokenizer / "tokenizer_config.json").write_text("{}")
    config = {
        "_class_name": "WanModel",
        "dim": TINY["dim"],
        "num_heads": TINY["heads"],
        "eps": 1e-6,
        "model_type": kind,
    }
    (folder / "config.json").write_text(json.dumps(config))
    _save_shards(folder, modules["transformer"].state_dict())
    _save_torch(folder / VAE_FILE, modules["vae"].state_dict(), zipped)
    text = {name: weight.bfloat16() for name, weight in modules["text"].state_dict().items()}
    _save_torch(folder / TEXT_FILE, text, zipped)
    if kind != "t2v":
        modules["clip"] = randomised(wan_modules.clip(**TINY_CLIP), 4)
        _save_torch(folder / VISION_FILE, modules["clip"].state_dict(), zipped)
        (folder / "xlm-roberta-large").mkdir()
        (folder / "xlm-roberta-large" / "tokenizer.json").write_text("{}")
    return modules


def _save_torch(path: Path, tensors: dict[str, torch.Tensor], zipped: bool) -> None:
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)


def _save_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    names = sorted(tensors)
    weight_map = {}
    for n, file in enumerate(SHARDS):
        save_file({name: tensors[name] for name in names[n::2]}, folder / file)
        weight_map.update(dict.fromkeys(names[n::2], file))
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
