"""The command line: what it prints, its exit codes, and its mistakes in one line."""

from __future__ import annotations

import json
import os

import pytest

from mlxvid.convert.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["nowhere", "--out", "x"], ["nowhere ", "folder", "owner/name", "spelling"]),
        (["{tiny}/vae/config.json", "--out", "x"], ["{tiny}/vae/config.json is a file", "folder"]),
        (
            ["{tiny}", "--out", "x", "--dtype", "int3"],
            ["dtype", "'int3'", "float32, bfloat16, float16"],
        ),
        (["{tiny}"], ["required: --out", "python -m mlxvid.convert --help"]),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(
    arguments, facts, tiny_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([argument.format(tiny=tiny_folder) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for fact in facts:
        assert fact.format(tiny=tiny_folder) in line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(["--quantize-text", "8"], 8), (["--quantize-text", "none"], None), ([], 4)],
)
def test_the_text_encoder_is_quantized_on_its_own(flags, expected, tiny_folder, tmp_path):
    out = tmp_path / "out"
    assert main([str(tiny_folder), "--out", str(out), "--quantize", "4", *flags]) == 0
    transformer = json.loads((out / "transformer" / "config.json").read_text())
    text_encoder = json.loads((out / "text_encoder" / "config.json").read_text())
    assert transformer["quantization"]["bits"] == 4
    assert text_encoder.get("quantization", {}).get("bits") == expected


def test_the_command_says_what_it_found_and_prints_where(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--dtype", "float16"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'out'}\n"
    assert "Diffusers folder (FactoredPipeline)" in printed.err
    assert "convert" in printed.err


def test_progress_as_json_lines(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "note"
    assert "FactoredPipeline" in events[0]["text"]
    steps = [event for event in events if event["event"] == "progress"]
    assert {event["stage"] for event in steps} == {"convert"}
    assert steps[0]["step"] == 0
    assert steps[-1]["step"] == steps[-1]["total"] >= 1
    assert steps[-1]["remaining"] == 0
    assert events[-1].pop("seconds") > 0
    assert events[-1] == {"event": "converted", "path": str(tmp_path / "out")}


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "python -m mlxvid.convert Wan-AI/Wan2.1-T2V-1.3B --out" in text
    assert "--quantize-text" in text


def test_ctrl_c_ends_the_command_in_one_sentence(tiny_folder, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    assert main([str(tiny_folder), "--out", str(tmp_path / "out"), "--progress", "none"]) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert "run it again to resume" in line
    assert not any(tmp_path.iterdir())


def test_what_a_source_is_without_converting_it(tiny_folder, tmp_path, capsys):
    assert main([str(tiny_folder), "--look", "--progress", "json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert event["event"] == "recognised" and event["title"]
    assert main([str(tiny_folder), "--look"]) == 0
    assert capsys.readouterr().out.strip() == event["title"]
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), "--look", "--progress", "json"]) == 2
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "empty" in last["sentence"]
    assert main([str(tmp_path / "gone"), "--look"]) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]
