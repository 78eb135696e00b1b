"""The command: python -m mlxvid.hub."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlxvid import catalog, hub
from mlxvid.catalog import CATALOG
from mlxvid.hub import __main__ as hub_command
from mlxvid.hub import fetch as hub_fetch
from mlxvid.hub.assembly import is_here
from mlxvid.model.card import UNPINNED, Source

from .tiny_repository import REPO, VAE


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


def test_killed_or_ended_and_run_again_it_goes_on(server, model, tmp_path):
    data = os.urandom(3_000_000)
    small = {path: b"w" if path.endswith(".safetensors") else model[path] for path in model}
    server.add(REPO, {**small, "tokenizer/large.model": data})
    server.pace = 0.02
    for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
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
        and (Path(last["path"]) / "tokenizer/large.model").read_bytes() == data
    )
    begins = [int(part.removeprefix("bytes=").removesuffix("-")) for part in server.ranges()]
    assert len(begins) == 2 and 500_000 <= begins[0] < begins[1]


def test_the_commands_answers(server, commit, capsys):
    quiet = ["--progress", "none"]
    assert hub_command.main(["download", REPO, *quiet]) == 0
    assert capsys.readouterr().out.rstrip().endswith(commit)
    assert hub_command.main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["0.0", "GB", REPO]
    assert hub_command.main(["verify", REPO, *quiet]) == 0
    said = capsys.readouterr().out
    assert REPO in said and "complete and valid" in said
    (hub.cached_revision(REPO).folder / VAE).unlink()
    assert hub_command.main(["verify", REPO, *quiet]) == 2
    said = capsys.readouterr().err
    assert VAE in said and REPO in said and "download" in said and said.count("\n") == 1
    assert hub_command.main(["list"]) == 0
    assert "not all of it" in capsys.readouterr().out
    assert hub_command.main(["delete", REPO]) == 0
    said = capsys.readouterr().out
    assert REPO in said and "0.0 GB" in said
    assert hub_command.main(["delete", REPO]) == 0
    assert capsys.readouterr().out.startswith(f"Nothing of {REPO}")


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["download"], ["Give a name", "python -m mlxvid.hub download"]),
        (["list", "mini"], ["Give a name", "python -m mlxvid.hub download"]),
        (["download", "mini"], ["mini", "nothing to download"]),
        (["delete", "minni"], ["'minni'", "did you mean mini?"]),
    ],
)
def test_the_commands_complaints(arguments, facts, capsys):
    assert hub_command.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(fact in said for fact in facts)


def test_a_release_in_several_repositories_is_one_model(server, monkeypatch, capsys):
    """Downloaded, verified and deleted whole, whatever it consists of."""
    places = {"transformer": "org/transformer", "vae": "org/vae"}
    sources = {}
    for component, repo in places.items():
        files = {"config.json": b"{}", "model.safetensors": component.encode()}
        sources[component] = Source(repo, server.add(repo, files))
    more = {"text_encoder/model.safetensors": b"text_encoder", "other/model.safetensors": b"other"}
    commit = server.add("org/more", {"text_encoder/config.json": b"{}", **more})
    sources["text_encoder"] = Source("org/more", commit, subfolder="text_encoder")
    card = dataclasses.replace(CATALOG["mini"], name="parts", folder=None, sources=sources)
    monkeypatch.setitem(CATALOG, "parts", card)
    assert not is_here(card)
    quiet = ["--progress", "none"]
    assert hub_command.main(["download", "parts", *quiet]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert is_here(card), "what else is in a repository doesn't count"
    for component in places:
        assert (folder / component / "model.safetensors").read_bytes() == component.encode()
    assert hub_command.main(["verify", "parts", *quiet]) == 0
    (hub.cached_revision("org/vae", sources["vae"].revision).folder / "model.safetensors").unlink()
    assert hub_command.main(["verify", "parts", *quiet]) == 2
    assert "org/vae" in capsys.readouterr().err
    assert hub_command.main(["delete", "parts", *quiet]) == 0
    assert not hub.repositories()


def test_a_release_without_a_commit_stays_what_it_first_was(server, monkeypatch, capsys):
    begun = {"config.json": b"{}", "model.safetensors": b"first"}
    server.add("org/moving", begun)
    source = Source("org/moving", UNPINNED)
    card = dataclasses.replace(CATALOG["mini"], name="moving", folder=None, sources={"vae": source})
    monkeypatch.setitem(CATALOG, "moving", card)
    assert card.download_size.startswith("about ") and "about" in catalog.listing()

    def downloaded() -> bytes:
        assert hub_command.main(["download", "moving", "--progress", "none"]) == 0
        folder = Path(capsys.readouterr().out.strip())
        return (folder / "vae" / "model.safetensors").read_bytes()

    assert downloaded() == b"first"
    server.add("org/moving", {**begun, "model.safetensors": b"second"})
    assert downloaded() == b"first" and is_here(card)
    assert hub_command.main(["delete", "moving", "--progress", "none"]) == 0
    capsys.readouterr()
    assert downloaded() == b"second"


def test_models_that_lose_shared_files_are_named(server, monkeypatch, capsys):
    commit = server.add("org/vae", {"config.json": b"{}", "model.safetensors": b"vae"})
    mini = CATALOG["mini"]
    for name in ("one", "other"):
        card = dataclasses.replace(
            mini, name=name, folder=None, sources={"vae": Source("org/vae", commit)}
        )
        monkeypatch.setitem(CATALOG, name, card)
    quiet = ["--progress", "none"]
    assert hub_command.main(["download", "one", *quiet]) == 0
    capsys.readouterr()
    assert hub_command.main(["delete", "one", *quiet]) == 0
    assert capsys.readouterr().out.strip().endswith("now: other.")
