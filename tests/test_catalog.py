"""The catalog: names are found, suggested and listed, and what a card says of its model is true."""

from __future__ import annotations

import dataclasses

import pytest

from mlxvid.catalog import CATALOG, card_of, find, listing
from mlxvid.errors import ModelNotFoundError, WeightsError
from mlxvid.model.card import Card, Source
from mlxvid.model.memory import DTYPE_BYTES
from mlxvid.weights.sizes import read_sizes


def by_name(card: Card) -> str:
    return card.name


@pytest.fixture
def hub_card(monkeypatch) -> Card:
    """One more card, as a model on the hub would have."""
    card = dataclasses.replace(
        CATALOG["mini"],
        name="wide-2b",
        folder=None,
        source=Source("Org/Wide-2B-Diffusers", "0123abc"),
        download_bytes=5_400_000_000,
        licence="MIT",
    )
    monkeypatch.setitem(CATALOG, card.name, card)
    return card


def test_a_name_is_found_whatever_its_capitals():
    assert find("mini") is CATALOG["mini"]
    assert find(" Mini ") is CATALOG["mini"]


def test_a_hub_repository_is_found_by_its_id(hub_card):
    assert find("org/wide-2b-diffusers") is hub_card


def test_a_card_in_several_places_is_found_by_its_first(monkeypatch):
    sources = {"transformer": Source("a/one", "1"), "vae": Source("b/two", "2", "vae")}
    card = dataclasses.replace(CATALOG["mini"], name="split", folder=None, sources=sources)
    monkeypatch.setitem(CATALOG, card.name, card)
    assert (card.repository, card.revision) == ("a/one", "1")
    assert card.places == tuple(sources.values())
    assert find("A/One") is card
    with pytest.raises(ModelNotFoundError):
        find("b/two")


@pytest.mark.parametrize(
    ("name", "near"), [("minni", "did you mean mini?"), ("zzz", None), ("", None), ("None", None)]
)
def test_an_unknown_name_is_refused_with_the_nearest(name, near):
    with pytest.raises(ModelNotFoundError) as caught:
        find(name)
    said = str(caught.value)
    assert repr(name) in said
    assert "`list_models`" in said
    assert near in said if near else "did you mean" not in said
    assert isinstance(caught.value, OSError)


def test_a_card_is_that_of_a_name_or_a_local_folder(tiny_folder, tmp_path):
    assert card_of("mini") is CATALOG["mini"]
    assert card_of(str(tiny_folder)).folder == tiny_folder
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        card_of(str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError, match=str(tmp_path)):
        card_of(str(tmp_path))


def test_the_list_tells_packaged_from_downloaded(hub_card):
    lines = listing().splitlines()
    assert lines[0].startswith("mini ")
    for fact in ("96x96", "33 frames", "16 fps", "Apache-2.0", "in the package"):
        assert fact in lines[0]
    for fact in ("MIT", "5.4 GB", "Org/Wide-2B-Diffusers"):
        assert fact in lines[-2]
    assert lines[-1].strip() == hub_card.description


def test_every_model_is_listed_by_two_lines():
    lines = listing().splitlines()
    assert [line.split()[0] for line in lines[::2]] == list(CATALOG)
    for line, card in zip(lines[1::2], CATALOG.values(), strict=True):
        assert line.strip() == card.description


@pytest.mark.parametrize(
    "change",
    [
        {"takes": frozenset({"flying"})},
        {"needs": frozenset({"flying"})},
        {"takes": frozenset(), "needs": frozenset({"image"})},
        {"attention_modes": ("sparse",)},
        {"samplers": ()},
    ],
)
def test_a_card_that_contradicts_itself_is_refused(change):
    with pytest.raises(ValueError, match="card mini"):
        dataclasses.replace(CATALOG["mini"], **change)


@pytest.mark.parametrize("card", [card for card in CATALOG.values() if card.folder], ids=by_name)
def test_the_stored_parameter_counts_are_those_of_the_packaged_files(card):
    counts = {}
    for component, types in read_sizes(card.folder).items():
        numbers = [size / DTYPE_BYTES[name] for name, size in types.items() if name in DTYPE_BYTES]
        counts[component] = round(sum(numbers))
    assert counts == pytest.approx(card.parameters, rel=0.01)
