"""The token in Settings: asked of a hub on this machine, kept where the hub's client keeps it."""

from __future__ import annotations

import pytest
from huggingface_hub import constants, get_token, hf_api

from mlxvid.gui.dialogs.token_row import TokenRow
from tests.hub.fake_hub import FakeHub


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "stored_tokens"))
    with FakeHub(people={"hf_good": "ann"}).serving() as server:
        monkeypatch.setattr(hf_api.api, "endpoint", server.address)
        yield server


@pytest.fixture
def row(server, themed, qtbot):
    row = TokenRow()
    qtbot.addWidget(row)
    qtbot.waitUntil(lambda: "Not set" in row.note.text())
    yield row
    row.stop()


def test_a_good_token_is_kept_tested_and_forgotten(row, qtbot):
    assert not row.save.isEnabled() and not row.test.isVisibleTo(row)
    row.field.setText(" hf_good ")
    row.save.click()
    qtbot.waitUntil(lambda: "ann" in row.note.text())
    assert get_token() == "hf_good"
    assert row.field.text() == ""  # it is nowhere to be read
    row.test.click()
    qtbot.waitUntil(lambda: "knows" in row.note.text())
    row.forget.click()
    qtbot.waitUntil(lambda: "forgotten" in row.note.text())
    assert get_token() is None
    assert not row.test.isVisibleTo(row)


def test_a_wrong_token_is_not_kept(row, qtbot):
    row.field.setText("hf_wrong")
    row.save.click()
    qtbot.waitUntil(lambda: "does not know" in row.note.text())
    assert get_token() is None
    assert row.field.text() == "hf_wrong"  # to be corrected


def test_a_hub_out_of_reach_is_told(row, qtbot, server, monkeypatch):
    monkeypatch.setattr(hf_api.api, "endpoint", "http://127.0.0.1:9")
    row.field.setText("hf_good")
    row.save.click()
    qtbot.waitUntil(lambda: "reach" in row.note.text(), timeout=20_000)


def test_a_token_given_from_outside_is_not_changed_here(row, monkeypatch, themed, qtbot):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    other = TokenRow()
    qtbot.addWidget(other)
    qtbot.waitUntil(lambda: "is set" in other.note.text())
    assert not other.field.isEnabled()
    assert other.test.isVisibleTo(other) and not other.forget.isVisibleTo(other)
    other.stop()
