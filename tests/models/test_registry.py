"""Every registered family keeps the contract: what is incomplete fails here, not at a user's."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import is_dataclass

import mlx.nn as nn
import pytest

from mlxvid import models
from mlxvid.model import base
from mlxvid.model.samplers import FLOW
from mlxvid.model.settings import SETTINGS
from mlxvid.schedulers import SAMPLERS

FAMILIES = models.families()
CARDS = models.cards()


def by_name(item):
    return item.name


@pytest.mark.parametrize("family", FAMILIES, ids=by_name)
class TestFamily:
    def test_its_model_is_one(self, family):
        cls = family.load(family.model)
        assert issubclass(cls, base.Model)
        assert cls.decode is not base.Model.decode
        # Prompts of lengths of their own can't be one batch of conditions.
        own_rows = cls.encode_text is not base.Model.encode_text
        assert own_rows or cls.conditions is not base.Model.conditions
        # Steps and predictions come from the model, or from a shot of the family's own.
        for method in ("scheduler", "predict"):
            own = getattr(cls, method) is not getattr(base.Model, method)
            assert own or cls.shot is not base.Model.shot, method

    def test_its_parts_are_networks_with_configs(self, family):
        for component, part in family.parts.items():
            network = family.network(component)
            assert issubclass(network, nn.Module) and is_dataclass(part.config)
            assert not part.quantized or hasattr(network, "quantizable")
            assert list(inspect.signature(network).parameters) == ["config"]
        assert {part.stage for part in family.parts.values()} == {"encode", "denoise", "decode"}

    def test_its_tiny_decoder_is_a_file_of_the_release(self, family):
        tiny = family.tiny_decoder
        cards = [card for card in CARDS if card.family is family]
        assert all(("draft_decode" in card.takes) == (tiny is not None) for card in cards)
        assert tiny is None or re.fullmatch("[0-9a-f]{40}", tiny.blob) and tiny.name in tiny.url

    def test_its_layouts_are_modules_of_the_converter(self, family):
        for layout in family.layouts:
            module = importlib.import_module(f"mlxvid.convert.layouts.{layout}")
            assert callable(module.recognises) and callable(module.read_release)

    def test_its_presets_can_be_given(self, family):
        for settings in family.presets.values():
            for name, value in settings.items():
                SETTINGS[name].checked(value)
                assert name != "sampler" or value in SAMPLERS

    def test_its_options_are_nobody_elses(self, family):
        others = [other for other in FAMILIES if other is not family]
        taken = {option.name for other in others for option in other.options}
        own = {option.name for option in family.options}
        assert not own & (taken | SETTINGS.keys())

    def test_its_pipelines_are_nobody_elses(self, family):
        for pipeline in family.pipelines:
            assert models.by_pipeline()[pipeline] is family


@pytest.mark.parametrize("card", CARDS, ids=by_name)
class TestCard:
    def test_it_can_be_had(self, card):
        assert card.folder is not None or card.places
        assert card.folder is not None or card.download_bytes > 0
        for source in card.places:
            # Of some no commit is known.
            unpinned = card.name.startswith("hunyuanvideo-i2v") or card.name.endswith("-4step")
            is_pinned = len(source.revision) == 40 or unpinned
            assert is_pinned and source.repository.count("/") == 1

    def test_its_samplers_exist(self, card):
        assert set(card.samplers) <= SAMPLERS.keys()
        assert card.defaults.sampler in card.samplers

    def test_its_usual_clip_is_on_its_grid(self, card):
        usual = card.defaults
        *sizes, notes = card.geometry.round(usual.frames, usual.width, usual.height)
        assert sizes == [usual.frames, usual.width, usual.height] and not notes

    def test_its_parameters_are_those_of_its_parts(self, card):
        needed = {name for name, part in card.family.parts.items() if not part.optional}
        assert needed <= card.parameters.keys() <= card.family.parts.keys()

    def test_its_options_are_checked_ones(self, card):
        for name, value in card.options.items():
            assert models.options()[name].checked(value) == value

    def test_several_attention_modes_can_be_measured(self, card):
        cls = card.family.load(card.family.model)
        several = "attention" in card.takes
        assert several == (len(card.attention_modes) > 1)
        assert not several or cls.attention_call is not base.Model.attention_call


@pytest.mark.parametrize("name", SAMPLERS)
def test_kinds_of_samplers_are_known_without_mlx(name):
    assert (name in FLOW) is SAMPLERS[name].is_flow


def test_an_unknown_family_is_an_import_error(monkeypatch):
    """At once, for whoever adds it: never a KeyError in front of a user."""
    monkeypatch.setattr(models, "FAMILIES", ("missing",))
    models.families.cache_clear()
    try:
        with pytest.raises(ModuleNotFoundError):
            models.families()
    finally:
        models.families.cache_clear()


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_what_can_be_streamed_says_what_it_holds(card):
    streamed = {name for name, part in card.family.parts.items() if part.streamed}
    assert streamed == card.streamed.keys()
    for name in streamed:
        network = card.family.network(name)
        assert callable(network.pieces) and network.tables
        # Weights of a block of the real encoders, and the width of their feed-forward.
        of_t5 = (193e6, 10240)
        weights, inner = {"TextEncoder": (218.1e6, 14336)}.get(network.__name__, of_t5)
        block = card.streamed[name].share * card.parameters[name]
        assert block == pytest.approx(weights, rel=0.001)
        assert card.streamed[name].matrix == 4096 * inner
