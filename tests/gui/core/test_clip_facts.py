"""What is told of a clip."""

from __future__ import annotations

from pathlib import Path

from mlxvid.gui.core.clip_facts import facts_of
from mlxvid.gui.core.frames import Facts

SETTINGS = {
    "mlxvid": "0.1.0",
    "model": "mini",
    "revision": None,
    "prompt": "a red ball",
    "negative_prompt": "",
    "seed": 0,
    "steps": 20,
    "guidance": 3.0,
    "width": 96,
    "height": 64,
    "frames": 33,
    "fps": 16.0,
    "sampler": "euler",
    "quantize": 8,
    "draft_decode": False,
    "loras": ["/somewhere/style.safetensors@0.8", "/somewhere/light.safetensors@1"],
    "image": "/somewhere/a.png",
    "keyframes": {"16": "/somewhere/b.png", "20": ["/somewhere/c.png", 0.5]},
}


def told(facts) -> dict[str, str]:
    return {fact.name: fact.text for fact in facts}


def test_everything_known_is_told_and_nothing_else():
    measures = Facts(16.0, 33, 96, 64, SETTINGS)
    facts = facts_of(SETTINGS, measures, Path("/clips/a.mp4"), created=0.0, seconds=200)
    texts = told(facts)
    assert texts["prompt"] == "a red ball"
    assert texts["seed"] == "0"
    assert texts["guidance"] == "3"
    assert texts["size"] == "96×64"
    assert texts["length"] == "2.1 s, 33 frames"
    assert texts["rate"] == "16 fps"
    assert texts["loras"] == "style.safetensors, 0.8\nlight.safetensors"
    assert texts["image"] == "a.png"
    assert texts["keyframes"] == "16: b.png\n20: c.png"
    assert texts["quantize"] == "8 bits"
    assert texts["seconds"] == "3 min 20 s"
    assert texts["file"] == "a.mp4"
    assert "70" in texts["created"] or "69" in texts["created"]
    assert not texts.keys() & {"revision", "negative_prompt", "draft_decode", "width"}
    by_name = {fact.name: fact for fact in facts}
    assert by_name["file"].copied == "/clips/a.mp4"
    assert by_name["image"].copied == "/somewhere/a.png"
    assert by_name["model"].copied == "mini" != by_name["model"].text
    assert by_name["sampler"].folded and not by_name["seed"].folded


def test_a_clip_that_is_being_made_has_the_measures_that_were_asked_for():
    texts = told(facts_of(SETTINGS))
    assert texts["length"] == "2.1 s, 33 frames"
    assert not texts.keys() & {"file", "created", "seconds"}


def test_a_film_has_its_measures_alone():
    assert told(facts_of({}, Facts(24.0, 0, 640, 360, {}), Path("film.mkv"))) == {
        "size": "640×360",
        "rate": "24 fps",
        "file": "film.mkv",
    }


def test_settings_may_hold_anything():
    odd = {"prompt": 3, "keyframes": [1], "loras": "a", "model": ["x"], "seed": {"a": 1}}
    odd |= {"width": "wide", "height": None, "frames": 1, "fps": 2, "sampler": [None]}
    texts = told(facts_of(odd))
    assert texts["prompt"] == "3" and texts["loras"] == "a"
