"""Requests as nobody should send them: each has one answer, and the worker outlives them all."""

from __future__ import annotations

import copy
import json
import random

import pytest

# Of every type that JSON has, and some that it hasn't.
ODD = [
    None, True, False, 0, -1, 1, 3, 1.5, -0.0, 1e308, float("nan"), float("inf"), 10**30, "", "x",
    "yes", "1", "\ud800", "a\0b", "../x", "é" * 300, [], [1], [None], [[]], ["a", "a"], {},
    {"a": 1}, {"0": 5}, {"1": "none.png"}, {"": None},
]  # fmt: skip
BYTES = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"[" * 3000, b"{}", b'"', b"\\u0000",
    b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b", ", b"\t", b"/*", b"\x1b[2J",
]  # fmt: skip
ENDS = ("loaded", "saved", "cancelled", "error")


def requests(folder: str) -> list[dict]:
    small = {
        "prompt": "a red ball",
        "negative_prompt": "grey",
        "width": 16,
        "height": 16,
        "frames": 1,
        "fps": 8,
        "steps": 1,
        "guidance": 1.0,
        "seed": 3,
        "sampler": "euler",
        "shift": 1.0,
        "keyframes": {},
        "options": {},
    }
    generate = {"op": "generate", "output": "clip.png", "settings": small}
    whole = {**generate, "previews": True, "force": False, "resume": False, "digests": {}}
    load = {"op": "load", "model": folder, "quantize": None, "dtype": "float32", "loras": []}
    pictures = {**small, "image": "none.png", "last_image": "none.png"}
    with_pictures = {**generate, "settings": pictures}
    return [generate, generate, whole, whole, load, with_pictures, {"op": "cancel"}]


def mutated(request: dict, chance: random.Random) -> bytes:
    """A request with some of its fields, or of its line's bytes, changed."""
    request = copy.deepcopy(request)
    for _ in range(chance.choice([1, 1, 2, 3])):
        settings = request.get("settings")
        place = settings if isinstance(settings, dict) and chance.random() < 0.6 else request
        name = chance.choice(sorted(place.keys() - {"op"}) or ["op"])
        value = copy.deepcopy(chance.choice(ODD))
        change = chance.randrange(9)
        if change == 0:
            request["op"] = value
        elif change < 3:
            place.pop(name, None)
        elif change == 3:
            place[chance.choice(["x", "", "model", "loras", "id\0", "revision"])] = value
        elif change == 4:
            place[name] = [value] if chance.random() < 0.5 else {"a": value}
        else:
            place[name] = value
    line = json.dumps(request, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.15:
        where = chance.randrange(len(line) + 1)
        upto = where + chance.choice([0, 0, 1, 5, 10**6])
        line = line[:where] + chance.choice(BYTES) + line[upto:]
    # What stays one line: the other kinds are in GARBAGE.
    return line.replace(b"\r", b" ").replace(b"\n", b" ")


def is_answer(event: dict) -> bool:
    return event["event"] in ENDS or (event["event"] == "note" and "to cancel" in event["text"])


@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_request_has_one_answer(loaded, tiny_folder, count):
    chance = random.Random(count)
    loaded.send(op="load", id="model", model=str(tiny_folder))
    loaded_event = loaded.event()
    valid = requests(str(tiny_folder))
    ended = {name: 0 for name in ENDS}
    for number in range(count):
        request = {**chance.choice(valid), "id": number}
        line = mutated(request, chance)
        if not line.strip() or b'"quit"' in line:
            continue
        loaded.raw(line + b"\n")
        while not is_answer(event := loaded.event()):
            pass
        if event["event"] in ended:
            ended[event["event"]] += 1
        if event["event"] == "error":
            # A load that failed would be all that the next jobs meet.
            loaded.send(op="load", id="again", model=str(tiny_folder))
            assert loaded.event() == {**loaded_event, "id": "again"}
            assert "fault" not in event["message"], (line, event)
            assert "\n" not in event["message"]
            assert event["message"].endswith(".")
    assert ended["saved"] > count / 20
    assert ended["loaded"] > 0
    assert ended["error"] > count / 4
    # The end of its input: nothing else was answered, and standard error is empty.
    loaded.send(op="load", id="last", model=str(tiny_folder))
    assert loaded.event()["id"] == "last"
    assert loaded.end() == []
