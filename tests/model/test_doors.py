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
assert "grain" in inspect.signature(mlxvid.Pipeline.generate).parameters
clip = mlxvid.load("mini").generate("a ball", frames=9, steps=2, seed=1, grain=0.5)
try:
    mlxvid.load("mini").generate("a ball", grain=2)
except mlxvid.SettingError as error:
    assert error.setting == "grain"
else:
    raise AssertionError("out of range")
print(json.dumps(clip.settings))
""")
    assert json.loads(settings)["grain"] == 0.5


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
print(parser().format_help())
""")
    assert "--grain X" in text and "how much film grain" in text


def test_worker(python):
    events = python("""
import io, sys
from mlxvid.worker import serve
def request(**settings):
    settings = {"prompt": "a ball", "frames": 9, "steps": 2, **settings}
    return json.dumps({"op": "generate", "output": "w.mp4", "settings": settings}) + chr(10)
answers = io.StringIO()
load = json.dumps({"op": "load", "model": "mini"}) + chr(10)
serve(io.StringIO(load + request(grain=0.75) + request(grain="much")), answers)
print(answers.getvalue())
""")
    lines = [json.loads(line) for line in events.splitlines() if line.startswith("{")]
    saved = next(line for line in lines if line["event"] == "saved")
    error = next(line for line in lines if line["event"] == "error")
    assert saved["settings"]["grain"] == 0.75
    assert error["kind"] == "SettingError" and "`grain`" in error["message"]


def test_documentation(python):
    page = python(f"""
import sys
sys.path.append({str(ROOT)!r})  # behind the tree: only scripts come from there
from scripts.doc_pages import settings_page
print(settings_page())
""")
    assert "grain" in page and "how much film grain" in page


def test_window(python):
    pytest.importorskip("PySide6")
    found = python("""
from PySide6.QtWidgets import QApplication, QDoubleSpinBox
app = QApplication([])
from mlxvid import catalog
from mlxvid.gui.compose.generated import GeneratedBox
box = GeneratedBox()
box.set_card(catalog.find("mini"))
field = box.findChild(QDoubleSpinBox, "grain")
field.setValue(0.5)
print(json.dumps([field.accessibleName(), field.maximum(), box.settings()]))
""")
    assert json.loads(found) == ["Film grain", 1.0, {"grain": 0.5}]
