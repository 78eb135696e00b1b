"""Downloads, from a hub on this machine that speaks the real one's protocol: nothing too much,
nothing twice, nothing damaged.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest
import safetensors.torch
import torch
from huggingface_hub import constants

import mlxvid
from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.errors import CancelledError, ModelNotFoundError, WeightsError
from mlxvid.hub import __main__ as hub_command
from mlxvid.hub import fetch as hub_fetch
from mlxvid.hub import transfer
from mlxvid.hub.selection import PATTERNS, needed
from mlxvid.model.card import Source
from mlxvid.progress import Watch
from mlxvid.worker import serve

from .fake_hub import FakeHub, folder_files

REPO = "org/tiny"
VAE = "vae/diffusion_pytorch_model.safetensors"
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
NEEDED = {
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


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub, and a client with an empty cache that knows no other."""
    with FakeHub().serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(transfer, "PAUSE", 0.01)
        yield server


@pytest.fixture
def model(tiny_folder):
    """The tiny model's files, and what lies beside such files on the hub."""
    files = {**folder_files(tiny_folder), **DECOYS}
    index = json.loads(files["model_index.json"])
    parts = {
        name: ["mlxvid", "Network"] for name in ("vae", "text_encoder", "tokenizer", "transformer")
    }
    return {
        **files,
        "model_index.json": json.dumps({**index, **parts, "safety_checker": [None, None]}).encode(),
    }


@pytest.fixture
def commit(server, model):
    return server.add(REPO, model)


def sentence_of(error) -> str:
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and "Error" not in text
    return text


def parts(tmp_path) -> list[int]:
    return [path.stat().st_size for path in (tmp_path / "hub").glob("*/blobs/*.incomplete")]


# --- what is fetched ------------------------------------------------------------------------------


def test_only_what_is_needed_is_fetched_and_once(server, commit, model):
    folder = hub.download(REPO, watch=Watch(None, None))
    assert set(folder_files(folder)) == NEEDED and folder.name == commit
    assert all((folder / name).read_bytes() == model[name] for name in NEEDED)
    assert sorted(server.fetched()) == sorted(NEEDED)
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


@pytest.mark.parametrize(
    ("paths", "index", "expected"),
    [
        (
            "a.json b.txt c.model d.safetensors e.bin f.md x/g.json",
            None,
            "a.json b.txt c.model d.safetensors x/g.json",
        ),
        (
            "model_index.json a.safetensors",
            {"_class_name": "P", "list": [1, 2]},
            "model_index.json a.safetensors",
        ),
        (
            "t/m.safetensors t/m-00001-of-00002.safetensors t/m-00002-of-00002.safetensors t/m.safetensors.index.json",
            "t",
            "t/m-00001-of-00002.safetensors t/m-00002-of-00002.safetensors t/m.safetensors.index.json",
        ),
        (
            "t/m.safetensors t/m.fp16.safetensors t/m-00001-of-00002.fp16.safetensors t/m.fp16-00001-of-00002.safetensors "
            "t/m.safetensors.index.fp16.json t/tokenizer_config.json",
            "t",
            "t/m.safetensors t/tokenizer_config.json",
        ),
        ("t/m.fp16.safetensors t/config.json", "t", "t/config.json t/m.fp16.safetensors"),
        (
            "t/m.safetensors t2/m.safetensors u/m.safetensors tt/m.safetensors",
            "t t2",
            "t/m.safetensors t2/m.safetensors",
        ),
        (
            "t/m.safetensors t/m.bin t/m.safetensors.index.json t/m-00001-of-00001.safetensors t/m.bin.index.json",
            "t",
            "t/m-00001-of-00001.safetensors t/m.safetensors.index.json",
        ),
        (
            "t/pytorch_model.bin t/config.json v/m.pth",
            "t v",
            "t/config.json t/pytorch_model.bin v/m.pth",
        ),
        (
            "t/model.safetensors t/pytorch_model.bin v/m.bin v/m.fp16.bin v/old.ckpt m.bin",
            "t v",
            "t/model.safetensors v/m.bin",
        ),
        (
            "t/m.fp16.safetensors t/m-00001-of-00001.bin t/m.bin.index.json",
            "t",
            "t/m.fp16.safetensors",
        ),
    ],
)
def test_which_files_are_needed(paths, index, expected):
    index = (
        {name: ["library", "Class"] for name in index.split()} if isinstance(index, str) else index
    )
    assert sorted(needed(paths.split(), index, PATTERNS)) == sorted(expected.split())
    with_torch = [
        *PATTERNS,
        "*.bin",
        "*.pth",
    ]  # as to convert, for which other layouts' files count too
    assert index is None or sorted(needed(paths.split(), index, with_torch)) == sorted(
        expected.split()
    )


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
    assert set(server.fetched()) == NEEDED - {"text_encoder/model.safetensors"} | {
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


# --- broken off -----------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, commit, model):
    server.breaks, server.break_after = 3, 20_000
    folder = hub.download(REPO, watch=Watch(None, None))
    assert (folder / TRANSFORMER).read_bytes() == model[TRANSFORMER]
    assert "bytes=20000-" in server.ranges() and len(server.ranges()) == 3


def test_a_download_that_failed_goes_on_in_the_next(server, commit, model, tmp_path):
    server.breaks, server.break_after = 10**6, 0  # large files don't come at all
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    assert (
        sentence_of(error)
        == "org/tiny is not all on this machine, and the hub is out of reach; check the network, or give a folder."
    )
    assert not hub.cached(REPO)
    server.breaks, server.break_after = (
        4,
        5_000,
    )  # one of the four files breaks, twice maybe, and then the server is gone
    server.requests.clear()
    steps = []
    cancel = threading.Event()
    server.pace = 0.05
    with pytest.raises(CancelledError):
        hub.download(
            REPO,
            watch=Watch(
                lambda progress: (
                    steps.append(progress),
                    sum(parts(tmp_path)) > 20_000 and cancel.set(),
                ),
                cancel,
            ),
        )
    kept = sum(parts(tmp_path))
    assert kept > 20_000
    server.breaks, server.pace = 0, 0
    server.requests.clear()
    folder = hub.download(REPO, watch=Watch(None, None))
    assert server.ranges() and not parts(tmp_path)
    assert all((folder / name).read_bytes() == model[name] for name in NEEDED)


def test_a_server_that_sends_no_parts_sends_it_all_again(server, commit, model):
    server.breaks, server.break_after, server.ignore_range = 2, 20_000, True
    folder = hub.download(REPO, watch=Watch(None, None))
    assert all((folder / name).read_bytes() == model[name] for name in NEEDED)


def test_damaged_bytes_are_not_taken(server, commit, model, tmp_path):
    server.flip = True
    with pytest.raises(WeightsError) as error:
        hub.download(REPO, watch=Watch(None, None))
    assert sentence_of(error).endswith(
        " arrives damaged; download it later, or by another network."
    )
    server.flip = False
    folder = hub.download(REPO, watch=Watch(None, None))
    assert all((folder / name).read_bytes() == model[name] for name in NEEDED) and not parts(
        tmp_path
    )


def test_cancelled_within_a_second_and_nothing_goes_on(server, tmp_path):
    commit = server.add(REPO, {"weights.safetensors": os.urandom(4_000_000)})
    server.pace, cancel, steps = 0.02, threading.Event(), []

    def on_progress(progress):
        steps.append(progress)
        if progress.step >= 1:
            cancel.set()

    with pytest.raises(CancelledError) as error:
        hub.download(REPO, commit, watch=Watch(on_progress, cancel))
    cancelled = time.monotonic()
    assert (
        sentence_of(error)
        == "Stopped; what is here by now is kept, and the next download goes on from there."
    )
    assert steps[-1].stage == "download" and steps[-1].total == 4 and 1 <= steps[-1].step < 4
    time.sleep(0.2)
    (kept,) = parts(tmp_path)
    time.sleep(0.2)
    assert (
        parts(tmp_path) == [kept] and 10**6 <= kept < 4 * 10**6 and time.monotonic() - cancelled < 1
    )
    server.pace, again = 0, []
    hub.download(REPO, commit, watch=Watch(again.append, None))
    assert (
        server.ranges() == [f"bytes={kept}-"]
        and again[0].step == kept // 10**6
        and again[-1].step == 4
    )


def test_a_server_that_hangs_does_not_hold_up_a_cancel(server, commit):
    server.pace, cancel = 60, threading.Event()
    threading.Timer(0.5, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(CancelledError):
        hub.download(REPO, commit, watch=Watch(None, cancel))
    assert time.monotonic() - start < 2


def test_two_at_once_fetch_everything_once(server, commit):
    server.pace = 0.01
    both = [
        threading.Thread(
            target=hub.download, args=(REPO, commit), kwargs={"watch": Watch(None, None)}
        )
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(30)
    assert hub.cached(REPO, commit) and hub.verify(REPO, commit, Watch(None, None)) == []
    assert (
        sum(path.startswith("/lfs/") for method, path, _ in server.requests if method == "GET") == 4
    )


# --- what is told ---------------------------------------------------------------------------------


def test_progress_goes_up_to_its_end_and_the_hub_shows_no_bars(server, commit, capfd):
    steps = []
    hub.download(REPO, watch=Watch(steps.append, None))
    assert {progress.stage for progress in steps} == {"download"}
    told = [progress.step for progress in steps]
    assert told == sorted(told) and told[-1] == steps[-1].total
    assert capfd.readouterr() == ("", "")


def test_without_a_watch_there_is_a_bar(server, commit, capfd):
    hub.download(REPO)
    assert "download" in capfd.readouterr().err


FAULTS = {
    "unknown": (
        "no/such",
        None,
        "The hub has no model 'no/such'; check the spelling, or log in with `hf auth login` if it is private.",
    ),
    "no name": (
        "--/--",
        None,
        "The hub has no model '--/--'; check the spelling, or log in with `hf auth login` if it is private.",
    ),
    "gated": (
        "org/gated",
        None,
        "org/gated is gated: ask for access on https://huggingface.co/org/gated, then log in with `hf auth login`.",
    ),
    "revision": (
        REPO,
        "v9",
        "org/tiny has no revision 'v9'; name one that the hub lists, or none.",
    ),
    "commit": (
        REPO,
        "0" * 40,
        f"org/tiny has no revision '{'0' * 40}'; name one that the hub lists, or none.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_hub_refuses(server, commit, fault, tmp_path):
    server.add("org/gated", {"model_index.json": b"{}"})
    server.gated.add("org/gated")
    repo, revision, sentence = FAULTS[fault]
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(repo, revision, watch=Watch(None, None))
    assert sentence_of(error) == sentence
    assert not list((tmp_path / "hub").rglob("*.safetensors"))


def test_a_disk_without_room_is_told_before_the_download(server, commit, monkeypatch, tmp_path):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: namedtuple("Usage", "total used free")(9, 9, 4 * 10**8)
    )
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    assert sentence_of(error) == (
        f"org/tiny needs 1.0 GB of room in {tmp_path / 'hub'}, which has 0.4 GB; make room, or set HF_HOME to a folder on another disk."
    )
    assert server.fetched() == ["model_index.json"]


def test_a_cache_that_can_not_be_written(server, commit, tmp_path):
    (tmp_path / "hub").write_text("a file")
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    assert sentence_of(error).startswith(f"org/tiny can't be kept in {tmp_path / 'hub'} (")


# --- offline --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["told", "cut off"])
def test_offline_with_everything_here(server, commit, how, monkeypatch):
    folder = hub.download(REPO, watch=Watch(None, None))
    if how == "told":
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
    assert (
        sentence_of(error)
        == "org/tiny is not all on this machine, and the hub is out of reach; check the network, or give a folder."
    )


# --- what is here ---------------------------------------------------------------------------------


def test_what_is_here_and_how_it_goes(server, commit, model, tmp_path):
    assert (
        hub.find(REPO),
        hub.cached(REPO),
        hub.size_on_disk(REPO),
        hub.repositories(),
        hub.delete(REPO),
    ) == (None, False, 0, {}, 0)
    folder = hub.download(REPO, watch=Watch(None, None))
    size = sum(len(model[name]) for name in NEEDED)
    assert (hub.cached(REPO), hub.size_on_disk(REPO), hub.repositories()) == (
        True,
        size,
        {REPO: True},
    )
    assert hub.find(REPO, commit).size == size and hub.find(REPO).missing == []
    (folder / VAE).unlink()
    assert (hub.cached(REPO), hub.repositories(), hub.find(REPO).missing) == (
        False,
        {REPO: False},
        [VAE],
    )
    assert hub.delete(REPO) == size
    assert (hub.cached(REPO), hub.size_on_disk(REPO), hub.repositories()) == (False, 0, {})
    assert not list((tmp_path / "hub").rglob("*tiny*"))


def test_verify_finds_what_is_damaged_and_the_next_download_mends_it(server, commit, model):
    folder = hub.download(REPO, watch=Watch(None, None))
    steps = []
    assert hub.verify(REPO, watch=Watch(steps.append, None)) == []
    assert steps[-1].stage == "verify" and steps[-1].step == steps[-1].total
    for name, change in (
        (VAE, lambda data: data[:-1] + b"\0" + data[:0]),
        ("vae/config.json", lambda data: b" " + data),
    ):
        blob = (folder / name).resolve()
        blob.write_bytes(change(blob.read_bytes()))
    (folder / "tokenizer/spiece.model").unlink()
    damaged = ["tokenizer/spiece.model", "vae/config.json", VAE]
    assert sorted(hub.verify(REPO, watch=Watch(None, None))) == damaged
    server.requests.clear()
    hub.download(REPO, watch=Watch(None, None))
    assert sorted(server.fetched()) == ["vae/config.json", VAE], (
        "the tokenizer's file was there, and lacked its link only"
    )
    assert hub.verify(REPO, watch=Watch(None, None)) == []
    assert all((folder / name).read_bytes() == model[name] for name in NEEDED)


def test_what_is_not_here_can_not_be_verified(server):
    with pytest.raises(ModelNotFoundError) as error:
        hub.verify(REPO)
    assert sentence_of(error) == "Nothing of org/tiny is on this machine; download it first."


# --- single files ---------------------------------------------------------------------------------


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
    for name, sentence in (
        (None, "org/peft has 2 .safetensors files; name one of them as in org/peft:FILE."),
        (
            "c.safetensors",
            "org/peft has no file 'c.safetensors'; look at what is there on https://huggingface.co/org/peft/tree/main.",
        ),
    ):
        with pytest.raises(ModelNotFoundError) as error:
            hub.download_file("org/peft", name)
        assert sentence_of(error) == sentence


# --- to the clip ----------------------------------------------------------------------------------


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


def test_load_can_be_cancelled(server, commit):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        mlxvid.load(REPO, cancel=cancel)


def test_the_worker_tells_of_its_download(server, commit):
    requests = io.StringIO(json.dumps({"op": "load", "id": "a", "model": REPO}) + "\n")
    answers = io.StringIO()
    assert serve(requests, answers) == 0
    events = [json.loads(line) for line in answers.getvalue().splitlines()]
    told = [event for event in events if event["event"] == "progress"]
    assert told and {(event["id"], event["stage"]) for event in told} == {("a", "download")}
    assert events[-1]["event"] == "loaded" and events[-1]["model"] == REPO


# --- the command ----------------------------------------------------------------------------------


def start(server, cache, *arguments) -> subprocess.Popen:
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.address,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "mlxvid.hub", *arguments, "--progress", "json"]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_or_ended_and_run_again_it_goes_on(server, tmp_path):
    data = os.urandom(3_000_000)
    server.add(REPO, {"weights.safetensors": data, "config.json": b"{}"})
    server.pace = 0.02
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)):
        run = start(server, tmp_path / "hub", "download", REPO)
        begin = json.loads(run.stdout.readline())["step"]
        while json.loads(run.stdout.readline())["step"] == begin:
            pass
        run.send_signal(end)
        _, errors = run.communicate(timeout=10)
        assert run.returncode == code
        assert errors == ("" if code < 0 else f"{hub_fetch.KEPT}\n")
    server.pace = 0
    run = start(server, tmp_path / "hub", "download", REPO)
    lines, errors = run.communicate(timeout=20)
    assert (run.returncode, errors) == (0, "")
    last = json.loads(lines.splitlines()[-1])
    assert (
        last["event"] == "downloaded"
        and (Path(last["path"]) / "weights.safetensors").read_bytes() == data
    )
    begins = [int(part.removeprefix("bytes=").removesuffix("-")) for part in server.ranges()]
    assert len(begins) == 2 and 10**6 <= begins[0] < begins[1]


def test_the_commands_words(server, commit, capsys):
    size = f"{hub.size_on_disk(REPO)}"
    assert hub_command.main(["download", REPO, "--progress", "none"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(commit)
    assert hub_command.main(["list"]) == 0
    assert capsys.readouterr().out == f"     0.0 GB  {REPO}\n"
    assert hub_command.main(["verify", REPO, "--progress", "none"]) == 0
    assert capsys.readouterr().out == "org/tiny is whole and sound.\n"
    (hub.find(REPO).folder / VAE).unlink()
    assert hub_command.main(["verify", REPO, "--progress", "none"]) == 2
    assert (
        capsys.readouterr().err
        == f"{VAE} of org/tiny was damaged or missing, and is removed; download the model again.\n"
    )
    assert hub_command.main(["delete", REPO]) == 0
    assert capsys.readouterr().out == "org/tiny is deleted; 0.0 GB are free again.\n"
    assert hub_command.main(["delete", REPO]) == 0
    assert capsys.readouterr().out == "Nothing of org/tiny was on this machine.\n" and size == "0"


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["download"], ["python -m mlxvid.hub download NAME"]),
        (["list", "mini"], ["python -m mlxvid.hub download NAME"]),
        (["download", "mini"], ["mini comes with mlxvid", "nothing to download"]),
        (["delete", "minni"], ["'minni'", "did you mean mini?", "--list-models"]),
    ],
)
def test_the_commands_complaints(arguments, facts, capsys):
    assert hub_command.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for fact in facts:
        assert fact in said


def test_looking_at_the_cache_needs_no_mlx(tmp_path):
    code = "import sys, mlxvid.hub as hub; hub.cached('a/b'); hub.repositories(); print('mlx.core' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.stdout == "False\n", run.stderr
