"""Names as people give them: addresses, quotes, backslashes, the spaces of macOS."""

from __future__ import annotations

import unicodedata

import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.images import read_image
from mlxvid.media.names import given_file


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a photo (1).png"
    Image.new("RGB", (8, 8), (200, 30, 30)).save(path)
    return path


@pytest.mark.parametrize(
    "form",
    [
        "{path}",
        "~/a photo (1).png",
        "'{path}'",
        "“{path}”",
        "‘{path}’",
        '"~/a photo (1).png" ',
        "{path} ",
        "{folder}/a\\ photo\\ \\(1\\).png",
        "file://{folder}/a%20photo%20(1).png",
        "FILE://localhost{folder}/a%20photo%20%281%29.png",
        "file:{folder}/a%20photo%20(1).png",
    ],
)
def test_a_name_in_any_dress(photo, form):
    name = form.format(path=photo, folder=photo.parent)
    assert given_file(name) == photo
    assert read_image(name)[0, 0].tolist() == [200, 30, 30]
    assert len(Clip.load(name).frames) == 1


@pytest.mark.parametrize("name", ["'quoted'.png", "back\\ slash.png", " space.png ", "http:"])
def test_a_name_that_is_there_is_taken_as_it_is(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    (tmp_path / name.strip("' ").replace("\\", "")).touch()
    assert str(given_file(name)) == name


def test_a_name_in_other_accents_is_the_same(tmp_path, caplog):
    there = tmp_path / unicodedata.normalize("NFD", "Zoë à Łódź.png")
    there.touch()
    assert given_file(tmp_path / unicodedata.normalize("NFC", there.name)) in (
        there,
        tmp_path / unicodedata.normalize("NFC", there.name),  # where the disk takes both for one
    )
    assert caplog.text == ""


def test_a_name_that_reads_the_same_is_told_once(tmp_path, caplog):
    (tmp_path / "it’s.png").touch()
    for _ in range(3):
        assert given_file(tmp_path / "it's.png").name == "it’s.png"
    assert caplog.text.count("is taken") == 1


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name(name):
    with pytest.raises(MediaError, match="empty"):
        given_file(name)
    with pytest.raises(MediaError, match="empty"):
        read_image(name)


def test_a_screenshot_of_macos(tmp_path, caplog):
    there = tmp_path / "Screenshot 2026-03-01 at 9.41.00\u202fAM.png"
    there.touch()
    assert given_file(tmp_path / "Screenshot 2026-03-01 at 9.41.00 AM.png") == there
    assert "is taken" in caplog.text
    (tmp_path / "Anna’s café.png").touch()
    typed = tmp_path / unicodedata.normalize("NFD", "Anna's café.png")
    assert given_file(typed) == tmp_path / "Anna’s café.png"


def test_two_that_read_the_same_are_not_chosen_from(tmp_path):
    for space in ("\u202f", "\u00a0"):
        (tmp_path / f"9.41{space}AM.png").touch()
    asked = tmp_path / "9.41 AM.png"
    assert given_file(asked) == asked


@pytest.mark.parametrize(
    "name",
    [
        "https://example.org/a.png?x=[1",
        "HTTP://[bad/a.png",
        "'https://example.org/a.mp4'",
        "ftp://example.org/a.png",
        "data:image/png;base64," + "A" * 10_000,
    ],
)
@pytest.mark.parametrize("read", [read_image, Clip.load, read_settings])
def test_nothing_is_fetched(name, read):
    with pytest.raises(MediaError, match="download it and give the file") as caught:
        read(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["", "'", "“”", "\0.png", "a\ud800.png", "file:///no.png", "\\"])
def test_what_is_not_there_stays_missing(name):
    with pytest.raises(MediaError):
        read_image(name)
