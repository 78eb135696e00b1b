"""Damaged pictures of every format end as a picture or as one sentence, soon and in little memory.

They are mutated at random, by a seed; nothing may end the process, hang or print a traceback.
"""

from __future__ import annotations

import resource
import sys
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image, read_thumbnail

from .heic_files import write_heic
from .test_colour import P3, false_inks, profile_of

MOST_SECONDS = 20  # of one file; they take some hundredths, HEIC half a second
MOST_BYTES = 1 << 30
MACOS = sys.platform == "darwin"  # which counts in bytes


def ramps() -> Image.Image:
    y, x = np.mgrid[:48, :64]
    return Image.fromarray(np.stack([x * 4, y * 5, (x + y) * 2], -1).astype(np.uint8))


def whole_files() -> dict[str, bytes]:
    """A small picture in every format that is read, most ways that Pillow has to write it."""
    picture = ramps()
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    exif = Image.Exif()
    exif[0x0112] = 6
    camera = {"icc_profile": profile_of(P3), "exif": exif}
    deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    several = {"save_all": True, "append_images": [mirrored, picture], "duration": 80}
    kinds = {
        "photo.png": (picture, camera),
        "photo.jpg": (picture, camera),
        "photo.webp": (picture, camera),
        "photo.avif": (picture, camera),
        "progressive.jpg": (picture, {"progressive": True}),
        "print.jpg": (picture.convert("CMYK"), {"icc_profile": false_inks()}),
        "lossless.webp": (picture, {"lossless": True}),
        "palette.png": (picture.quantize(16), {}),
        "deep.png": (deep, {}),
        "still.gif": (picture, {}),
        "still.bmp": (picture, {}),
        "plain.tif": (picture, {"icc_profile": profile_of(P3)}),
        "lzw.tif": (picture, {"compression": "tiff_lzw"}),
        "jpeg.tif": (picture, {"compression": "jpeg"}),
        "deflate.tif": (picture, {"compression": "tiff_adobe_deflate"}),
        "lab.tif": (picture.convert("LAB"), {}),
        "pages.tif": (picture, several),
        "several.png": (picture, several),
        "several.webp": (picture, several),
        "several.gif": (picture, several),
        "several.avif": (picture, several),
    }
    files = {}
    for name, (image, options) in kinds.items():
        buffer = BytesIO()
        kind = Image.registered_extensions()[f".{name.split('.')[1]}"]
        image.save(buffer, kind, **options)
        files[name] = buffer.getvalue()
    return files


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, with bytes put in or left out, or with others in their place."""
    data = bytearray(whole)
    how = rng.integers(5)
    at = int(rng.integers(1, len(data)))
    if how == 0:
        del data[at:]
    elif how == 1:
        data[at:at] = rng.bytes(rng.integers(1, 64))
    elif how == 2:
        del data[at : at + rng.integers(1, 64)]
    if how > 2 or rng.integers(2):
        # In every second file only in the beginning, where the sizes and tables are.
        end = len(data) if how != 4 else min(len(data), 300)
        for place in rng.integers(end, size=rng.integers(1, 12)):
            data[place] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
    return bytes(data)


def most_memory() -> int:
    """The most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if MACOS else 1024)


def check(path, reads) -> int:
    """How many of the ways of reading refuse the file, each in one sentence and soon."""
    refused = 0
    for read in reads:
        start = time.monotonic()
        try:
            read(path)
        except MediaError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
        assert time.monotonic() - start < MOST_SECONDS
    return refused


def test_500_damaged_pictures(tmp_path):
    files = whole_files()
    rng = np.random.default_rng(17)
    names = list(files)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert check(tmp_path / name, [read_image]) == 0
    before = most_memory()
    refused = 0
    for trial in range(500):
        path = tmp_path / names[trial % len(names)]
        path.write_bytes(mutated(files[path.name], rng))
        refused += check(path, [read_image, lambda file: read_thumbnail(file, 20), Clip.load])
    assert 300 < refused < 1400
    assert most_memory() - before < MOST_BYTES


@pytest.mark.parametrize("trials", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_damaged_heic(tmp_path, trials):
    path = write_heic(tmp_path / "photo.heic", np.asarray(ramps()), 64, 1, profile_of(P3))
    whole = path.read_bytes()
    rng = np.random.default_rng(18)
    refused = 0
    for _ in range(trials):
        path.write_bytes(mutated(whole, rng))
        refused += check(path, [read_image])
    assert refused > trials // 4
