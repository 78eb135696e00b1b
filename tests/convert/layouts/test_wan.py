"""Wan 2.1 as released: converted without PyTorch, and the same as Diffusers' own conversion."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan, WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel
from diffusers.loaders.single_file_utils import (
    convert_wan_transformer_to_diffusers,
    convert_wan_vae_to_diffusers,
)
from mlx.utils import tree_flatten
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionModel, UMT5EncoderModel

import mlxvid
from mlxvid.convert import convert
from mlxvid.models import card_of
from mlxvid.weights import loading
from tests.models.wan import tiny as tiny_wan

from ..contents import bytes_in
from . import wan_modules, wan_release
from .torch_tensors import assert_same, tensors_in

KINDS = ("t2v", "i2v", "flf2v")
COMPONENTS = ("transformer", "vae", "text_encoder", "image_encoder")


@pytest.mark.parametrize("kind", KINDS)
def test_the_transformer_is_diffusers_own_conversion(kind, releases):
    _, modules, out = releases[kind]
    theirs = convert_wan_transformer_to_diffusers(dict(modules["transformer"].state_dict()))
    if kind == "flf2v":  # Diffusers' script for the released models renames this, the function not
        theirs["condition_embedder.image_embedder.pos_embed"] = theirs.pop("img_emb.emb_pos")
    assert_same(tensors_in(out / "transformer"), theirs)
    network = WanTransformer3DModel.from_pretrained(out / "transformer")
    assert network.config.num_attention_heads == 2
    assert network.config.attention_head_dim == 24
    assert_same(dict(network.state_dict()), theirs)


def test_the_vae_is_diffusers_own_conversion(releases):
    _, modules, out = releases["t2v"]
    theirs = convert_wan_vae_to_diffusers(dict(modules["vae"].state_dict()))
    assert_same(tensors_in(out / "vae"), theirs)
    network = AutoencoderKLWan.from_pretrained(out / "vae")
    assert_same(dict(network.state_dict()), theirs)
    # Diffusers' default config is the released VAE's, but for the width here.
    expected = {}
    for key, value in AutoencoderKLWan().config.items():
        if not key.startswith("_"):
            expected[key] = value
    expected["base_dim"] = 4
    assert {key: network.config[key] for key in expected} == expected


def test_the_text_encoder_computes_the_same_in_transformers(releases):
    _, modules, out = releases["t2v"]
    module = modules["text"].bfloat16().float()  # as the release stores it
    network = UMT5EncoderModel.from_pretrained(out / "text_encoder")
    ids = torch.arange(14).reshape(2, 7) * 5 % 70
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    with torch.no_grad():
        theirs = wan_modules.encode_text(module, ids, mask, wan_release.TINY_TEXT["heads"])
        ours = network(ids, attention_mask=mask.long()).last_hidden_state
    assert theirs.std() > 0.1
    assert (ours - theirs)[mask].abs().max() < 1e-4


def test_the_image_encoder_computes_the_same_in_transformers(releases):
    _, modules, out = releases["i2v"]
    network = CLIPVisionModel.from_pretrained(out / "image_encoder")
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = wan_modules.encode_image(modules["clip"], pixels, wan_release.TINY_CLIP["heads"])
        ours = network(pixels, output_hidden_states=True).hidden_states[-2]
    assert theirs.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-4
    for name in tensors_in(out / "image_encoder"):
        assert not name.startswith("textual") and "head" not in name


@pytest.mark.parametrize("kind", KINDS)
def test_mlxvid_loads_every_component(kind, releases):
    out = releases[kind].out
    card = card_of(out)
    components = loading.Components(card)
    index = json.loads((out / "model_index.json").read_text())
    assert index["_class_name"] == ("WanPipeline" if kind == "t2v" else "WanImageToVideoPipeline")
    for name in COMPONENTS[:3] if kind == "t2v" else COMPONENTS:
        network = components.network(name, card.family.parts[name])
        mx.eval(network.parameters())
        assert index[name][1] == type(network).__name__


@pytest.mark.parametrize("kind", ["t2v", "flf2v"])
def test_diffusers_and_mlxvid_make_the_same_frames_of_it(kind, releases, tmp_path):
    source = shutil.copytree(releases[kind].source, tmp_path / "source")
    tokenizer = source / "google" / "umt5-xxl"
    shutil.rmtree(tokenizer)
    tiny_wan.tokenizer().save_pretrained(tokenizer)
    out = convert(source, tmp_path / "out", "float32")
    images = []
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 48, 3), np.uint8)
        images.append(Image.fromarray(pixels))
    settings = dict(negative_prompt="blurry", width=48, height=32)
    if kind != "t2v":
        settings |= dict(image=images[0], last_image=images[1])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, wan_modules.CHANNELS, 2, 4, 6, generator=generator)

    cls = WanPipeline if kind == "t2v" else WanImageToVideoPipeline
    reference = cls.from_pretrained(out)
    reference.set_progress_bar_config(disable=True)
    theirs = reference(
        prompt="a red ball",
        num_frames=5,
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=noise,
        output_type="np",
        **settings,
    ).frames[0]
    clip = mlxvid.load(str(out)).generate(
        "a red ball",
        frames=5,
        steps=3,
        guidance=3.0,
        latents=noise.numpy(),
        shift=reference.scheduler.config.flow_shift,
        **settings,
    )
    assert theirs.std() > 0.1
    assert np.abs(clip.frames - theirs * 255).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_files_beside_the_weights(kind, releases):
    out = releases[kind].out
    tokenizer = {path.name for path in (out / "tokenizer").iterdir()}
    assert tokenizer == {"spiece.model", "tokenizer_config.json"}
    scheduler = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["_class_name"] == "UniPCMultistepScheduler"
    assert scheduler["use_flow_sigmas"] is True
    assert scheduler["prediction_type"] == "flow_prediction"
    assert scheduler["flow_shift"] == {"t2v": 3.0, "i2v": 5.0, "flf2v": 16.0}[kind]
    assert (out / "image_processor" / "preprocessor_config.json").is_file() == (kind != "t2v")
    assert not list(out.rglob("*.part")) and not list(out.parent.glob(".converting-*"))


@pytest.mark.parametrize(
    ("name", "shift", "height"),
    [("Wan2.1-I2V-14B-480P", 3.0, 480), ("Wan2.1-I2V-14B-720P", 5.0, 720)],
)
def test_the_noise_schedule_of_image_models_follows_the_folders_name(
    name, shift, height, releases, tmp_path, caplog
):
    source = shutil.copytree(releases["i2v"].source, tmp_path / name)
    caplog.set_level("INFO", "mlxvid")
    out = convert(source, tmp_path / "out")
    scheduler = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["flow_shift"] == shift
    assert card_of(out).defaults.height == height
    recognised, text_tower, float32 = caplog.messages
    assert "Wan 2.1, image to video" in recognised and f"flow shift {shift:g}" in recognised
    assert f"text tower of {wan_release.VISION_FILE}" in text_tower
    assert "float32" in float32 and "vae, image_encoder" in float32


def test_types_follow_the_model(releases, tmp_path):
    out = convert(releases["i2v"].source, tmp_path / "out", "bfloat16")
    for component, dtype in (
        ("vae", torch.float32),
        ("image_encoder", torch.float32),
        ("text_encoder", torch.bfloat16),
    ):
        assert {tensor.dtype for tensor in tensors_in(out / component).values()} == {dtype}
    exact = {"time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"}
    for name, tensor in tensors_in(out / "transformer").items():
        is_exact = not exact.isdisjoint(name.split("."))
        assert tensor.dtype == (torch.float32 if is_exact else torch.bfloat16), name


def test_quantized_it_is_what_load_makes_of_the_unquantized(releases, tmp_path):
    source = shutil.copytree(releases["t2v"].source, tmp_path / "source")
    for file in source.glob("diffusion_pytorch_model*"):
        file.unlink()
    (source / "config.json").unlink()  # 128 is one head of the size that Wan's always have
    sizes = {**wan_release.TINY, "dim": 128, "ffn": 192}
    module = wan_modules.randomised(wan_modules.transformer("t2v", **sizes), 5)
    save_file(module.state_dict(), source / "wan.safetensors")
    plain = convert(source, tmp_path / "plain", "float32")
    quantized = convert(source, tmp_path / "quantized", "float32", quantize=4)
    loaded = loading.Components(card_of(plain), quantize=4)
    converted = loading.Components(card_of(quantized))
    parts = card_of(plain).family.parts
    for name in ("transformer", "text_encoder"):
        theirs = dict(tree_flatten(loaded.network(name, parts[name]).parameters()))
        ours = dict(tree_flatten(converted.network(name, parts[name]).parameters()))
        assert ours.keys() == theirs.keys()
        for key, array in ours.items():
            assert mx.array_equal(array, theirs[key]), key
        scales = [key.removesuffix("scales") for key in ours if key.endswith("scales")]
        assert scales and not any("embed" in key for key in scales)


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "safetensors", "diffusers", "transformers"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Block())
from mlxvid.convert.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["i2v", "flf2v"])  # the legacy form and the zip form
def test_torch_is_not_needed(kind, releases, tmp_path):
    out = tmp_path / "out"
    arguments = [str(releases[kind].source), "--out", str(out), "--dtype", "float32"]
    command = [sys.executable, "-c", BLOCKED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert bytes_in(out) == bytes_in(releases[kind].out)


def test_files_repackaged_for_comfyui(releases, tmp_path):
    _, modules, out = releases["i2v"]
    folder = tmp_path / "comfy"
    for name in ("diffusion_models", "text_encoders", "vae", "clip_vision"):
        (folder / name).mkdir(parents=True)
    prefixed = {}
    for name, tensor in modules["transformer"].state_dict().items():
        prefixed[f"model.diffusion_model.{name}"] = tensor
    save_file(prefixed, folder / "diffusion_models" / "wan2.1_i2v.safetensors")
    (folder / "diffusion_models" / "config.json").write_text(json.dumps({"num_heads": 2}))
    save_file(modules["vae"].state_dict(), folder / "vae" / "wan_2.1_vae.safetensors")
    text = tensors_in(out / "text_encoder")
    text["spiece_model"] = torch.from_numpy(np.frombuffer(b"pieces", np.uint8).copy())
    save_file(text, folder / "text_encoders" / "umt5.safetensors")
    vision = tensors_in(out / "image_encoder")
    vision["visual_projection.weight"] = torch.ones(24, 160)
    save_file(vision, folder / "clip_vision" / "clip_vision_h.safetensors")

    again = convert(folder, tmp_path / "out", "float32")
    assert (again / "tokenizer" / "spiece.model").read_bytes() == b"pieces"
    for component in COMPONENTS:
        assert_same(tensors_in(again / component), tensors_in(out / component))
        ours = json.loads((again / component / "config.json").read_text())
        assert ours == json.loads((out / component / "config.json").read_text())


def test_a_scaled_fp8_transformer(releases, tmp_path):
    source = shutil.copytree(releases["t2v"].source, tmp_path / "source")
    stored = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    expected = {}
    for name, weight in releases["t2v"].modules["transformer"].state_dict().items():
        if not name.startswith("blocks.") or weight.ndim != 2:
            stored[name] = expected[name] = weight
            continue
        scale = weight.abs().max() / 448
        stored[name] = (weight / scale).to(torch.float8_e4m3fn)
        stored[f"{name.removesuffix('weight')}scale_weight"] = scale
        expected[name] = stored[name].float() * scale
    for file in source.glob("diffusion_pytorch_model*"):
        file.unlink()
    save_file(stored, source / "wan2.1_fp8_e4m3fn_scaled.safetensors")
    out = convert(source, tmp_path / "out", "float32")
    assert_same(tensors_in(out / "transformer"), convert_wan_transformer_to_diffusers(expected))
