"""A setting that is added to the table in one place is found in every door."""

from __future__ import annotations

import json

import pytest

from tests import ROOT
from tests.models.copied_tree import add_setting, copied_tree, run


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    tree = copied_tree(tmp_path_factory.mktemp("doors"))
    add_setting(tree)
    cache = tmp_path_factory.mktemp("cache")

    def call(code: str) -> str:
        return run(tree, "import json\nimport mlxvid\n" + code, cache=cache)

    return call


def test_python(python):
    settings = python("""
import inspect
assert {"grain", "mirrored"} <= set(inspect.signature(mlxvid.Pipeline.generate).parameters)
clip = mlxvid.load("copied-mini").generate(
    "a ball", frames=9, steps=2, seed=1, grain=0.5, mirrored=False, options={"dream": True})
try:
    mlxvid.load("mini").generate("a ball", grain=2)
except mlxvid.SettingError as error:
    assert error.setting == "grain"
else:
    raise AssertionError("out of range")
for odd in ({"mirrored": 1}, {"options": {"dream": "yes"}}):
    try:
        mlxvid.load("copied-mini").generate("a ball", **odd)
    except mlxvid.SettingError as error:
        assert "true or false" in str(error)
    else:
        raise AssertionError("no switch")
print(json.dumps(clip.settings))
""")
    made = json.loads(settings)
    assert made["grain"] == 0.5
    assert made["mirrored"] is False
    assert made["options"] == {"dream": True}


def test_command_line(python):
    text = python("""
from mlxvid.generate import main, parser
assert main(["--prompt", "a ball", "--frames", "9", "--steps", "2", "--grain", "0.25",
             "-o", "grain.mp4"]) == 0
from mlxvid.media.clip import read_settings
assert read_settings("grain.mp4")["grain"] == 0.25
assert main(["--prompt", "a ball", "--grain", "7"]) == 2
assert main(["--from", "grain.mp4", "-o", "again.mp4"]) == 0
assert read_settings("again.mp4")["grain"] == 0.25
assert main(["--model", "copied-mini", "--prompt", "a ball", "--frames", "9", "--steps", "2",
             "--no-mirrored", "--dream", "-o", "switched.mp4"]) == 0
again = ["--from", "switched.mp4", "-o", "again.mp4"]
assert main(again) == 0
assert read_settings("again.mp4")["mirrored"] is False
assert read_settings("again.mp4")["options"] == {"dream": True}
assert main([*again, "--mirrored", "--no-dream"]) == 0
assert read_settings("again.mp4")["mirrored"] is True
assert read_settings("again.mp4")["options"] == {"dream": False}
assert main(["--resume", "--no-mirrored"]) == 2
print(parser().format_help())
""")
    assert "--grain X" in text and "how much film grain" in text
    assert "--mirrored, --no-mirrored" in text and "--dream, --no-dream" in text


def test_worker(python):
    events = python("""
import io, sys
from mlxvid.worker import serve
def request(**settings):
    settings = {"prompt": "a ball", "frames": 9, "steps": 2, **settings}
    return json.dumps({"op": "generate", "output": "w.mp4", "settings": settings}) + chr(10)
answers = io.StringIO()
load = json.dumps({"op": "load", "model": "copied-mini"}) + chr(10)
good = request(grain=0.75, mirrored=True, options={"dream": False})
odd = request(grain="much") + request(mirrored="yes") + request(options={"dream": 1})
serve(io.StringIO(load + good + odd), answers)
print(answers.getvalue())
""")
    lines = [json.loads(line) for line in events.splitlines() if line.startswith("{")]
    saved = next(line for line in lines if line["event"] == "saved")
    errors = [line for line in lines if line["event"] == "error"]
    assert saved["settings"]["grain"] == 0.75
    assert saved["settings"]["mirrored"] is True
    assert saved["settings"]["options"] == {"dream": False}
    assert len(errors) == 3
    for error, name in zip(errors, ("grain", "mirrored", "dream"), strict=True):
        assert error["kind"] == "SettingError" and f"`{name}`" in error["message"]


def test_documentation(python):
    page = python(f"""
import sys
sys.path.append({str(ROOT)!r})  # behind the tree: only scripts come from there
from scripts.doc_pages import settings_page
print(settings_page())
""")
    assert "grain" in page and "how much film grain" in page
    assert "| `mirrored` | `--mirrored`, `--no-mirrored` | true or false |" in page
    assert "| `dream` | `--dream`, `--no-dream` | true or false |" in page


def test_window(python):
    pytest.importorskip("PySide6")
    found = python("""
from PySide6.QtWidgets import QApplication, QComboBox, QDoubleSpinBox
app = QApplication([])
from mlxvid import catalog
from mlxvid.gui.compose.generated import GeneratedBox
box = GeneratedBox()
box.set_card(catalog.find("copied-mini"))
field = box.findChild(QDoubleSpinBox, "grain")
field.setValue(0.5)
first = box.settings()
for name, value in (("mirrored", "Off"), ("dream", "On")):
    switch = box.findChild(QComboBox, name)
    switch.setCurrentIndex(switch.findText(value))
print(json.dumps([field.accessibleName(), field.maximum(), first, box.settings()]))
""")
    switched = {"grain": 0.5, "mirrored": False, "options": {"dream": True}}
    assert json.loads(found) == ["Film grain", 1.0, {"grain": 0.5}, switched]


# --- keyframes with clips and strengths ----------------------------------------------------------

MADE_FROM = """
import os
import numpy as np
from PIL import Image
from mlxvid.media.clip import Clip, read_settings
os.makedirs("given", exist_ok=True)
noise = np.random.default_rng(1).integers(0, 255, (12, 64, 64, 3), np.uint8)
picture = os.path.abspath("given/a@2:x.png")
clip = os.path.abspath("given/b.mp4")
Image.fromarray(noise[0]).save(picture)
if not os.path.exists(clip):
    Clip(noise, 16, {}).save(clip)
wanted = {"4": [picture, 0.5], "8": clip}
"""


def test_keyframes_in_python_and_again_from_the_command_line(python):
    python(
        MADE_FROM
        + """
pipe = mlxvid.load("copied-mini")
made = pipe.generate("a ball", frames=9, steps=2, seed=1, keyframes={4: (picture, 0.5), -1: clip})
assert made.settings["keyframes"] == wanted
assert set(made.settings["digests"]) == {picture, clip}
from mlxvid.generate import main
small = ["--model", "copied-mini", "--prompt", "a ball", "--frames", "9", "--steps", "2"]
assert main([*small, "--keyframe", f"{picture}@4:0.5", "--keyframe", f"{clip}@-1",
             "-o", "keys.mp4"]) == 0
assert read_settings("keys.mp4")["keyframes"] == wanted
assert main(["--from", "keys.mp4", "-o", "again.mp4"]) == 0
assert read_settings("again.mp4")["keyframes"] == wanted
assert main(["--from", "keys.mp4", "--keyframe", f"{picture}@-1:0", "-o", "again.mp4"]) == 0
assert read_settings("again.mp4")["keyframes"] == {"4": [picture, 0.5], "8": [picture, 0.0]}
assert main(["--from", "keys.mp4", "-o", clip]) == 2
"""
    )


def test_keyframes_in_a_workers_requests(python):
    text = python(
        MADE_FROM
        + """
import io
from mlxvid.worker import serve
def request(keyframes):
    settings = {"prompt": "a ball", "frames": 9, "steps": 2, "keyframes": keyframes}
    return json.dumps({"op": "generate", "output": "w.mp4", "settings": settings}) + chr(10)
answers = io.StringIO()
load = json.dumps({"op": "load", "model": "copied-mini"}) + chr(10)
odd = ({"4": [picture]}, {"4": [picture, 2]}, {"4": [picture, None]}, {"9": [picture, 1]},
       {"4": [[picture], 1]}, {"-10": picture})
requests = load + request(wanted) + request({"-5": [picture, 1]}) + "".join(map(request, odd))
serve(io.StringIO(requests), answers)
print(json.dumps(wanted))
print(answers.getvalue())
"""
    )
    wanted, *lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    saved = [line["settings"]["keyframes"] for line in lines if line["event"] == "saved"]
    assert saved == [wanted, {"4": wanted["4"][0]}]
    errors = [line["message"] for line in lines if line["event"] == "error"]
    assert len(errors) == 6
    for message, words in zip(
        errors,
        ("pairs", "from 0 to 1", "from 0 to 1", "frame 9", "paths", "frame -10"),
        strict=True,
    ):
        assert words in message
