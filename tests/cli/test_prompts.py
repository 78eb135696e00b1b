"""Prompts from files and from standard input, as people and programs save them."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace

import pytest

from mlxvid.cli.prompts import MAX_BYTES, read_prompt, read_prompts
from mlxvid.errors import SettingError

LINES = "# my list\n\na red ball\n  紅い球, größer \n#no\n\t\na blue star"
PROMPTS = ["a red ball", "紅い球, größer", "a blue star"]


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes on standard input."""

    def put(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return put


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_one_prompt_a_line(tmp_path, stdin, encoding, ending):
    data = LINES.replace("\n", ending).encode(encoding)
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    assert read_prompts(str(path)) == PROMPTS
    stdin(data)
    assert read_prompts("-") == PROMPTS


def test_other_programs_line_separators_stay_in_the_prompt(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a\u2028b\x85c\nd", encoding="utf-8")
    assert read_prompts(str(path)) == ["a\u2028b\x85c", "d"]


def test_one_prompt_on_standard_input(stdin):
    stdin(b"\n a red ball\nand # a star \n")
    assert read_prompt() == "a red ball\nand # a star"


BAD = {
    "empty": (b"", "no prompts"),
    "comments": (b"# one\n\n  # two\r\n", "no prompts"),
    "latin-1": ("café".encode("latin-1"), "UTF-8"),
    "utf-16 without a mark": ("a ball".encode("utf-16-le"), "UTF-8"),
    "cut utf-16": ("a ball".encode("utf-16")[:-1], "UTF-8"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "UTF-8"),
    "escape codes": (b"\x1b[31mred", "UTF-8"),
    "endless": (b"x" * (MAX_BYTES + 1), str(MAX_BYTES)),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_prompts_is_a_sentence(tmp_path, stdin, name):
    data, fact = BAD[name]
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    with pytest.raises(SettingError, match=rf"{path}.*{fact}"):
        read_prompts(str(path))
    stdin(data)
    with pytest.raises(SettingError, match=rf"Standard input.*{fact}"):
        read_prompts("-")


def test_what_is_no_file(tmp_path):
    for path, reason in (
        (tmp_path / "none.txt", "No such file"),
        (tmp_path, "Is a directory"),
        ("nul\0.txt", "null byte"),
    ):
        with pytest.raises(SettingError, match=rf"can't be read \(.*{reason}"):
            read_prompts(str(path))
    with pytest.raises(SettingError, match="/dev/zero is longer"):
        read_prompts("/dev/zero")


def test_a_pipe_is_read(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, LINES.encode())
    os.close(writing)
    assert read_prompts(f"/dev/fd/{reading}") == PROMPTS
    os.close(reading)


@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_no_prompt_on_standard_input(stdin, data):
    stdin(data)
    with pytest.raises(SettingError, match="Standard input has no prompt"):
        read_prompt()


def test_standard_input_that_is_closed(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    for read in (read_prompt, lambda: read_prompts("-")):
        with pytest.raises(SettingError, match="Standard input is closed"):
            read()
