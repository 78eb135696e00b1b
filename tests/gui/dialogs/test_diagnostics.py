"""A bug report has all that helps, and nothing private."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlxvid import __version__
from mlxvid.gui.dialogs import diagnostics
from mlxvid.gui.dialogs.diagnostics import Device, report, settings_of, versions, without_prompts


def test_the_report_has_versions_device_settings_and_the_last_lines(preferences, monkeypatch):
    monkeypatch.setenv("HOME", str(Path(preferences.clips_folder).parent))
    lines = [f"line {number}" for number in range(300)]
    text = report("device        a GPU", settings_of(preferences), lines, [])
    assert f"mlxvid        {__version__}" in text
    assert "device        a GPU" in text
    assert "clips in      ~/clips" in text
    assert "line 100\n" in text
    assert "line 99\n" not in text
    assert text.endswith("line 299\n")
    assert {name for name, _ in versions()} >= {
        "mlxvid",
        "system",
        "python",
        "qt",
        "mlx",
        "av",
        "huggingface_hub",
    }


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("making a red ball", "making <prompt>"),
        ("A Red Ball, and more", "<prompt>, and more"),
        ("saved /clips/a-red-ball-7.mp4", "saved /clips/<prompt>-7.mp4"),
        ("a red ball on the moon", "<prompt>"),
        ('{"prompt": "say \\"hi\\" twice"}', '{"prompt": "<prompt>"}'),
        ("balls and walls", "balls and walls"),
    ],
)
def test_prompts_are_hidden_whatever_became_of_them(line, cleaned):
    prompts = ["a red ball", "a red ball\non the moon", 'say "hi"\n twice', "all", " "]
    assert without_prompts([line], prompts) == [cleaned]


def test_no_prompts_hide_nothing():
    assert without_prompts(["a b"], []) == ["a b"]
    assert without_prompts(["the clip is saved"], ["🦊", " "]) == ["the clip is saved"]


def test_thousands_of_prompts_are_left_out_at_once():
    prompts = [f"a fox number {number} in the snow" for number in range(5000)]
    line = "saved a-fox-number-77-in-the-snow.mp4"
    assert without_prompts([line] * 200, prompts) == ["saved <prompt>.mp4"] * 200


def test_a_device_that_can_not_be_queried_is_reported(qtbot, monkeypatch):
    monkeypatch.setattr(diagnostics, "tool_command", lambda module: ["/nowhere/python"])
    device = Device()
    with qtbot.waitSignal(device.known, timeout=5000) as known:
        device.ask()
    assert known.args[0].startswith("device        unknown (")
