"""Transfers that break, stop or arrive damaged: resumed, and nothing damaged is kept."""

from __future__ import annotations

import os
import threading
import time

import pytest

from mlxvid import hub
from mlxvid.errors import CancelledError, ModelNotFoundError, WeightsError
from mlxvid.hub import fetch as hub_fetch
from mlxvid.progress import Watch

from .tiny_repository import REPO, REQUIRED, TRANSFORMER, parts, sentence_of


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, commit, model):
    server.breaks = 3
    server.break_after = 20_000
    folder = hub.download(REPO, watch=Watch(None, None))
    assert (folder / TRANSFORMER).read_bytes() == model[TRANSFORMER]
    assert "bytes=20000-" in server.ranges() and len(server.ranges()) == 3


def test_a_download_that_failed_goes_on_in_the_next(server, commit, model, tmp_path):
    server.breaks = 10**6
    server.break_after = 0  # large files don't come at all
    with pytest.raises(ModelNotFoundError) as error:
        hub.download(REPO, watch=Watch(None, None))
    sentence = sentence_of(error)
    assert REPO in sentence and "out of reach" in sentence
    assert not hub.cached(REPO)
    # One of the four files breaks, twice maybe, and then the server is gone.
    server.breaks = 4
    server.break_after = 5_000
    server.requests.clear()
    steps = []
    cancel = threading.Event()
    server.pace = 0.05

    def on_progress(progress):
        steps.append(progress)
        if sum(parts(tmp_path)) > 20_000:
            cancel.set()

    with pytest.raises(CancelledError):
        hub.download(REPO, watch=Watch(on_progress, cancel))
    kept = sum(parts(tmp_path))
    assert kept > 20_000
    server.breaks = 0
    server.pace = 0
    server.requests.clear()
    folder = hub.download(REPO, watch=Watch(None, None))
    assert server.ranges() and not parts(tmp_path)
    assert all((folder / name).read_bytes() == model[name] for name in REQUIRED)


def test_a_server_that_sends_no_parts_sends_it_all_again(server, commit, model):
    server.breaks = 2
    server.break_after = 20_000
    server.ignore_range = True
    folder = hub.download(REPO, watch=Watch(None, None))
    assert all((folder / name).read_bytes() == model[name] for name in REQUIRED)


def test_damaged_bytes_are_not_taken(server, commit, model, tmp_path):
    server.flip = True
    with pytest.raises(WeightsError) as error:
        hub.download(REPO, watch=Watch(None, None))
    assert "damaged" in sentence_of(error)
    server.flip = False
    folder = hub.download(REPO, watch=Watch(None, None))
    assert all((folder / name).read_bytes() == model[name] for name in REQUIRED) and not parts(
        tmp_path
    )


def test_cancelled_within_a_second_and_nothing_goes_on(server, tmp_path):
    commit = server.add(REPO, {"weights.safetensors": os.urandom(4_000_000)})
    server.pace = 0.02
    cancel = threading.Event()
    steps = []

    def on_progress(progress):
        steps.append(progress)
        if progress.step >= 1:
            cancel.set()

    with pytest.raises(CancelledError) as error:
        hub.download(REPO, commit, watch=Watch(on_progress, cancel))
    cancelled = time.monotonic()
    assert sentence_of(error) == hub_fetch.KEPT
    assert steps[-1].stage == "download" and steps[-1].total == 4 and 1 <= steps[-1].step < 4
    time.sleep(0.2)
    (kept,) = parts(tmp_path)
    time.sleep(0.2)
    assert (
        parts(tmp_path) == [kept] and 10**6 <= kept < 4 * 10**6 and time.monotonic() - cancelled < 1
    )
    server.pace = 0
    again = []
    hub.download(REPO, commit, watch=Watch(again.append, None))
    assert (
        server.ranges() == [f"bytes={kept}-"]
        and again[0].step == kept // 10**6
        and again[-1].step == 4
    )


def test_a_server_that_hangs_does_not_hold_up_a_cancel(server, commit):
    server.pace = 60
    cancel = threading.Event()
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
    large = [
        path for method, path, _ in server.requests if method == "GET" and path.startswith("/lfs/")
    ]
    assert len(large) == 4
