"""LTX-Video's single files: converted without PyTorch, every tensor bit for bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import NamedTuple

import mlx.core as mx
import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel

import mlxvid
from mlxvid.catalog import CATALOG
from mlxvid.convert import convert
from mlxvid.errors import WeightsError
from mlxvid.hub import assembly
from mlxvid.models import card_of
from mlxvid.models.ltx.recipes import DISTILLED
from mlxvid.weights import loading
from tests.models.ltx import tiny

from ..contents import assert_states, bytes_in
from . import ltx_release
from .test_wan import BLOCKED
from .torch_tensors import assert_same, tensors_in

GENERATIONS = ("A", "B", "C")


class Made(NamedTuple):
    transformer: LTXVideoTransformer3DModel
    vae: AutoencoderKLLTXVideo

    def file(self) -> dict[str, torch.Tensor]:
        return ltx_release.single_file(self.transformer.state_dict(), self.vae.state_dict())

    def metadata(self, times=None, **more) -> dict[str, str]:
        config = {"num_attention_heads": tiny.HEADS, "num_layers": self.blocks, **more}
        return ltx_release.metadata(config, times)

    @property
    def blocks(self) -> int:
        return self.transformer.config.num_layers


@pytest.fixture(scope="module")
def made():
    """A tiny model of each generation, and one that counts as large."""
    models = {name: Made(tiny.transformer(), tiny.vae(name)) for name in GENERATIONS}
    # Without metadata a transformer has 32 heads.
    models["large"] = Made(
        tiny.transformer(ltx_release.LARGE, heads=32, head_dim=2), models["C"].vae
    )
    return models


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    ltx_release.write_t5(folder)
    return folder


@pytest.fixture
def source(t5, tmp_path):
    """T5 and its tokenizer, where the single file is to come."""
    return shutil.copytree(t5, tmp_path / "source")


@pytest.mark.parametrize(
    ("kind", "name", "release"),
    [
        ("A", "model", "0.9.0"),
        ("B", "model", "0.9.1"),
        ("C", "ltx-video-2b-v0.9.5", "0.9.5"),
        ("C", "ltxv-2b-0.9.6-distilled-04-25", "0.9.6-distilled"),
        ("large", "ltxv-13b-0.9.8-dev", "0.9.8-13b-dev"),
    ],
)
def test_a_single_file(kind, name, release, made, source, tmp_path, caplog):
    caplog.set_level("INFO", "mlxvid")
    model = made[kind]
    metadata = None if kind == "large" else model.metadata()
    ltx_release.save(source / f"{name}.safetensors", model.file(), metadata)
    out = convert(source, tmp_path / "out", "float32")
    assert f"LTX-Video {release}" in caplog.messages[0]
    assert not any("no name says" in note for note in caplog.messages)

    assert_same(tensors_in(out / "transformer"), dict(model.transformer.state_dict()))
    assert_same(tensors_in(out / "vae"), dict(model.vae.state_dict()))
    # Diffusers reads what was written, as the network that it was made from.
    vae = AutoencoderKLLTXVideo.from_pretrained(out / "vae")
    assert_same(dict(vae.state_dict()), dict(model.vae.state_dict()))
    network = LTXVideoTransformer3DModel.from_pretrained(out / "transformer")
    assert network.config.attention_head_dim == model.transformer.config.attention_head_dim

    card = card_of(out)
    assert card.recipe.release == release
    components = loading.Components(card)
    for part in ("transformer", "vae", "text_encoder"):
        mx.eval(components.network(part, card.family.parts[part]).parameters())


@pytest.mark.parametrize(
    ("generation", "pipeline", "release"),
    [
        ("A", "LTXPipeline", "0.9.0"),
        ("B", "LTXPipeline", "0.9.1"),
        ("C", "LTXConditionPipeline", "0.9.6-distilled"),
        ("C", "LTXConditionPipeline", "0.9.8-2b-distilled"),
    ],
)
def test_the_frames_are_those_of_the_model_in_the_diffusers_layout(
    generation, pipeline, release, source, tmp_path
):
    pipe = tiny.pipeline(generation, pipeline)
    folder = tiny.saved(pipe, tmp_path / "diffusers", release, tiny.upsampler())
    model = Made(pipe.transformer, pipe.vae)
    metadata = model.metadata(causal_temporal_positioning=generation == "C")
    ltx_release.save(source / f"ltxv-{release}.safetensors", model.file(), metadata)
    ltx_release.save(source / "upscaler.safetensors", tiny.upsampler().state_dict())
    out = convert(source, tmp_path / "out", "float32")
    frames = []
    for place in (folder, out):
        clip = mlxvid.load(str(place)).generate(
            "a red ball", width=128, height=128, frames=9, steps=3, seed=1, guidance=1.0
        )
        frames.append(clip.frames)
    assert (frames[0] == frames[1]).all() and frames[0].std() > 1


# Of these Diffusers' own defaults have entries for levels that there are not, and names of nothing.
NOT_COMPARED = {"_class_name", "downsample_type", "decoder_inject_noise"}


@pytest.mark.parametrize("kind", GENERATIONS)
def test_the_vaes_config_is_the_one_that_it_was_made_from(kind, made, source, tmp_path):
    ltx_release.save(source / "model.safetensors", made[kind].file(), made[kind].metadata())
    out = convert(source, tmp_path / "out", "float32")
    config = json.loads((out / "vae" / "config.json").read_text())
    theirs = made[kind].vae.config
    for name in config.keys() - NOT_COMPARED:
        own = config[name]
        expected = theirs[name]
        if expected is None:  # which follows from the others
            expected = getattr(made[kind].vae, name)
        own = own[0] if name == "down_block_types" else own
        expected = expected[0] if name == "down_block_types" else expected
        assert own == (list(expected) if isinstance(expected, tuple) else expected), name
    if kind != "A":
        assert config["decoder_inject_noise"] == list(theirs.decoder_inject_noise)
    if kind == "C":
        assert config["downsample_type"] == list(theirs.downsample_type)


def test_torch_is_not_needed(made, source, tmp_path):
    ltx_release.save(source / "ltxv.safetensors", made["B"].file(), made["B"].metadata())
    out = tmp_path / "out"
    arguments = [str(source), "--out", str(out), "--dtype", "float32"]
    command = [sys.executable, "-c", BLOCKED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert bytes_in(out) == bytes_in(convert(source, tmp_path / "again", "float32"))


@pytest.mark.parametrize(
    ("kind", "name", "times", "release", "certain"),
    [
        ("C", "distilled", None, "0.9.8-2b-distilled", False),
        ("C", "ltxv-0.9.6", list(DISTILLED), "0.9.6-distilled", True),
        ("C", "ltxv-0.9.6", None, "0.9.6-dev", False),
        ("C", "model", None, "0.9.6-dev", False),
        ("large", "ltxv-13b-0.9.7-distilled-fp8", None, "0.9.7-distilled", True),
        ("large", "model", list(DISTILLED), "0.9.8-13b-distilled", False),
    ],
)
def test_releases_of_the_same_sizes(
    kind, name, times, release, certain, made, source, tmp_path, caplog
):
    """Names tell them apart, and the allowed times of the distilled ones; else a note names the
    remedy.
    """
    caplog.set_level("INFO", "mlxvid")
    heads = made[kind].transformer.config.num_attention_heads
    metadata = made[kind].metadata(times, num_attention_heads=heads)
    ltx_release.save(source / f"{name}.safetensors", made[kind].file(), metadata)
    out = convert(source, tmp_path / "out")
    assert card_of(out).recipe.release == release
    notes = [note for note in caplog.messages if "no name says" in note]
    assert bool(notes) != certain
    assert certain or release in notes[0]


def test_positions_are_causal_as_the_file_says_or_as_its_generation_is(made, source, tmp_path):
    said = {}
    for stated in (None, True, False):
        more = {} if stated is None else {"causal_temporal_positioning": stated}
        path = source / "ltxv-2b-0.9.5.safetensors"
        ltx_release.save(path, made["C"].file(), made["C"].metadata(**more))
        said[stated] = card_of(convert(source, tmp_path / str(stated))).recipe.causal
    assert said == {None: False, True: True, False: False}
    ltx_release.save(source / "ltxv-13b-0.9.8-dev.safetensors", made["large"].file())
    (source / "ltxv-2b-0.9.5.safetensors").unlink()
    assert card_of(convert(source, tmp_path / "large")).recipe.causal


@pytest.mark.parametrize("scaled", [False, True])
def test_fp8(scaled, made, source, tmp_path):
    stored = {}
    expected = {}
    for name, tensor in made["C"].file().items():
        is_matrix = name.startswith("model.") and tensor.ndim == 2 and name.endswith(".weight")
        scale = tensor.abs().amax() / 400 if scaled and is_matrix else torch.tensor(1.0)
        stored[name] = (tensor / scale).to(torch.float8_e4m3fn) if is_matrix else tensor
        if scaled and is_matrix:
            stored[f"{name.removesuffix('weight')}scale_weight"] = scale
        expected[name] = stored[name].float() * scale
    metadata = made["C"].metadata()
    ltx_release.save(source / "ltxv-2b-0.9.6-dev-fp8.safetensors", stored, metadata)
    out = convert(source, tmp_path / "fp8", "float32")
    (source / "ltxv-2b-0.9.6-dev-fp8.safetensors").unlink()
    ltx_release.save(source / "ltxv-2b-0.9.6-dev.safetensors", expected, metadata)
    again = convert(source, tmp_path / "float", "float32")
    for part in ("transformer", "vae"):
        assert_same(tensors_in(out / part), tensors_in(again / part))


@pytest.mark.parametrize("spelling", ["fp16", "fp8", "encoder alone", "whole"])
def test_t5_as_comfyui_has_it(spelling, made, source, tmp_path):
    """One file without a config, with a tokenizer somewhere beside it."""
    text = tensors_in(source / "text_encoder")
    expected = dict(text)
    shutil.rmtree(source / "text_encoder")
    if spelling == "fp16":
        text = {name: tensor.half() for name, tensor in text.items()}
        expected = {name: tensor.float() for name, tensor in text.items()}
    if spelling == "fp8":
        text = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in text.items()}
        expected = {name: tensor.float() for name, tensor in text.items()}
    if spelling == "encoder alone":
        text["encoder.embed_tokens.weight"] = text.pop("shared.weight")
    if spelling == "whole":
        text |= {"decoder.final_layer_norm.weight": torch.ones(4), "lm_head.weight": torch.ones(4)}
    ltx_release.save(source / "text_encoders" / "t5xxl.safetensors", text)
    ltx_release.save(source / "ltxv.safetensors", made["A"].file(), made["A"].metadata())
    out = convert(source, tmp_path / "out", "float32")
    assert_same(tensors_in(out / "text_encoder"), expected)
    config = json.loads((out / "text_encoder" / "config.json").read_text())
    assert (config["d_model"], config["d_ff"], config["num_heads"]) == (tiny.TEXT, 32, 3)


def test_t5_lies_beside_the_only_file_that_is_given(made, source, tmp_path):
    path = source / "ltxv.safetensors"
    ltx_release.save(path, made["A"].file(), made["A"].metadata())
    assert bytes_in(convert(path, tmp_path / "a")) == bytes_in(convert(source, tmp_path / "b"))


def test_an_upsampler_comes_along_and_a_vae_may_have_a_file_of_its_own(made, source, tmp_path):
    upsampler = tiny.upsampler().state_dict()
    ltx_release.save(source / "ltxv-spatial-upscaler-0.9.8.safetensors", upsampler)
    temporal = {**upsampler, "upsampler.0.weight": torch.ones(64, 32, 3, 3, 3)}
    ltx_release.save(source / "ltxv-temporal-upscaler-0.9.8.safetensors", temporal)
    content = made["large"].file()
    vae = {name.removeprefix("vae."): content.pop(name) for name in list(content) if "vae" in name}
    ltx_release.save(source / "ltxv-13b-0.9.8-distilled.safetensors", content)
    ltx_release.save(source / "ltxv_vae.safetensors", vae)
    out = convert(source, tmp_path / "out", "float32")
    assert_same(tensors_in(out / "latent_upsampler"), dict(upsampler))
    assert_same(tensors_in(out / "vae"), dict(made["large"].vae.state_dict()))
    card = card_of(out)
    assert card.options["upscale"] is True and "latent_upsampler" in card.family.parts
    again = convert(out, tmp_path / "again", "bfloat16")
    assert (again / "latent_upsampler" / "config.json").is_file()


REFUSED = {
    "no VAE": ("vae", ["no VAE of LTX-Video"]),
    "no transformer": ("model", ["no transformer of LTX-Video"]),
    "LTX-2": ("", ["LTX-2", "can't run"]),
    "another text encoder": ("", ["different models"]),
    "other sizes": ("", ["2 blocks", "its config"]),
    "no T5": ("", ["no T5 text encoder", "t5xxl_fp16.safetensors"]),
    "no tokenizer": ("", ["no tokenizer", "spiece.model"]),
    "cut short": ("", ["ltxv.safetensors", "download"]),
    "a lost block": ("", ["lacks"]),
    "a large one of 0.9.0": ("", ["29 blocks", "generation A"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_release_is_refused_in_a_sentence(what, made, source, tmp_path):
    without, facts = REFUSED[what]
    path = source / "ltxv.safetensors"
    model = made["A"]
    if what == "a large one of 0.9.0":
        model = Made(made["large"].transformer, made["A"].vae)
    content = model.file()
    content = {n: t for n, t in content.items() if not without or not n.startswith(without)}
    blocks = 7 if what == "other sizes" else model.blocks
    heads = model.transformer.config.num_attention_heads
    metadata = model.metadata(num_attention_heads=heads, num_layers=blocks)
    if what == "LTX-2":
        content["model.diffusion_model.audio_patchify_proj.weight"] = torch.ones(2, 2)
    if what == "a lost block":
        content = {name: tensor for name, tensor in content.items() if "blocks.1.attn1" not in name}
    if what == "another text encoder":
        weight = "model.diffusion_model.caption_projection.linear_1.weight"
        content[weight] = torch.ones(28, 12)
    ltx_release.save(path, content, metadata)
    if what == "cut short":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if what == "no T5":
        shutil.rmtree(source / "text_encoder")
    if what == "no tokenizer":
        shutil.rmtree(source / "tokenizer")
    with pytest.raises(WeightsError) as error:
        convert(source, tmp_path / "out")
    assert_states(error.value, *facts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("config", ["", "[]", "{", '{"transformer": 3}', "[" * 5000])
def test_metadata_that_says_nothing_is_not_needed(config, made, source, tmp_path):
    path = source / "ltxv-13b-0.9.8-dev.safetensors"
    ltx_release.save(path, made["large"].file(), {"config": config})
    assert card_of(convert(source, tmp_path / "out")).recipe.release == "0.9.8-13b-dev"


def test_what_is_made_of_a_name_of_the_catalog(made, source, tmp_path, monkeypatch):
    """The release's file and the other places are fetched, and put together to be converted."""
    name = "ltxv-2b-0.9.8-distilled"
    ltx_release.save(source / f"{name}.safetensors", made["C"].file(), made["C"].metadata())
    tiny.upsampler().save_pretrained(source / "latent_upsampler")
    shutil.copy(source / "tokenizer" / "tokenizer.json", source / "text_encoder")

    asked = {}

    def download(repository, revision, patterns, watch):
        asked[repository] = patterns
        return source / "text_encoder" if "t5" in repository else source

    monkeypatch.setattr(assembly, "download", download)
    monkeypatch.setattr(assembly, "download_file", lambda repository, file, *_: source / file)
    with pytest.raises(mlxvid.ModelNotFoundError) as error:
        mlxvid.load(name)
    assert_states(error.value, name, f"mlxvid.convert {name} --out")
    out = convert(name, tmp_path / "out")
    card = card_of(out)
    assert card.recipe.release == "0.9.8-2b-distilled"
    assert card.options["upscale"] is True
    # Of the upsampler's repository its own folder alone, which has a VAE beside it.
    inside = asked["Lightricks/ltxv-spatial-upscaler-0.9.7"]
    assert all(pattern.startswith("latent_upsampler/") for pattern in inside)
    # Then it is found under the catalog's name where it was made, and among the user's models.
    monkeypatch.chdir(shutil.copytree(out, tmp_path / "models" / name).parent)
    assert assembly.fetched(CATALOG[name]).name == name
