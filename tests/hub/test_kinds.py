"""Repositories that are no model: named after their list of files, with nothing large fetched."""

from __future__ import annotations

import json

import pytest

import mlxvid
from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.convert import convert
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.hub import __main__ as hub_command
from mlxvid.progress import Watch

from .tiny_repository import REPO, VAE, sentence_of

LARGE = b"weights"
KINDS = {
    "an original release": (
        ["config.json", "diffusion_pytorch_model.safetensors", "models_t5.pth", "VAE.pth"],
        ["no model_index.json", "python -m mlxvid.convert org/other"],
    ),
    "shards of one": (
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ["no model_index.json", "python -m mlxvid.convert org/other"],
    ),
    "a collection": (
        [
            "Wan2_1-T2V-14B_fp8.safetensors",
            "Wan2_1-I2V-14B-480P_fp8.safetensors",
            "umt5-xxl-enc-bf16.safetensors",
            "Wan2_1_VAE_bf16.safetensors",
        ],
        ["collection", "Wan2_1-I2V-14B-480P_fp8", "not fetched whole", "mlxvid.convert"],
    ),
    "a repackaged collection": (
        [
            "split_files/diffusion_models/a_fp16.safetensors",
            "split_files/diffusion_models/b_fp16.safetensors",
            "split_files/text_encoders/umt5.safetensors",
            "split_files/vae/vae.safetensors",
        ],
        ["collection", "split_files/diffusion_models/a_fp16"],
    ),
    "checkpoints of several data sets": (["ffs.pt", "taichi.pt"], ["collection", "ffs", "taichi"]),
    "gguf": (["wan2.1-t2v-14b-Q4_K_M.gguf", "README.md"], ["GGUF", "`list_models`"]),
    "a lora": (["pytorch_lora_weights.safetensors"], ["LoRA", "`loras`"]),
    "an adapter": (["adapter_model.safetensors", "adapter_config.json"], ["LoRA", "`loras`"]),
    "nothing": (["README.md", "data/train.parquet"], ["no weights", "no model"]),
}


def large(server):
    return [path for path in server.fetched() if not path.endswith(".json")]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_model_is_named_and_not_fetched(kind, server, capsys):
    paths, facts = KINDS[kind]
    server.add("org/other", {path: LARGE for path in paths})
    with pytest.raises(ModelNotFoundError) as error:
        mlxvid.load("org/other", on_progress=lambda progress: None)
    sentence = sentence_of(error)
    assert "org/other" in sentence and all(fact in sentence for fact in facts)
    assert hub_command.main(["download", "org/other", "--progress", "none"]) == 2
    assert "org/other" in capsys.readouterr().err
    assert not large(server)


@pytest.mark.parametrize("kind", ["a collection", "a repackaged collection", "gguf", "a lora"])
def test_convert_fetches_no_collection_either(kind, server, tmp_path):
    paths, _ = KINDS[kind]
    server.add("org/other", {path: LARGE for path in paths})
    with pytest.raises(ModelNotFoundError, match="org/other"):
        convert("org/other", tmp_path / "out")
    assert not large(server) and not (tmp_path / "out").exists()


def test_convert_fetches_an_original_release(server, tmp_path):
    paths, _ = KINDS["an original release"]
    server.add("org/other", {path: path.encode() for path in paths})
    with pytest.raises(WeightsError):
        convert("org/other", tmp_path / "out")
    assert set(server.fetched()) == set(paths)


@pytest.mark.parametrize(
    "repo", ["Wan-AI/Wan2.2-T2V-A14B", "org/experts", "alibaba-pai/Wan2.1-Fun-14B-Control"]
)
def test_convert_fetches_no_release_that_is_known_to_be_another(repo, server, tmp_path):
    paths = ["high_noise_model/model.safetensors"] if repo == "org/experts" else ["m.safetensors"]
    server.add(repo, {path: LARGE for path in [*paths, "config.json"]})
    with pytest.raises(WeightsError, match=repo):
        convert(repo, tmp_path / "out")
    assert not large(server)


@pytest.mark.parametrize("without", ["tokenizer/spiece.model", None])
def test_a_model_that_can_not_run_is_refused_before_it_is_fetched(without, model, server, tmp_path):
    files = dict(model)
    if without is None:
        files["model_index.json"] = b'{"_class_name": "MochiPipeline"}'
    else:
        del files[without]
    server.add("org/other", files)
    for use in (mlxvid.load, lambda repo: convert(repo, tmp_path / "out")):
        with pytest.raises(WeightsError, match=f"org/other.*{without or 'MochiPipeline'}"):
            use("org/other")
    assert not large(server)


ORIGINALS = [(name, card) for card in CATALOG.values() for name in card.originals]


@pytest.mark.parametrize(("repo", "card"), ORIGINALS, ids=[name for name, _ in ORIGINALS])
def test_an_original_release_of_the_catalog_names_its_model(repo, card, server):
    for name in (repo, repo.upper()):
        with pytest.raises(ModelNotFoundError) as error:
            mlxvid.load(name)
        sentence = sentence_of(error)
        assert card.name in sentence and f"mlxvid.convert {name}" in sentence
    assert not server.requests


RELEASES = {name for name, _ in ORIGINALS}
PARTS = [
    (source.repository, card)
    for card in CATALOG.values()
    for source in card.sources.values()
    if source.repository not in (card.repository, *RELEASES)
]


@pytest.mark.parametrize(("repo", "card"), PARTS, ids=[name for name, _ in PARTS])
def test_a_part_of_a_catalogs_model_names_the_model(repo, card, server):
    with pytest.raises(ModelNotFoundError) as error:
        mlxvid.load(repo)
    assert "a part of" in sentence_of(error) and card.name in sentence_of(error)
    assert not server.requests


def test_a_pipeline_that_can_not_be_run_is_not_fetched(server, model):
    index = {**json.loads(model["model_index.json"]), "_class_name": "SorcererPipeline"}
    server.add(REPO, {**model, "model_index.json": json.dumps(index).encode()})
    with pytest.raises(WeightsError) as error:
        mlxvid.load(REPO, on_progress=lambda progress: None)
    assert f"{REPO} holds a SorcererPipeline" in sentence_of(error)
    assert VAE not in server.fetched()


def test_a_quantized_component_is_not_fetched(server, model):
    config = {**json.loads(model["transformer/config.json"])}
    config["quantization_config"] = {"quant_method": "bitsandbytes"}
    server.add(REPO, {**model, "transformer/config.json": json.dumps(config).encode()})
    with pytest.raises(WeightsError) as error:
        hub.download_model(REPO, watch=Watch(None, None))
    assert f"{REPO}/transformer is quantized by bitsandbytes" in sentence_of(error)
    assert not [path for path in server.fetched() if path.endswith(".safetensors")]


def test_a_dataset_is_named(server):
    server.datasets.add("org/clips")
    with pytest.raises(ModelNotFoundError) as error:
        mlxvid.load("org/clips")
    assert "org/clips is a dataset" in sentence_of(error)
