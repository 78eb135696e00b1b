"""What the cache holds: found, verified and deleted without the network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mlxvid import hub
from mlxvid.errors import ModelNotFoundError
from mlxvid.progress import Watch

from .tiny_repository import REPO, REQUIRED, VAE, sentence_of


def test_what_is_here_and_how_it_goes(server, commit, model, tmp_path):
    assert hub.cached_revision(REPO) is None and not hub.cached(REPO)
    assert hub.size_on_disk(REPO) == hub.delete(REPO) == 0
    assert hub.repositories() == {}
    folder = hub.download(REPO, watch=Watch(None, None))
    size = sum(len(model[name]) for name in REQUIRED)
    assert hub.cached(REPO)
    assert hub.size_on_disk(REPO) == size
    assert hub.repositories() == {REPO: True}
    assert hub.cached_revision(REPO, commit).size == size
    assert hub.cached_revision(REPO).missing == []
    (folder / VAE).unlink()
    assert not hub.cached(REPO)
    assert hub.repositories() == {REPO: False}
    assert hub.cached_revision(REPO).missing == [VAE]
    assert hub.delete(REPO) == size
    assert not hub.cached(REPO)
    assert hub.size_on_disk(REPO) == 0
    assert hub.repositories() == {}
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
    assert all((folder / name).read_bytes() == model[name] for name in REQUIRED)


def test_what_is_not_here_can_not_be_verified(server):
    with pytest.raises(ModelNotFoundError) as error:
        hub.verify(REPO)
    sentence = sentence_of(error)
    assert REPO in sentence and "download" in sentence


def test_looking_at_the_cache_needs_no_mlx(tmp_path):
    code = (
        "import sys, mlxvid.hub as hub; hub.cached('a/b'); hub.repositories(); "
        "print('mlx.core' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.stdout == "False\n", run.stderr
