"""A queue's jobs, and a runner whose worker is a script."""

from __future__ import annotations

import sys

import pytest

from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.core.worker_client import WorkerClient

SETTINGS = {
    "model": "mini",
    "prompt": "a ball",
    "width": 96,
    "height": 96,
    "frames": 33,
    "steps": 20,
    "guidance": 3.0,
    "seed": 5,
    "fps": 16.0,
}


def job(prompt: str, **settings) -> Job:
    return Job({**SETTINGS, "prompt": prompt, **settings})


@pytest.fixture
def make_runner(database, choices, preferences):
    """A function that makes a runner whose worker is this script."""
    clients = []

    def make(script="sys.stdin.read()", choices=choices):
        clients.append(
            WorkerClient([sys.executable, "-S", "-c", f"import sys, os, json\n{script}"])
        )
        return Runner(database, clients[-1], choices, preferences)

    yield make
    for client in clients:
        client.shutdown()
