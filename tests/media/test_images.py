"""Pictures of every kind are read or refused in one sentence, and fitted to a size."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.images import fit, read_image


@pytest.fixture
def picture() -> np.ndarray:
    """24x40, every corner of another colour, so that a turned or mirrored picture shows."""
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20] = (250, 20, 20)
    pixels[:12, 20:] = (20, 250, 20)
    pixels[12:, :20] = (20, 20, 250)
    pixels[12:, 20:] = (240, 240, 20)
    return pixels


@pytest.mark.parametrize(
    ("ending", "worst"),
    [("png", 0), ("bmp", 0), ("tiff", 0), ("webp", 24), ("jpg", 24), ("gif", 0)],
)
def test_common_formats(tmp_path, picture, ending, worst):
    path = tmp_path / f"picture.{ending}"
    options = {"quality": 95, "subsampling": 0} if ending == "jpg" else {}
    Image.fromarray(picture).save(path, **options)
    seen = read_image(path)
    assert seen.dtype == np.uint8 and seen.shape == picture.shape
    assert np.abs(seen[3:9, 3:17].astype(int) - picture[3:9, 3:17]).max() <= worst


def test_arrays_and_pillow_images(picture):
    assert np.array_equal(read_image(picture), picture) and read_image(picture) is not picture
    assert np.array_equal(read_image(Image.fromarray(picture)), picture)
    assert read_image(picture[..., 0]).shape == (24, 40, 3)
    assert np.array_equal(read_image(picture[..., :1])[..., 2], picture[..., 0])


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_rotation_is_undone(tmp_path, picture, orientation):
    turns = {3: 2, 6: 1, 8: 3}[orientation]  # how a camera stored it: quarter turns to the left
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.rot90(picture, turns).copy()).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), picture)


def test_transparency_is_laid_over_white(tmp_path, picture):
    alpha = np.dstack([picture, np.full((24, 40), 255, np.uint8)])
    alpha[:12, :, 3] = 0
    alpha[12:, :20, 3] = 128
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    for seen in (read_image(tmp_path / "alpha.png"), read_image(alpha)):
        assert (seen[:12] == 255).all()
        assert np.array_equal(seen[20, 5], [137, 137, 252])  # (20, 20, 250) at 128/255 over white
        assert np.array_equal(seen[20, 30], picture[20, 30])
    palette = Image.fromarray(picture).quantize(4)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 0)))
    seen = read_image(tmp_path / "palette.png")
    assert np.array_equal(seen[0, 0], [255, 255, 255])
    assert np.array_equal(seen[20, 30], picture[20, 30])


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    grey = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_cmyk(tmp_path, picture):
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "print.jpg")[4, 4].astype(int) - picture[4, 4]).max() < 24


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3)),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(array):
    with pytest.raises(MediaError, match=r"uint8 array \[height, width, 3\], not "):
        read_image(array)


def test_missing_text_and_folder(tmp_path):
    with pytest.raises(MediaError, match=r"no file .*none\.png"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    for name in ("text.png", "empty.png"):
        with pytest.raises(MediaError, match=rf"{name} is not a picture .* PNG"):
            read_image(tmp_path / name)
    with pytest.raises(MediaError, match="is a folder, not a file"):
        read_image(tmp_path)
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(MediaError, match=r"float\.tiff has floating-point pixels, .* 8-bit PNG"):
        read_image(tmp_path / "float.tiff")


def test_bomb(tmp_path):
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    for side in (10_000, 60_000):  # Pillow only warns of the first, and refuses the second
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        path = tmp_path / f"{side}.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b""))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(MediaError, match=rf"{side}\.png is too large .* \d+ megapixels"):
            read_image(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "bmp", "tiff"])
def test_damaged_files_raise_nothing_else(tmp_path, picture, ending):
    """Cut and flipped bytes give a picture or a MediaError of one line, never another exception."""
    path = tmp_path / f"whole.{ending}"
    Image.fromarray(picture).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for trial in range(60):
        data = bytearray(whole[: rng.integers(1, len(whole))] if trial % 2 else whole)
        for place in rng.integers(len(data), size=trial % 5):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert read_image(path).dtype == np.uint8
        except MediaError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).endswith(".")
    assert refused > 20


@pytest.mark.parametrize("name", ["picture.png", "picture.eps", "picture"])
def test_postscript_is_never_run(tmp_path, name):
    """Pillow hands it to Ghostscript, which runs it: it could write files."""
    written = tmp_path / "written"
    path = tmp_path / name
    path.write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 96 96\n%%EndComments\n"
        f"({written}) (w) file dup (hello) writestring closefile\n"
        "0 0 moveto 96 96 lineto stroke\n%%EOF\n"
    )
    for attempt in (read_image, Clip.load, read_settings):
        with pytest.raises(MediaError, match=name):
            attempt(path)
    assert not written.exists()


@pytest.mark.parametrize("ending", ["ppm", "tga", "ico", "jp2", "pcx"])
def test_other_formats_are_refused_whatever_their_name(tmp_path, picture, ending):
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(picture).save(path)
    renamed = path.rename(tmp_path / "picture.png")
    with pytest.raises(MediaError, match="not a picture that can be read"):
        read_image(renamed)


def test_fit_leaves_the_right_size_alone(picture):
    same, note = fit(picture, 40, 24)
    assert same is picture and note is None


@pytest.mark.parametrize(
    ("width", "height", "note"),
    [
        (20, 12, "The picture (40x24) was reduced to 20x12."),
        (80, 48, "The picture (40x24) was enlarged to 80x48."),
        (
            24,
            24,
            "The picture (40x24) was kept at its scale and cropped at the left and right to 24x24.",
        ),
        (12, 12, "The picture (40x24) was reduced and cropped at the left and right to 12x12."),
        (
            40,
            12,
            "The picture (40x24) was kept at its scale and cropped at the top and bottom to 40x12.",
        ),
        (160, 48, "The picture (40x24) was enlarged and cropped at the top and bottom to 160x48."),
    ],
)
def test_fit_says_what_it_did(picture, width, height, note):
    fitted, said = fit(picture, width, height)
    assert fitted.shape == (height, width, 3) and fitted.dtype == np.uint8 and said == note
    # Centred: each corner keeps its colour, and the seams stay in the middle.
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert np.abs(fitted[row, column].astype(int) - picture[row, column]).max() <= 12


@pytest.mark.parametrize(
    ("focus", "kept", "side"), [(0.0, slice(0, 24), "right"), (1.0, slice(16, 40), "left")]
)
def test_fit_keeps_the_part_that_is_asked_for(picture, focus, kept, side):
    fitted, note = fit(picture, 24, 24, focus)
    assert np.array_equal(fitted, picture[:, kept])
    assert note.endswith(f"cropped at the {side} to 24x24.")


def test_fit_does_not_stretch():
    disc = np.hypot(*(np.mgrid[:60, :120] - np.array([29.5, 59.5])[:, None, None])) < 20
    fitted, _ = fit(np.repeat((disc * 255).astype(np.uint8)[..., None], 3, 2), 30, 30)
    rows, columns = np.nonzero(fitted[..., 0] > 127)
    assert np.ptp(rows) == np.ptp(columns) == 19
