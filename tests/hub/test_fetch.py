"""Downloads from a hub on this machine: nothing too much, nothing twice."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import threading
from collections import namedtuple

import pytest
import safetensors.torch
import torch
from huggingface_hub import constants

import mlxvid
from mlxvid import hub, models
from mlxvid.catalog import CATALOG
from mlxvid.errors import CancelledError, ModelNotFoundError
from mlxvid.hub import fetch
from mlxvid.model.card import Source
from mlxvid.progress import Watch
from mlxvid.worker import serve

from .fake_hub import folder_files
from .tiny_repository import REPO, REQUIRED, VAE, sentence_of


def test_only_what_is_needed_is_fetched_and_once(server, commit, model):
    folder = hub.download(REPO, watch=Watch(None, None))
    assert set(folder_files(folder)) == REQUIRED and folder.name == commit
    assert all((folder / name).read_bytes() == model[name] for name in REQUIRED)
    assert sorted(server.fetched()) == sorted(REQUIRED)
    before = len(server.requests)
    assert hub.download(REPO, commit) == folder
    assert len(server.requests) == before, "a pinned revision that is here needs no network"


def test_a_pinned_revision_stays_what_it_was(server, commit, model):
    newer = server.add(REPO, {**model, "vae/config.json": b'{"newer": true}'})
    assert (
        hub.download(REPO, commit, watch=Watch(None, None)) / "vae/config.json"
    ).read_bytes() == model["vae/config.json"]
    assert (
        hub.download(REPO, watch=Watch(None, None)) / "vae/config.json"
    ).read_bytes() == b'{"newer": true}'
    assert hub.cached(REPO, commit) and hub.cached(REPO, newer)
    assert server.fetched().count(VAE) == 1, "what did not change is not fetched again"


def test_pytorchs_files_are_fetched_only_of_a_component_without_safetensors(server, model, tiny):
    kept = {name: data for name, data in model.items() if name != "text_encoder/model.safetensors"}
    file = io.BytesIO()
    encoder = safetensors.torch.load(model["text_encoder/model.safetensors"])
    torch.save(encoder, file)
    others = {
        "text_encoder/pytorch_model.bin": file.getvalue(),
        "vae/diffusion_pytorch_model.bin": b"pickle",
        "optimizer.pt": b"state",
    }
    server.add(REPO, kept | others)
    pipe = mlxvid.load(REPO, on_progress=lambda progress: None)
    assert set(server.fetched()) == REQUIRED - {"text_encoder/model.safetensors"} | {
        "text_encoder/pytorch_model.bin"
    }
    assert (pipe.generate("a ball", seed=1).frames == tiny.generate("a ball", seed=1).frames).all()


def test_a_repository_in_no_known_layout_comes_as_the_patterns_say(server):
    server.add(
        "org/original",
        {"Wan2.1_VAE.pth": b"zip", "config.json": b"{}", "a.safetensors": b"a", "README.md": b""},
    )
    folder = hub.download("org/original", patterns=["*.json", "*.pth"], watch=Watch(None, None))
    assert set(folder_files(folder)) == {"Wan2.1_VAE.pth", "config.json"}


def test_progress_goes_up_to_its_end_and_the_hub_shows_no_bars(server, commit, capfd):
    steps = []
    hub.download(REPO, watch=Watch(steps.append, None))
    assert {progress.stage for progress in steps} == {"download"}
    reported = [progress.step for progress in steps]
    assert reported == sorted(reported) and reported[-1] == steps[-1].total
    assert capfd.readouterr() == ("", "")


def test_without_a_watch_there_is_a_bar(server, commit, capfd):
    hub.download(REPO)
    assert "download" in capfd.readouterr().err


# What is asked for, and the facts that the answer names.
FAULTS = {
    "unknown": ("no/such", None, ["'no/such'", "hf auth login"]),
    "no name": ("--/--", None, ["'--/--'", "spelling"]),
    "gated": ("org/gated", None, ["https://huggingface.co/org/gated", "hf auth login"]),
    "revision": (REPO, "v9", [REPO, "'v9'", "`revision`"]),
    "commit": (REPO, "0" * 40, [REPO, "0" * 40, "`revision`"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_hub_refuses(server, commit, fault, tmp_path):
    server.add("org/gated", {"model_index.json": b"{}"})
    server.gated.add("org/gated")
    repo, revision, facts = FAULTS[fault]
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(repo, revision, watch=Watch(None, None))
    sentence = sentence_of(error)
    assert all(fact in sentence for fact in facts)
    assert not list((tmp_path / "hub").rglob("*.safetensors"))


def test_a_disk_without_room_is_reported_before_the_download(server, commit, monkeypatch, tmp_path):
    usage = namedtuple("Usage", "total used free")(9, 9, 4 * 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    sentence = sentence_of(error)
    for fact in (REPO, "1.0 GB", str(tmp_path / "hub"), "0.4 GB", "MLXVID_MODELS"):
        assert fact in sentence
    assert server.fetched() == ["model_index.json"]


def test_a_cache_that_can_not_be_written(server, commit, tmp_path):
    (tmp_path / "hub").write_text("a file")
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    sentence = sentence_of(error)
    assert REPO in sentence and str(tmp_path / "hub") in sentence and "MLXVID_MODELS" in sentence


@pytest.mark.parametrize("how", ["asked for", "cut off"])
def test_offline_with_everything_here(server, commit, how, monkeypatch):
    folder = hub.download(REPO, watch=Watch(None, None))
    if how == "asked for":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert hub.download(REPO) == hub.download(REPO, commit) == folder


@pytest.mark.parametrize("here", ["nothing", "a part"])
def test_offline_with_less_than_everything_here(server, commit, here, monkeypatch):
    if here == "a part":
        shutil.os.remove(hub.download(REPO, watch=Watch(None, None)) / VAE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    sentence = sentence_of(error)
    assert REPO in sentence and "network" in sentence


def test_a_hub_out_of_reach_is_told_at_once_of_a_pinned_revision_too(server, commit, monkeypatch):
    def sleep(seconds):
        raise AssertionError("nobody waits for a hub that isn't there")

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(ModelNotFoundError, match="network"):
        hub.download(REPO, commit, watch=Watch(None, None))


def test_a_lora_comes_alone_and_an_adapter_with_its_settings(server):
    server.add("org/lora", {"a.safetensors": b"lora", "README.md": b"", "sample.json": b"{}"})
    assert hub.download_file("org/lora", watch=Watch(None, None)).read_bytes() == b"lora"
    server.add(
        "org/peft",
        {
            "x/adapter_model.safetensors": b"weights",
            "x/adapter_config.json": b"{}",
            "b.safetensors": b"b",
        },
    )
    file = hub.download_file("org/peft", "x/adapter_model.safetensors", watch=Watch(None, None))
    assert file.with_name("adapter_config.json").read_bytes() == b"{}"
    assert sorted(server.fetched()) == [
        "a.safetensors",
        "x/adapter_config.json",
        "x/adapter_model.safetensors",
    ]
    choices = ["org/peft", "2", "b.safetensors", "x/adapter_model.safetensors", "org/peft:FILE"]
    for name, facts in ((None, choices), ("c.safetensors", ["c.safet"])):
        with pytest.raises(ModelNotFoundError) as error:
            hub.download_file("org/peft", name)
        sentence = sentence_of(error)
        assert all(fact in sentence for fact in facts)


def test_the_lora_among_a_trainers_checkpoints(server):
    usual = "pytorch_lora_weights.safetensors"
    files = {usual: b"last", "checkpoint-500/" + usual: b"500", "._a.safetensors": b"of macOS"}
    server.add("org/trained", files)
    file = hub.download_file("org/trained", watch=Watch(None, None))
    assert file.read_bytes() == b"last"
    server.add("org/copied", {"a.safetensors": b"a", "._a.safetensors": b"of macOS"})
    assert hub.download_file("org/copied", watch=Watch(None, None)).read_bytes() == b"a"


def test_load_downloads_and_makes_a_clip(server, commit):
    steps = []
    pipe = mlxvid.load(REPO, on_progress=steps.append)
    assert {progress.stage for progress in steps} == {"download"}
    assert (
        pipe.generate("a red ball", seed=1, steps=1).frames.shape == (9, 32, 32, 3)
        and pipe.name == REPO
    )


def test_a_catalog_model_comes_at_its_pinned_revision(server, commit, model, monkeypatch):
    server.add(REPO, {**model, "vae/config.json": b"broken"})
    source = Source(REPO, commit)
    card = dataclasses.replace(CATALOG["mini"], name="tiny", folder=None, source=source)
    monkeypatch.setitem(CATALOG, "tiny", card)
    assert mlxvid.load("tiny", on_progress=[].append).model.path.name == commit


def test_a_catalog_model_is_sampled_as_its_card_says(server, commit, monkeypatch):
    usual = dataclasses.replace(CATALOG["mini"].defaults, steps=6)
    card = dataclasses.replace(CATALOG["mini"], name="tiny", folder=None, defaults=usual)
    card = dataclasses.replace(card, source=Source(REPO, commit), shift=lambda width, height: 17.0)
    monkeypatch.setitem(CATALOG, "tiny", card)
    loaded = mlxvid.load("tiny", on_progress=[].append).model.card
    assert loaded.defaults.steps == 6 and loaded.shift(64, 64) == 17.0


def test_load_can_be_cancelled(server, commit):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        mlxvid.load(REPO, cancel=cancel)


def test_the_worker_reports_its_download(server, commit):
    requests = io.StringIO(json.dumps({"op": "load", "id": "a", "model": REPO}) + "\n")
    answers = io.StringIO()
    assert serve(requests, answers) == 0
    events = [json.loads(line) for line in answers.getvalue().splitlines()]
    reports = [event for event in events if event["event"] == "progress"]
    assert {(event["id"], event["stage"]) for event in reports} == {("a", "download")}
    assert events[-1]["event"] == "loaded" and events[-1]["model"] == REPO


def test_where_a_licence_does_not_hold_is_said_before_the_download(
    server, commit, monkeypatch, caplog
):
    own = CATALOG["mini"].family
    family = dataclasses.replace(own, terms="not on the moon.")
    monkeypatch.setattr(models, "by_pipeline", lambda: dict.fromkeys(own.pipelines, family))

    def nothing_yet(*_) -> None:
        assert caplog.messages == [f"{REPO}: not on the moon."]

    monkeypatch.setattr(fetch, "_require_room", nothing_yet)
    hub.download(REPO, watch=Watch(None, None))
    hub.download(REPO, watch=Watch(None, None))
    assert len(caplog.messages) == 1, "what is here is not downloaded again"


def test_the_licence_of_an_original_release_is_that_of_its_family(server, monkeypatch, caplog):
    card = CATALOG["mini"]
    family = dataclasses.replace(card.family, terms="not on the moon.")
    card = dataclasses.replace(card, family=family, originals=("org/Original",))
    monkeypatch.setitem(CATALOG, "mini", card)
    for repo in ("org/original", "org/other"):
        server.add(repo, {"a.safetensors": b"a"})
        hub.download(repo, patterns=["*.safetensors"], watch=Watch(None, None))
    assert caplog.messages == ["org/original: not on the moon."]
