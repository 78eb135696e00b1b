"""Tiny decoders from GitHub, of which the commit and the hash of the file are known."""

from __future__ import annotations

import hashlib

import pytest

from mlxvid import models
from mlxvid.hub import __main__ as hub_command
from mlxvid.hub.tiny import tiny_path
from mlxvid.model.tiny import TinyDecoder

CONTENT = b"a small decoder" * 1000
QUIET = ["--progress", "none"]


@pytest.fixture
def tiny(server, monkeypatch):
    """A tiny decoder whose file a server on this machine has."""
    commit = server.add("org/tiny", {"model.safetensors": CONTENT})
    url = f"{server.address}/org/tiny/resolve/{commit}/model.safetensors"
    monkeypatch.setattr(TinyDecoder, "url", url)
    made = TinyDecoder("tae", git_hash(CONTENT), len(CONTENT))
    monkeypatch.setattr(models, "tiny_decoders", lambda: {"tae": made})
    return made


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_it_is_fetched_once(tiny, server, capsys):
    for _ in range(2):
        assert hub_command.main(["download", "tae", *QUIET]) == 0
        assert capsys.readouterr().out.strip() == str(tiny_path(tiny))
    assert tiny_path(tiny).read_bytes() == CONTENT
    assert len(list(tiny_path(tiny).parent.iterdir())) == 1
    assert len([path for _, path, _ in server.requests if "tiny" in path]) <= 2  # a redirect


def test_a_damaged_one_is_not_kept(tiny, server, capsys):
    server.flip = True
    assert hub_command.main(["download", "tae", *QUIET]) == 2
    assert tiny.url in capsys.readouterr().err
    assert not tiny_path(tiny).exists()


def test_a_server_that_is_out_of_reach(tiny, server, capsys):
    server.status = 404
    assert hub_command.main(["download", "tae", *QUIET]) == 2
    said = capsys.readouterr().err
    assert tiny.url in said and "out of reach" in said and said.count("\n") == 1


def test_a_cache_that_takes_nothing(tiny, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLXVID_CACHE", str(tmp_path / "file"))
    assert hub_command.main(["download", "tae", *QUIET]) == 2
    assert "MLXVID_CACHE" in capsys.readouterr().err
