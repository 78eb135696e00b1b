"""Evaluations of the network as plans count them, against those of runs, counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

pytest.importorskip("diffusers")
from mlxvid import models  # noqa: E402
from mlxvid.catalog import CATALOG  # noqa: E402
from mlxvid.layers import stack  # noqa: E402
from mlxvid.model.machine import GIB, mac  # noqa: E402
from mlxvid.model.settings import SETTINGS  # noqa: E402
from mlxvid.run import recipes  # noqa: E402
from mlxvid.run.evaluations import evaluations_of, passes_of  # noqa: E402
from mlxvid.run.planning import plan  # noqa: E402

from . import unchanged_clips  # noqa: E402
from .unchanged_clips import PROMPT, picture  # noqa: E402

SIZE = dict(width=64, height=48, frames=9)
PICTURES = {"image": picture(1, 64, 48), "last_image": picture(2, 64, 48)}
# By the beginning of a model's name, the tiny one that stands for it.
STAND_INS = {
    "mini": "mini",
    "wan2.1-t2v": "t2v",
    "wan2.1-i2v": "i2v",
    "wan2.1-flf2v": "flf2v",
    "fastwan": "t2v",
    "latte": "latte",
    "opensora": "opensora",
    "cogvideox-2b": "cogvideox-2b",
    "cogvideox-5b-i2v": "cogvideox-5b-i2v",
    "cogvideox-5b": "cogvideox-5b",
    "cogvideox1.5-5b-i2v": "cogvideox-1.5-i2v",
    "cogvideox1.5-5b": "cogvideox-1.5",
    "ltx-video-0.9.0": "ltx-0.9.1",
    "ltx-video-0.9.1": "ltx-0.9.1",
    "ltx": "ltx",
    "hunyuanvideo-i2v-33ch": "hunyuan-latent concat",
    "hunyuanvideo-i2v": "hunyuan-token replace",
    "hunyuan": "hunyuan-text",
    "fasthunyuan": "hunyuan-text",
}


class Counting:
    """A network that counts the rows of its calls."""

    def __init__(self, network: Any, rows: list[int]):
        self.network = network
        self.rows = rows

    def __call__(self, x: mx.array, *known: Any, **named: Any) -> mx.array:
        self.rows.append(len(x))
        return self.network(x, *known, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """loaded(name): the tiny model that stands for a release, with the release's card."""
    from mlxvid import load
    from tests.models.hunyuan.tiny import write_model as write_hunyuan

    folder = tmp_path_factory.mktemp("models")
    pipes: dict[str, Any] = {}
    own = {}

    def load_one(name: str) -> Any:
        kind = next(kind for start, kind in STAND_INS.items() if name.startswith(start))
        if kind not in pipes:
            place = folder / kind
            if kind.startswith("hunyuan-"):
                write_hunyuan(place, kind.removeprefix("hunyuan-"))
            elif kind != "mini":
                unchanged_clips.writers()[kind](place)
            pipes[kind] = load(kind if kind == "mini" else str(place))
            own[kind] = pipes[kind].model.card
        pipe = pipes[kind]
        card = CATALOG[name]
        known = ("samplers", "options", "shift", "guidance_is_input", "takes", "batches")
        kept = {field: getattr(card, field) for field in known}
        if hasattr(card, "recipe"):
            kept["recipe"] = pipe.model.recipe = card.recipe
        usual = replace(
            own[kind].defaults,
            steps=card.defaults.steps,
            guidance=card.defaults.guidance,
            sampler=card.defaults.sampler,
        )
        pipe.model.card = replace(own[kind], defaults=usual, **kept)
        return pipe

    return load_one


def counted(pipe: Any, settings: dict[str, Any]) -> tuple[Any, int]:
    """The clip of these settings, and the rows that went through its network."""
    rows: list[int] = []
    network = pipe.model.network

    def counting(name: str, watch: Any = None) -> Any:
        found = network(name, watch)
        return Counting(found, rows) if name == pipe.model.denoiser else found

    pipe.model.network = counting
    try:
        clip = pipe.generate(PROMPT, seed=7, **SIZE, **settings)
    finally:
        del pipe.model.network
    return clip, sum(rows)


def given(name: str) -> dict[str, Any]:
    """The pictures that a release needs."""
    return {need: PICTURES[need] for need in CATALOG[name].needs}


def in_turn() -> list[Any]:
    """Every release; those that are counted as an earlier one are slow."""
    seen = set()
    found = []
    for name, card in CATALOG.items():
        usual = card.defaults
        kind = (card.family.name, usual.steps, usual.guidance > 1, usual.sampler)
        found.append(pytest.param(name, marks=pytest.mark.slow) if kind in seen else name)
        seen.add(kind)
    return found


@pytest.mark.parametrize("name", in_turn())
def test_the_usual_run_of_every_release(loaded, name):
    _, rows = counted(loaded(name), given(name))
    assert evaluations_of({"model": name, "prompt": PROMPT, "frames": 9}) == (rows, rows)


SUPPORTED = {name for name, setting in SETTINGS.items() if setting.needs_support}


def presets() -> list[tuple[str, str]]:
    """Every preset, with a model of each kind that it was made for."""
    found = {}
    for card in models.cards():
        for preset, settings in card.family.presets.items():
            has_sampler = settings.get("sampler", card.defaults.sampler) in card.samplers
            kind = (card.family.name, preset, card.defaults.steps > 12)
            counts = has_sampler and set(settings) - {"quantize", "width", "height"}
            if counts and set(settings) & SUPPORTED <= card.takes:
                found.setdefault(kind, (card.name, preset))
    return list(found.values())


@pytest.mark.parametrize(("name", "preset"), presets())
def test_presets(loaded, name, preset):
    sets = CATALOG[name].family.presets[preset]
    settings = {key: sets[key] for key in sets if key not in ("quantize", "width", "height")}
    _, rows = counted(loaded(name), {**given(name), **settings})
    assert evaluations_of({"model": name, "prompt": PROMPT, **settings, **SIZE}) == (rows, rows)


# --- few-step LoRAs ------------------------------------------------------------------------------

FILES = {
    "wan2.1_t2v_14b_lora_rank64_lightx2v_4step.safetensors": 4,
    "Wan21_CausVid_14B_T2V_lora_rank32.safetensors": 8,
    "FastWan_T2V_14B_lora.safetensors": 3,
}


@pytest.mark.parametrize("name", FILES)
def test_a_few_step_lora(loaded, name, tmp_path):
    model = "wan2.1-t2v-1.3b"
    mx.save_safetensors(str(tmp_path / name), {"x": mx.ones(1)})
    pipe = loaded(model)
    pipe.model.card = recipes.applied(pipe.model.card, [recipes.here(str(tmp_path / name))])
    clip, rows = counted(pipe, {})
    assert rows == clip.settings["steps"] == FILES[name]
    for lora in (str(tmp_path / name), f"{tmp_path / name}@0.8", f"owner/loras:{name}"):
        settings = {"model": model, "loras": [lora]}
        assert evaluations_of(settings) == (rows, rows)
        assert evaluations_of({**settings, "steps": 6, "guidance": 3.0})[1] == 12
    assert evaluations_of({"model": model, "loras": [f"{tmp_path / name}@0"]}) == (100, 100)


def test_a_lora_is_known_by_its_title_and_read_once(tmp_path, monkeypatch):
    path = tmp_path / "fast.safetensors"
    settings = {"model": "wan2.1-t2v-1.3b", "loras": [str(path)]}
    assert evaluations_of(settings) == (100, 100)  # what is missing, loading it says
    title = {"modelspec.title": "Wan Lightning 4 steps"}
    mx.save_safetensors(str(path), {"x": mx.ones(1)}, title)
    assert evaluations_of(settings) == (4, 4)
    monkeypatch.setattr(recipes, "title", None)
    assert evaluations_of(settings) == (4, 4)


def test_memory_is_planned_by_the_lora():
    machine = mac(128 * GIB)
    lora = "lightx2v/Wan2.1-Distill-Loras:wan2.1_t2v_14b_lora_rank64_lightx2v_4step.safetensors"
    settings = {"model": "wan2.1-t2v-14b", "machine": machine, "frames": 5}
    one_pass = plan(**settings, guidance=1.0).stage_bytes
    assert plan(**settings).stage_bytes != one_pass
    assert plan(**settings, loras=[lora]).stage_bytes == one_pass


# --- what leaves evaluations out, and adds some --------------------------------------------------

WAYS = {
    "guidance of 1": {"guidance": 1.0},
    "an interval": {"guidance_start": 0.1, "guidance_stop": 0.6},
    "cfg-zero": {"guidance_method": "cfg-zero", "steps": 51},
    "cfg-zero without guidance": {"guidance_method": "cfg-zero", "guidance": 1.0, "steps": 26},
    "skipped layers": {"skip_layers": "1"},
    "all of these": {
        "guidance_method": "cfg-zero",
        "guidance_stop": 0.7,
        "skip_layers": "1",
        "skip_stop": 0.9,
        "steps": 51,
    },
    "heun": {"sampler": "heun", "guidance_stop": 0.5},
    "a clip": {"video": picture(3, 64, 32, 9), "strength": 0.4},
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_guidance(loaded, way):
    settings = {"steps": 20, **WAYS[way]}
    _, rows = counted(loaded("mini"), settings)
    assert evaluations_of({"model": "mini", **SIZE, **settings}) == (rows, rows)


@pytest.mark.parametrize("cache", ["easy", "tea"])
@pytest.mark.parametrize("way", ["usual", "an interval", "heun", "all of these"])
def test_step_caches_leave_out_as_many_at_most(loaded, cache, way, monkeypatch):
    settings = {"steps": 30, **WAYS.get(way, {}), "cache": cache, "cache_threshold": 10}
    rows: list[int] = []
    through = stack.through

    def counting(x: mx.array, signal: stack.Signal, blocks: stack.Blocks) -> mx.array:
        def counted_blocks(x: mx.array) -> mx.array:
            rows.append(len(x))
            return blocks(x)

        return through(x, signal, counted_blocks)

    monkeypatch.setattr(stack, "through", counting)
    clip = loaded("mini").generate(PROMPT, seed=7, **SIZE, **settings)
    least, most = evaluations_of({"model": "mini", **SIZE, **settings})
    assert sum(rows) == least < most
    made = evaluations_of({**clip.settings, "model": "mini"})
    assert least <= made[0] == made[1] <= most


def test_pieces_count_as_what_they_are_of_a_clip(loaded):
    name = "opensora-1.2"
    settings = {"model": name, "frames": 17 * 40, "steps": 10, "width": 256, "height": 256}
    pieces = len(CATALOG[name].geometry.parts(17 * 40, 256, 256))
    assert pieces > 1
    assert evaluations_of(settings) == (20 * pieces, 20 * pieces)
    assert 20 < passes_of(settings) < 20 * 1.3


def test_a_first_pass_at_half_the_size_counts_less():
    name = "ltxv-2b-0.9.8-distilled"
    assert evaluations_of({"model": name}) == (10, 10)
    assert 3 + 7 / 16 < passes_of({"model": name}) < 3 + 7 / 3
    assert passes_of({"model": name, "options": {"upscale": False}}) == 8
