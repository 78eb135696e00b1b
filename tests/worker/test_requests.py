"""Whatever a client may send: garbage is answered, bad jobs are errors that name the setting."""

from __future__ import annotations

import io
import json

import pytest

from mlxvid.cli.requests import MAX_LINE, OPERATIONS, lines, parse
from mlxvid.errors import SettingError

NO_JSON = ("no JSON", str(MAX_LINE))
NO_SETTINGS = ('"settings"', "object")
NO_ID = ('"id"', "string", "whole number")
GARBAGE = [
    (b"hello", (*NO_JSON, "'hello'")),
    (b'{"op": "generate", "id": 1', NO_JSON),
    (b"[" * 50_000, ("nested too deeply",)),
    (b"\xff\xfe\x00", (*NO_JSON, "\ufffd\ufffd\\x00")),
    (b'{"op": "load", "model": "' + b"x" * (2 * MAX_LINE) + b'"}', (*NO_JSON, "x" * 35 + "'.")),
    (b"5", OPERATIONS),
    (b"[]", OPERATIONS),
    (b"null", OPERATIONS),
    (b"{}", OPERATIONS),
    (b'{"op": "dance"}', OPERATIONS),
    (b'{"op": ["load"]}', OPERATIONS),
    (b'{"op": "generate", "settings": []}', NO_SETTINGS),
    (b'{"op": "generate", "settings": null}', NO_SETTINGS),
    (b'{"op": "cancel", "id": {}}', NO_ID),
    (b'{"op": "cancel", "id": true}', NO_ID),
    (b'{"op": "cancel", "id": 1.5}', NO_ID),
    (b'{"seed": ' + b"9" * 5000 + b"}", ()),
    (b'{"op": "load", "id": 1, "x": ' + b"[" * 30 + b"]" * 30 + b"}", ("nested too deeply",)),
    (b'{"op": "load", "x": ' + b'{"a": ' * 25 + b"1" + b"}" * 26, ("nested too deeply",)),
    (b'\xef\xbb\xbf{"op": "cancel"}', NO_JSON),
    (b'{"op": "cancel"}{"op": "cancel"}', NO_JSON),
    (b'{"op": "cancel", "id": NaN}', NO_ID),
    (b'{"op": "cancel", "id": [1]}', NO_ID),
]


def test_garbage_is_answered_and_nothing_else_happens(loaded):
    for line, facts in GARBAGE:
        loaded.raw(line + b"\n")
        event = loaded.event()
        assert (event["event"], event["id"], event["kind"]) == ("error", None, "SettingError")
        assert len(event["message"]) < 300
        for fact in facts:
            assert fact in event["message"], line[:60]
    loaded.raw(b"\n  \n\r\n")  # blank lines are nothing
    loaded.generate(1, "clip.mp4")
    assert loaded.until("saved", "error")["event"] == "saved"
    assert loaded.end() == []


NO_OUTPUT = ('"output"', "`prompt`")


def job(**settings) -> dict:
    return {"output": "clip.mp4", "settings": {"prompt": "a ball", **settings}}


BAD_JOBS = [
    ({}, NO_OUTPUT),
    ({"output": "clip.mp4"}, NO_OUTPUT),
    (job(prompt=None), NO_OUTPUT),
    ({**job(), "output": 5}, NO_OUTPUT),
    (job(prompt=["a ball"]), ("`prompt`", '["a ball"]')),
    (job(prompt="\ud800"), ("`prompt`", "UTF-8")),
    (job(prompt="  "), ("`prompt`", "empty")),
    (job(width="wide"), ("`width`", '"wide"')),
    ({**job(frames="x"), "output": "clip.png"}, ("`frames`", '"x"')),
    (job(steps=True), ("`steps`", "true")),
    (job(steps=0), ("`steps`", "from 1 to 1000")),
    (job(guidance=float("nan")), ("`guidance`", "from 0 to 100", "nan")),
    (job(fps=10**400), ("`fps`", "from 0.1 to 1000")),
    (job(seed=-1), ("`seed`", "2^63 - 1", "-1")),
    (job(image=5), ("`image`", "5")),
    (job(image="none.png"), ("none.png",)),
    (job(keyframes=[]), ("`keyframes`", "[]")),
    (job(keyframes={"9" * 5000: "a.png"}), ("`keyframes`", "frame number")),
    (job(keyframes={"4": 5}), ("`keyframes`", "paths")),
    (job(options=[]), ("`options`", "[]")),
    (job(options={"mood": "good"}), ("'mood'",)),
    (job(mood="good"), ("'mood'", "prompt", "keyframes", "options")),
    (job(stesp=4), ("'stesp'", "`steps`")),
    (job(quantize=4), ("'quantize'",)),  # of a load request
    ({**job(), "output": "clip.avi"}, ("clip.avi", ".mp4")),
    ({**job(), "output": "a\0b.mp4"}, ()),
    ({**job(), "output": "clip.png"}, ("9 frames", ".mp4")),
    ({**job(), "output": ["clip.mp4"]}, NO_OUTPUT),
    ({**job(), "force": "yes"}, ('"force"', '"yes"', "true or false")),
    ({**job(), "resume": 1}, ('"resume"', "1", "true or false")),
    ({**job(), "overwrite": 0}, ('"overwrite"', "0", "true or false")),
    ({**job(), "metadata": "no"}, ('"metadata"', '"no"', "true or false")),
    ({**job(), "digests": ["a.png"]}, ('"digests"', "path")),
    ({**job(), "output": "."}, ("'.'", "clip.mp4")),
    ({**job(), "output": ".webm"}, (".webm", "nothing before")),
    ({**job(), "smaller_pieces": 2}, ('"smaller_pieces"', "2", "true or false")),
    ({**job(), "previews": []}, ('"previews"', "[]", "true or false")),
]


def test_bad_jobs_are_errors_of_one_sentence(loaded):
    for number, (request, facts) in enumerate(BAD_JOBS):
        loaded.send(op="generate", id=number, **request)
        event = loaded.until("error", "saved")
        assert (event["event"], event["id"]) == ("error", number), request
        message = event["message"]
        assert "\n" not in message
        assert message.endswith(".")
        assert "--" not in message, "a client has no flags"
        for fact in facts:
            assert fact in message, request
    assert loaded.files() == []


@pytest.mark.parametrize(
    ("request_", "facts"),
    [
        ({"model": 5}, ("`model`", "5")),
        ({"model": "mini", "loras": "style.safetensors"}, ("`loras`",)),
        ({"model": "mini", "loras": [1]}, ("`loras`", "[1]")),
        ({"model": "mini", "loras": ["a.safetensors", None]}, ("`loras`", "null")),
        ({"model": "mini", "revision": {}}, ("`revision`", "{}")),
        ({"model": "mini", "quantize": True}, ("`quantize`", "true")),
        ({"model": "mini", "quantize": 3}, ("`quantize`", "4", "8", "3")),
        ({"model": "mini", "dtype": "int8"}, ("`dtype`", "float32", "'int8'")),
    ],
)
def test_bad_loads_name_the_setting(client, request_, facts):
    client.send(op="load", id="a", **request_)
    event = client.until("error", "loaded")
    assert (event["event"], event["id"], event["kind"]) == ("error", "a", "SettingError")
    for fact in facts:
        assert fact in event["message"]


def test_after_a_load_that_failed_no_clip_is_made_with_the_model_before(loaded):
    loaded.send(op="load", id="b", model="minni")
    event = loaded.event()
    assert (event["kind"], event["id"]) == ("ModelNotFoundError", "b")
    assert "did you mean mini?" in event["message"]
    loaded.generate("c", "clip.mp4")
    assert loaded.event()["message"] == event["message"]
    assert loaded.files() == []
    assert loaded.end() == []


# --- lines ---------------------------------------------------------------------------------------


def test_lines_that_are_too_long_are_read_in_one_piece():
    texts = [
        "a\n",
        "b" * (3 * MAX_LINE) + "\n",
        " \n",
        "c\n",
        "d" * (MAX_LINE - 1) + "\n",
        "e" * (2 * MAX_LINE),
    ]
    read = [(line[0], len(line)) for line in lines(io.StringIO("".join(texts)))]
    assert read == [("a", 2), ("b", MAX_LINE), ("c", 2), ("d", MAX_LINE), ("e", MAX_LINE)]


def test_parse_takes_requests_as_they_are():
    request = {"op": "cancel", "id": "x", "more": 1}
    assert parse(json.dumps(request)) == request


def test_parse_refuses_what_is_no_request():
    for line, facts in GARBAGE:
        with pytest.raises(SettingError) as caught:
            parse(line.decode("utf-8", "replace")[:MAX_LINE])
        for fact in facts:
            assert fact in str(caught.value)
