"""The catalog: names are found, suggested and listed, and what an entry says of its model is true."""

from __future__ import annotations

import dataclasses
import importlib.util

import pytest

from mlxvid.catalog import CATALOG, find, listing
from mlxvid.errors import MlxvidError, ModelNotFoundError
from mlxvid.model.memory import DTYPE_BYTES, FAMILIES, read_weights


@pytest.fixture
def hub_entry(monkeypatch):
    """One more entry, as a model on the hub would be."""
    entry = dataclasses.replace(
        CATALOG["mini"],
        name="wide-2b",
        folder=None,
        repo="Org/Wide-2B-Diffusers",
        download_bytes=5_400_000_000,
        licence="MIT",
    )
    monkeypatch.setitem(CATALOG, entry.name, entry)
    return entry


def test_a_name_is_found_whatever_its_capitals():
    assert find("mini") is CATALOG["mini"]
    assert find(" Mini ") is CATALOG["mini"]


def test_a_hub_repository_is_found_by_its_id(hub_entry):
    assert find("org/wide-2b-diffusers") is hub_entry


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "minni",
            "There is no model called 'minni' (did you mean mini?); --list-models shows every name.",
        ),
        ("zzz", "There is no model called 'zzz'; --list-models shows every name."),
        ("", "There is no model called ''; --list-models shows every name."),
        ("None", "There is no model called 'None'; --list-models shows every name."),
    ],
)
def test_an_unknown_name_is_one_sentence_with_the_nearest(name, sentence):
    with pytest.raises(ModelNotFoundError) as caught:
        find(name)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, (MlxvidError, OSError))


def test_the_list_tells_packaged_from_downloaded_and_leaves_out_what_is_not_ready(
    hub_entry, monkeypatch
):
    monkeypatch.setitem(CATALOG, "later", dataclasses.replace(hub_entry, name="later", ready=False))
    lines = listing().splitlines()
    assert lines[0].startswith("mini ") and lines[0].endswith(
        "96x96, 33 frames at 16 fps; Apache-2.0; in the package"
    )
    assert lines[-2].endswith("MIT; 5.4 GB to download from Org/Wide-2B-Diffusers")
    assert "later" not in listing()


@pytest.mark.parametrize(
    "change",
    [
        {"capabilities": frozenset({"flying"})},
        {"attention": "sparse"},
        {"repo": "a/b"},
        {"folder": None},
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(change):
    with pytest.raises(ValueError, match="catalog entry mini"):
        dataclasses.replace(CATALOG["mini"], **change)


def test_only_models_with_the_capability_offer_other_attention():
    assert CATALOG["mini"].attention_modes == ("factored", "full", "spatial")
    plain = dataclasses.replace(CATALOG["mini"], capabilities=frozenset(), attention="full")
    assert plain.attention_modes == ("full",)


@pytest.mark.parametrize("entry", CATALOG.values(), ids=lambda entry: entry.name)
def test_an_entry_can_make_its_own_defaults_and_has_a_family(entry):
    frames, width, height, notes = entry.geometry.round(
        entry.defaults.frames, entry.defaults.width, entry.defaults.height
    )
    assert (frames, width, height, notes) == (
        entry.defaults.frames,
        entry.defaults.width,
        entry.defaults.height,
        [],
    )
    assert entry.family in FAMILIES
    assert importlib.util.find_spec(f"mlxvid.models.{entry.family}")


@pytest.mark.parametrize(
    "entry", [e for e in CATALOG.values() if e.folder], ids=lambda entry: entry.name
)
def test_the_stored_parameter_counts_are_those_of_the_packaged_files(entry):
    counts = {
        component: round(
            sum(size / DTYPE_BYTES[dtype] for dtype, size in types.items() if dtype in DTYPE_BYTES)
        )
        for component, types in read_weights(entry.folder).items()
    }
    assert counts == pytest.approx(entry.footprint.parameters, rel=0.01)
