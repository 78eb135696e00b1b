"""A worker in an empty folder, with and without a model."""

from __future__ import annotations

import pytest

from .client import Client


@pytest.fixture
def client(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    client = Client(folder)
    ready = client.event()
    assert ready.pop("machine")["total"] > 2**28
    assert ready == {"event": "ready", "mlxvid": "0.1.0", "protocol": 1}
    yield client
    client.process.kill()
    client.process.wait()


@pytest.fixture
def loaded(client, tiny_folder):
    """The worker with the tiny model in memory."""
    client.send(op="load", id="model", model=str(tiny_folder))
    client.until("loaded", id="model")
    return client
