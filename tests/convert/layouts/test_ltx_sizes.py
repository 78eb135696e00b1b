"""Every tensor of LTX-Video's real single files has its place: Diffusers' classes on the meta
device, by the release's names.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from transformers import T5Config, T5EncoderModel

from mlxvid.catalog import CATALOG
from mlxvid.convert import families
from mlxvid.convert.fitting import write_plan
from mlxvid.convert.layouts import ltx
from mlxvid.convert.release import WeightFile
from mlxvid.weights.tensors import Tensor
from tests.models.ltx.reference import COUNTS, RELEASED

from . import ltx_release

LARGE = dict(num_layers=48, attention_head_dim=128, cross_attention_dim=4096)
# Tensors of the transformers; those of the VAEs without the two that are no parameters.
TRANSFORMERS = {"2B": ({}, 715), "13B": (LARGE, 1215)}
XXL = dict(
    vocab_size=32128,
    d_model=4096,
    d_ff=10240,
    d_kv=64,
    num_heads=64,
    num_layers=24,
    feed_forward_proj="gated-gelu",
)
FILES = {
    "ltx-video-0.9.0": ("ltx-video-2b-v0.9", "2B", "A"),
    "ltx-video-0.9.1": ("ltx-video-2b-v0.9.1", "2B", "B"),
    "ltxv-2b-0.9.6-distilled": ("ltxv-2b-0.9.6-distilled-04-25", "2B", "C"),
    "ltxv-13b-0.9.8-dev": ("ltxv-13b-0.9.8-dev", "13B", "C"),
}


def stand_ins(tensors, path: str, prefix: str) -> WeightFile:
    """A weight file with tensors of these shapes, which take no memory."""
    made = {}
    for name, tensor in tensors.items():
        made[name] = Tensor(np.broadcast_to(np.float32(0), tensor.shape), "float32", name)
    return WeightFile(path, made, (prefix,))


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_of_a_real_file_has_its_place(name, tmp_path):
    file, size, generation = FILES[name]
    (tmp_path / "spiece.model").write_bytes(b"pieces")
    sizes, count = TRANSFORMERS[size]
    with torch.device("meta"):
        network = LTXVideoTransformer3DModel(**sizes)
        vae = AutoencoderKLLTXVideo(**RELEASED[generation])
        text = T5EncoderModel(T5Config(**XXL))
    theirs = {"transformer": network.state_dict(), "vae": vae.state_dict()}
    path = f"{file}.bin"  # whose metadata nobody looks for
    files = [
        stand_ins(ltx_release.original_transformer(theirs["transformer"]), path, "diffusion_model"),
        stand_ins(ltx_release.original_vae(theirs["vae"]), path, "vae"),
        stand_ins(text.state_dict(), "t5xxl_fp16.safetensors", ""),
    ]
    release = ltx.read_release(tmp_path, files)
    assert release.index["ltx_release"] == CATALOG[name].recipe.release
    components = {component.name: component for component in release.components}
    for part, tensors in theirs.items():
        shapes = {key: tensor.shape for key, tensor in components[part].tensors.items()}
        assert shapes == {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    assert len(theirs["transformer"]) == count
    assert len(theirs["vae"]) == COUNTS[generation][1]

    for component in release.components:
        write_plan(component, families.family_of(release.index["_class_name"]), "bfloat16", None)
    config = components["vae"].config
    for key, value in RELEASED[generation].items():
        assert config[key] == (list(value) if isinstance(value, tuple) else value), key
    for key in ("num_attention_heads", "attention_head_dim", "num_layers", "cross_attention_dim"):
        assert components["transformer"].config[key] == network.config[key]
    for part, module in (("transformer", network), ("vae", vae), ("text_encoder", text)):
        parameters = sum(p.numel() for p in (*module.parameters(), *module.buffers()))
        assert CATALOG[name].parameters[part] == parameters
