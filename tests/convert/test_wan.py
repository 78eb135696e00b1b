"""Wan 2.1 as released: recognised by its tensors, converted without PyTorch, and the same as
Diffusers' own conversion.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

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
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModel, UMT5EncoderModel

import mlxvid
from mlxvid.convert import convert, fitting, wan
from mlxvid.convert.__main__ import main
from mlxvid.convert.layouts import WeightFile
from mlxvid.errors import WeightsError
from mlxvid.model.facts import describe
from mlxvid.model.folder import Folder
from mlxvid.weights import loading
from mlxvid.weights.tensors import Tensor
from tests.models.wan import tiny as tiny_wan

from . import wan_original as original

KINDS = ("t2v", "i2v", "flf2v")
PARTS = ("transformer", "vae", "text_encoder", "image_encoder")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A tiny release of each kind, its modules, and the float32 folder that it is converted to."""
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        modules = original.release(folder / "source", kind, zipped=kind != "i2v")
        made[kind] = (
            folder / "source",
            modules,
            convert(folder / "source", folder / "out", "float32"),
        )
    return made


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for file in folder.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_transformer_is_diffusers_own_conversion(kind, releases):
    _, modules, out = releases[kind]
    theirs = convert_wan_transformer_to_diffusers(dict(modules["transformer"].state_dict()))
    if (
        kind == "flf2v"
    ):  # which that function leaves out, unlike Diffusers' script for the released models
        theirs["condition_embedder.image_embedder.pos_embed"] = theirs.pop("img_emb.emb_pos")
    same(tensors_in(out / "transformer"), theirs)
    network = WanTransformer3DModel.from_pretrained(out / "transformer")
    assert network.config.num_attention_heads == 2 and network.config.attention_head_dim == 24
    same({name: tensor for name, tensor in network.state_dict().items()}, theirs)


def test_the_vae_is_diffusers_own_conversion(releases):
    _, modules, out = releases["t2v"]
    theirs = convert_wan_vae_to_diffusers(dict(modules["vae"].state_dict()))
    same(tensors_in(out / "vae"), theirs)
    network = AutoencoderKLWan.from_pretrained(out / "vae")
    same(dict(network.state_dict()), theirs)
    stock = AutoencoderKLWan().config  # the config of the released VAE, but for the width
    assert {k: network.config[k] for k in stock if not k.startswith("_")} == {
        k: stock[k] for k in stock if not k.startswith("_")
    } | {"base_dim": 4}


def test_the_text_encoder_computes_the_same_in_transformers(releases):
    _, modules, out = releases["t2v"]
    module = modules["text"].bfloat16().float()  # as the release stores it
    network = UMT5EncoderModel.from_pretrained(out / "text_encoder")
    ids, mask = torch.arange(14).reshape(2, 7) * 5 % 70, torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    with torch.no_grad():
        theirs = original.encode_text(module, ids, mask, original.TINY_TEXT["heads"])
        ours = network(ids, attention_mask=mask.long()).last_hidden_state
    assert theirs.std() > 0.1 and (ours - theirs)[mask].abs().max() < 1e-4


def test_the_picture_encoder_computes_the_same_in_transformers(releases):
    _, modules, out = releases["i2v"]
    network = CLIPVisionModel.from_pretrained(out / "image_encoder")
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = original.see(modules["clip"], pixels, original.TINY_CLIP["heads"])
        ours = network(pixels, output_hidden_states=True).hidden_states[-2]
    assert theirs.std() > 0.1 and (ours - theirs).abs().max() < 1e-4
    assert not any(
        name.startswith("textual") or "head" in name for name in tensors_in(out / "image_encoder")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_mlxvid_loads_every_part(kind, releases):
    out = releases[kind][2]
    components = loading.Components(Folder(out))
    index = json.loads((out / "model_index.json").read_text())
    parts = fitting.parts_of(index["_class_name"])
    for name in PARTS[: 3 if kind == "t2v" else 4]:
        network = components.network(name, parts[name])
        mx.eval(network.parameters())
        assert index[name][1] == type(network).__name__
    assert index["_class_name"] == ("WanPipeline" if kind == "t2v" else "WanImageToVideoPipeline")


@pytest.mark.parametrize("kind", ["t2v", "flf2v"])
def test_diffusers_and_mlxvid_make_the_same_frames_of_it(kind, releases, tmp_path):
    source = shutil.copytree(releases[kind][0], tmp_path / "source")
    home = source / "google" / "umt5-xxl"
    remove("*")(home)
    tiny_wan.tokenizer().save_pretrained(home)
    out = convert(source, tmp_path / "out", "float32")
    pictures = [
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (32, 48, 3), np.uint8))
        for n in range(2)
    ]
    given = {} if kind == "t2v" else dict(image=pictures[0], last_image=pictures[1])
    noise = torch.randn(1, original.CHANNELS, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    reference = (WanPipeline if kind == "t2v" else WanImageToVideoPipeline).from_pretrained(out)
    reference.set_progress_bar_config(disable=True)
    said = dict(negative_prompt="blurry", width=48, height=32)
    theirs = reference(
        prompt="a red ball",
        num_frames=5,
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=noise,
        output_type="np",
        **said,
        **given,
    ).frames[0]
    shift = reference.scheduler.config.flow_shift
    pipe = mlxvid.load(str(out))
    ours = pipe.generate(
        "a red ball",
        frames=5,
        steps=3,
        guidance=3.0,
        latents=noise.numpy(),
        shift=shift,
        **said,
        **given,
    ).frames
    assert theirs.std() > 0.1 and np.abs(ours - theirs * 255).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_beside_the_weights(kind, releases):
    source, _, out = releases[kind]
    assert {path.name for path in (out / "tokenizer").iterdir()} == {
        "spiece.model",
        "tokenizer_config.json",
    }
    scheduler = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert (
        scheduler["_class_name"] == "UniPCMultistepScheduler"
        and scheduler["use_flow_sigmas"] is True
    )
    assert (
        scheduler["prediction_type"] == "flow_prediction"
        and scheduler["flow_shift"] == {"t2v": 3.0, "i2v": 5.0, "flf2v": 16.0}[kind]
    )
    assert (out / "image_processor" / "preprocessor_config.json").is_file() == (kind != "t2v")
    assert not list(out.rglob("*.part")) and not list(out.parent.glob(".converting-*"))


@pytest.mark.parametrize(
    ("name", "shift"), [("Wan2.1-I2V-14B-480P", 3.0), ("Wan2.1-I2V-14B-720P", 5.0)]
)
def test_the_noise_schedule_of_picture_models_goes_by_the_folders_name(
    name, shift, releases, tmp_path, caplog
):
    source = shutil.copytree(releases["i2v"][0], tmp_path / name)
    caplog.set_level("INFO", "mlxvid")
    out = convert(source, tmp_path / "out")
    assert (
        json.loads((out / "scheduler" / "scheduler_config.json").read_text())["flow_shift"] == shift
    )
    assert describe(out).defaults.height == {3.0: 480, 5.0: 720}[shift]
    assert caplog.messages == [
        f"Recognised: Wan 2.1, picture to video, 0.0 billion parameters, flow shift {shift:g}.",
        "Left out: the text tower of models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth, which Wan does not use.",
        "Left in float32, in which this model runs them: vae, image_encoder.",
    ]


def test_types_follow_the_model(releases, tmp_path):
    out = convert(releases["i2v"][0], tmp_path / "out", "bfloat16")
    types = {
        part: {name: tensor.dtype for name, tensor in tensors_in(out / part).items()}
        for part in PARTS
    }
    assert set(types["vae"].values()) == set(types["image_encoder"].values()) == {torch.float32}
    assert set(types["text_encoder"].values()) == {torch.bfloat16}
    for name, dtype in types["transformer"].items():
        exact = {"time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"} & set(
            name.split(".")
        )
        assert dtype == (torch.float32 if exact else torch.bfloat16), name


def test_quantized_it_is_what_load_makes_of_the_unquantized(releases, tmp_path):
    source = shutil.copytree(releases["t2v"][0], tmp_path / "source")
    wide = {**original.TINY, "dim": 128, "ffn": 192}
    module = original.randomised(original.transformer("t2v", **wide), 5)
    for file in source.glob("diffusion_pytorch_model*"):
        file.unlink()
    (source / "config.json").unlink()  # 128 is one head of the size that Wan's always have
    save_file(module.state_dict(), source / "wan.safetensors")
    plain, quantized = (
        convert(source, tmp_path / "plain", "float32"),
        convert(source, tmp_path / "quantized", "float32", quantize=4),
    )
    parts = fitting.parts_of("WanPipeline")
    for name in ("transformer", "text_encoder"):
        theirs = (
            loading.Components(Folder(plain), quantize=4).network(name, parts[name]).parameters()
        )
        ours = loading.Components(Folder(quantized)).network(name, parts[name]).parameters()
        ours, theirs = dict(tree_flatten(ours)), dict(tree_flatten(theirs))
        assert ours.keys() == theirs.keys() and all(
            mx.array_equal(ours[k], theirs[k]) for k in ours
        )
        assert any(key.endswith("scales") for key in ours)
        assert not any(
            "embed" in key.removesuffix("scales") for key in ours if key.endswith("scales")
        )


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
    source, _, out = releases[kind]
    command = [
        sys.executable,
        "-c",
        BLOCKED,
        str(source),
        "--out",
        str(tmp_path / "out"),
        "--dtype",
        "float32",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out'}\n"), done.stderr
    for path in out.rglob("*"):
        assert (
            path.is_dir()
            or (tmp_path / "out" / path.relative_to(out)).read_bytes() == path.read_bytes()
        )


def test_files_repackaged_for_comfyui(releases, tmp_path):
    source, modules, out = releases["i2v"]
    folder = tmp_path / "comfy"
    for name in ("diffusion_models", "text_encoders", "vae", "clip_vision"):
        (folder / name).mkdir(parents=True)
    pieces = np.frombuffer(b"pieces", np.uint8).copy()
    prefixed = {
        f"model.diffusion_model.{name}": tensor
        for name, tensor in modules["transformer"].state_dict().items()
    }
    save_file(prefixed, folder / "diffusion_models" / "wan2.1_i2v.safetensors")
    save_file(modules["vae"].state_dict(), folder / "vae" / "wan_2.1_vae.safetensors")
    save_file(
        tensors_in(out / "text_encoder") | {"spiece_model": torch.from_numpy(pieces)},
        folder / "text_encoders" / "umt5.safetensors",
    )
    vision = tensors_in(out / "image_encoder") | {"visual_projection.weight": torch.ones(24, 160)}
    save_file(vision, folder / "clip_vision" / "clip_vision_h.safetensors")
    (folder / "diffusion_models" / "config.json").write_text(json.dumps({"num_heads": 2}))
    again = convert(folder, tmp_path / "out", "float32")
    assert (again / "tokenizer" / "spiece.model").read_bytes() == b"pieces"
    for part in PARTS:
        same(tensors_in(again / part), tensors_in(out / part))
        assert json.loads((again / part / "config.json").read_text()) == json.loads(
            (out / part / "config.json").read_text()
        )


def test_a_scaled_fp8_transformer(releases, tmp_path):
    source = shutil.copytree(releases["t2v"][0], tmp_path / "source")
    stored, expected = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}, {}
    for name, weight in releases["t2v"][1]["transformer"].state_dict().items():
        if name.startswith("blocks.") and weight.ndim == 2:
            scale = weight.abs().max() / 448
            stored[name], stored[f"{name.removesuffix('weight')}scale_weight"] = (
                (weight / scale).to(torch.float8_e4m3fn),
                scale,
            )
            expected[name] = stored[name].float() * scale
        else:
            stored[name] = expected[name] = weight
    for file in source.glob("diffusion_pytorch_model*"):
        file.unlink()
    save_file(stored, source / "wan2.1_fp8_e4m3fn_scaled.safetensors")
    out = convert(source, tmp_path / "out", "float32")
    same(tensors_in(out / "transformer"), convert_wan_transformer_to_diffusers(expected))


# --- the five real sizes --------------------------------------------------------------------------


def stand_ins(module: torch.nn.Module, path: str) -> WeightFile:
    """The tensors of a module on the meta device, which take no memory here either."""
    zero = np.float32(0)
    return WeightFile(
        path,
        {
            k: Tensor(np.broadcast_to(zero, v.shape), "float32", k)
            for k, v in module.state_dict().items()
        },
    )


@pytest.fixture(scope="module")
def encoders():
    with torch.device("meta"):
        modules = {
            "Wan2.1_VAE.pth": original.vae(96),
            "models_t5_umt5-xxl-enc-bf16.pth": original.text_encoder(**original.REAL_TEXT),
            "models_clip.pth": original.clip(**original.REAL_CLIP),
        }
    return [stand_ins(module, path) for path, module in modules.items()]


@pytest.mark.parametrize(
    ("name", "size", "kind", "billions"),
    [
        ("Wan2.1-T2V-1.3B", "t2v-1.3b", "t2v", 1.4),
        ("Wan2.1-T2V-14B", "14b", "t2v", 14.3),
        ("Wan2.1-I2V-14B-480P", "14b", "i2v", 16.4),  # that for 720p has the same tensors
        ("Wan2.1-FLF2V-14B-720P", "14b", "flf2v", 16.4),
    ],
)
def test_every_tensor_of_the_real_releases_has_its_place(
    name, size, kind, billions, encoders, tmp_path
):
    folder = tmp_path / name
    (folder / "google" / "umt5-xxl").mkdir(parents=True)
    (folder / "google" / "umt5-xxl" / "spiece.model").write_bytes(b"pieces")
    pictures = dict(in_channels=36, image_dim=1280, added_kv_proj_dim=5120) if kind != "t2v" else {}
    places = dict(pos_embed_seq_len=514) if kind == "flf2v" else {}
    small = dict(num_attention_heads=12, ffn_dim=8960, num_layers=30) if size == "t2v-1.3b" else {}
    with torch.device("meta"):
        module = original.transformer(kind, **original.REAL[size])
        theirs = WanTransformer3DModel(
            **pictures, **places, **small
        )  # its defaults are the model of 14 billion parameters
    model = wan.model(
        folder, [stand_ins(module, "diffusion_pytorch_model.safetensors.index.json"), *encoders]
    )
    assert f"{billions} billion" in model.title and len(model.components) == (
        3 if kind == "t2v" else 4
    )
    network = model.components[0]
    assert {k: t.shape for k, t in network.tensors.items()} == {
        k: tuple(t.shape) for k, t in theirs.state_dict().items()
    }
    public = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in theirs.config.items()
        if not key.startswith("_")
    }
    assert network.config == {"_class_name": "WanTransformer3DModel", **public}
    parts = fitting.parts_of(model.index["_class_name"])
    checked = model.components if kind == "flf2v" else [network]  # the encoders are the same in all
    plans = {
        component.name: fitting.plan(component, parts[component.name], "bfloat16", 4)
        for component in checked
    }
    assert len(plans["transformer"].quantized) == original.REAL[size]["layers"] * (
        10 if kind == "t2v" else 12
    )
    if kind == "flf2v":
        assert plans.keys() == set(PARTS) and len(plans["text_encoder"].quantized) == 24 * 7


# --- what can be wrong with a release -------------------------------------------------------------


def remove(*names):
    def change(folder):
        for name in names:
            for path in list(folder.rglob(name)):
                path.unlink()

    return change


def edit(file, change):
    def apply(folder):
        tensors = torch.load(folder / file) if file.endswith(".pth") else load_file(folder / file)
        change(tensors)
        torch.save(tensors, folder / file) if file.endswith(".pth") else save_file(
            tensors, folder / file
        )

    return apply


def config(**values):
    return lambda folder: (folder / "config.json").write_text(json.dumps(values))


VAE, T5, CLIP = (
    "Wan2.1_VAE.pth",
    "models_t5_umt5-xxl-enc-bf16.pth",
    "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
)
SHARD = "diffusion_pytorch_model-00001-of-00002.safetensors"


AGAIN, WHOLE = "download the model again.", "download the whole release."
OTHER = "SOURCE/config.json is the config of another transformer than the one beside it; download both again."
MISSING = "it was made for another architecture or version."
VAE_48 = {"conv2.weight": torch.ones(48, 48, 1, 1, 1)}
QUERY, WIDE_QUERY = (
    "encoder.block.1.layer.0.SelfAttention.q.weight",
    {"blocks.1.attn.q.weight": torch.ones(64, 60)},
)
QKV, ODD_QKV = (
    "visual.transformer.1.attn.to_qkv.bias",
    {"visual.transformer.1.attn.to_qkv.bias": torch.ones(479)},
)
WRONG = [
    (remove(VAE), f"There is no VAE of Wan 2.1 in SOURCE (Wan2.1_VAE.pth in the release); {WHOLE}"),
    (remove(T5), f"There is no UMT5 text encoder in SOURCE ({T5}); {WHOLE}"),
    (remove(CLIP), f"There is no CLIP picture encoder in SOURCE (models_clip_*.pth); {WHOLE}"),
    (
        remove("spiece.model"),
        f"There is no tokenizer in SOURCE (google/umt5-xxl/spiece.model in the release); {WHOLE}",
    ),
    (
        remove(SHARD),
        f"SOURCE/{SHARD} is missing, and diffusion_pytorch_model.safetensors.index.json names it; {AGAIN}",
    ),
    (
        remove("diffusion*"),
        "SOURCE holds weights that belong to no model mlxvid knows; "
        "give the folder of a whole model, in the Diffusers layout or as released.",
    ),
    (
        lambda folder: shutil.copy(folder / VAE, folder / "copy.pth"),
        "Wan2.1_VAE.pth and copy.pth are both the VAE of Wan 2.1 in SOURCE (Wan2.1_VAE.pth in the release); "
        "leave one of them in the folder.",
    ),
    (config(dim=1536, num_heads=2), OTHER),
    (config(num_heads=5), OTHER),
    (config(num_heads="x"), OTHER),
    (
        edit(VAE, lambda t: t.pop("encoder.conv1.bias")),
        f"The checkpoint in SOURCE lacks encoder.conv_in.bias; {MISSING}",
    ),
    (
        edit(VAE, lambda t: t.update({"extra": torch.ones(2)})),
        f"mlxvid's model of SOURCE has no place for extra; {MISSING}",
    ),
    (
        edit(VAE, lambda t: t.update(VAE_48)),
        f"conv2.weight in SOURCE/{VAE} makes 48 latent channels where Wan 2.1's VAE has 16; get the VAE of Wan 2.1.",
    ),
    (
        edit(VAE, lambda t: t.update({"conv2.weight": torch.ones(16)})),
        f"conv2.weight in SOURCE/{VAE} has the shape (16,), which it can't have; {AGAIN}",
    ),
    (
        edit(T5, lambda t: t.pop("blocks.0.ffn.fc2.weight")),
        f"There is no encoder.block.0.layer.1.DenseReluDense.wo.weight beside token_embedding.weight in SOURCE/{T5}; {AGAIN}",
    ),
    (
        edit(T5, lambda t: t.update(WIDE_QUERY)),
        f"{QUERY} in SOURCE is (64, 60) where (64, 64) is needed; its config.json belongs to other weights.",
    ),
    (
        edit(CLIP, lambda t: t.update(ODD_QKV)),
        f"{QKV} in SOURCE/{CLIP} has the shape (479,), which is not 3 matrices in one; get the model again.",
    ),
    (
        edit(SHARD, lambda t: t.update({"patch_embedding.weight": torch.ones(48, 36)})),
        f"patch_embedding.weight in SOURCE/{SHARD} has the shape (48, 36), which it can't have; {AGAIN}",
    ),
    (
        edit(T5, lambda t: t["norm.weight"].fill_(float("nan"))),
        f"norm.weight in SOURCE/{T5} holds NaN or infinity, which no sound weights do; {AGAIN}",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
def test_a_release_with_something_wrong(change, sentence, releases, tmp_path, capsys):
    source = shutil.copytree(releases["i2v"][0], tmp_path / "source")
    change(source)
    assert main([str(source), "--out", str(tmp_path / "out"), "--progress", "none"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].replace(str(source), "SOURCE") == sentence
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_text_encoder_of_another_model(releases, tmp_path):
    source = shutil.copytree(releases["t2v"][0], tmp_path / "source")
    torch.save(original.text_encoder(**{**original.TINY_TEXT, "dim": 32}).state_dict(), source / T5)
    with pytest.raises(WeightsError) as error:
        convert(source, tmp_path / "out")
    assert (
        str(error.value)
        == f"The parts of {source} come from different models; download the whole release again."
    )
