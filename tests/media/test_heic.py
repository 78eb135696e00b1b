"""Phones' pictures: tiles, turns and profiles are right; damaged ones end their own process."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media import heic
from mlxvid.media.clip import Clip
from mlxvid.media.images import open_picture, read_image

from .heic_files import write_heic
from .test_colour import COLOURS, P3, profile_of, stored_in, stripes


@pytest.fixture(scope="module")
def corners() -> np.ndarray:
    """112x176, each corner of another colour."""
    pixels = np.zeros((112, 176, 3), np.uint8)
    pixels[:56, :88] = (220, 40, 40)
    pixels[:56, 88:] = (40, 220, 40)
    pixels[56:, :88] = (40, 40, 220)
    pixels[56:, 88:] = (220, 220, 60)
    return pixels


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_tiles_and_turns(tmp_path, corners, turns):
    path = write_heic(tmp_path / "IMG_0001.HEIC", corners, 64, turns)
    expected = np.rot90(corners, turns)
    seen = read_image(path)
    assert seen.shape == expected.shape
    for row, column in ((10, 10), (10, -10), (-10, 10), (-10, -10)):
        assert np.abs(seen[row, column].astype(int) - expected[row, column]).max() <= 8


def test_a_profile(tmp_path):
    stored = np.kron(np.asarray(stored_in(profile_of(P3))), np.ones((8, 8, 1), np.uint8))
    path = write_heic(tmp_path / "photo.heic", stored, 128, profile=profile_of(P3))
    assert np.abs(read_image(path)[32, 32::64].astype(int) - COLOURS).max() <= 8


def test_it_is_told_by_its_content(tmp_path, corners):
    path = write_heic(tmp_path / "photo.heic", corners, 128).rename(tmp_path / "photo.jpg")
    assert heic.is_heic(path.read_bytes()[:64])
    assert read_image(path).shape == corners.shape
    clip = Clip.load(path)
    assert clip.frames.shape == (1, *corners.shape)
    stripes().save(tmp_path / "photo.avif")
    stripes().save(tmp_path / "photo.png")
    for name in ("photo.avif", "photo.png"):
        assert not heic.is_heic((tmp_path / name).read_bytes()[:64])


def test_a_damaged_one_says_what_to_do(tmp_path, corners):
    path = write_heic(tmp_path / "photo.heic", corners, 64)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(b"iprp")] = 0
    for data, reason in ((whole[:-1], "it is cut short"), (whole[:400], ""), (damaged, "")):
        path.write_bytes(data)
        with pytest.raises(MediaError, match=rf"photo\.heic .*{reason}.* sips -s format") as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


def test_one_that_is_too_large_is_not_decoded(tmp_path, corners, monkeypatch):
    path = write_heic(tmp_path / "photo.heic", corners, 64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(MediaError, match="176x112 pixels are too many"):
        read_image(path)


def test_a_decoder_that_hangs_or_dies(tmp_path, corners, monkeypatch):
    """In its place a Python that does so."""
    path = write_heic(tmp_path / "photo.heic", corners, 64)
    script = tmp_path / "python"
    monkeypatch.setattr(heic.sys, "executable", str(script))
    monkeypatch.setattr(heic, "SECONDS", 0.5)
    for line, said in (("exec sleep 30", "takes too long"), ("kill -SEGV $$", "the decoder ended")):
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
        with pytest.raises(MediaError, match=said), open_picture(path):
            pass
