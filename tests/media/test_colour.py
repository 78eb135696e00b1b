"""Pictures of every mode and with any profile come out in 8-bit sRGB, or say why not."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image

COLOURS = [(230, 40, 30), (40, 200, 60), (224, 172, 140), (20, 30, 90)]
P3 = {"r": (0.51512, 0.24120, -0.00105), "g": (0.29198, 0.69225, 0.04189)}
P3["b"] = (0.15710, 0.06657, 0.78407)
ADOBE = {"r": (0.60974, 0.31111, 0.01947), "g": (0.20528, 0.62567, 0.06087)}
ADOBE["b"] = (0.14919, 0.06322, 0.74457)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_of(primaries: dict[str, tuple[float, float, float]]) -> bytes:
    """sRGB's profile with other primaries (D50), as cameras' profiles are made."""
    data = bytearray(srgb())
    (count,) = struct.unpack_from(">I", data, 128)
    for index in range(count):
        tag, at = struct.unpack_from(">4sI", data, 132 + 12 * index)
        name = tag[:1].decode()
        if tag[1:] == b"XYZ" and name in primaries:
            values = [round(value * 65536) for value in primaries[name]]
            struct.pack_into(">iii", data, at + 8, *values)
    return bytes(data)


def made_profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2 with these tags (ICC.1:2001-04)."""
    table = struct.pack(">I", len(tags))
    body = b""
    for name, content in tags.items():
        at = 132 + 12 * len(tags) + len(body)
        table += name + struct.pack(">II", at, len(content))
        body += content + b"\0" * (-len(content) % 4)
    d50 = struct.pack(">iii", 63190, 65536, 54061)
    head = struct.pack(">IxxxxI4s4s4s12x4s28x", 0, 0x02400000, kind, space, pcs, b"acsp")
    data = bytearray((head + d50).ljust(128, b"\0") + table + body)
    struct.pack_into(">I", data, 0, len(data))
    return bytes(data)


def linear_grey() -> bytes:
    return made_profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv" + bytes(8)})


def false_inks() -> bytes:
    """A CMYK profile whose cyan is a red: L*, a*, b* by table, white and that red, else black."""
    table = bytearray([0, 128, 128] * 16)
    table[:3] = (255, 128, 128)
    table[24:27] = (128, 188, 168)
    identity = struct.pack(">9i", *[65536 if at in (0, 4, 8) else 0 for at in range(9)])
    ramps = bytes(range(256))
    lut = b"mft1" + bytes([0, 0, 0, 0, 4, 3, 2, 0]) + identity + ramps * 4 + table + ramps * 3
    return made_profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def stripes(colours=COLOURS) -> Image.Image:
    """A stripe of 8 columns for each colour."""
    row = np.repeat(np.array(colours, np.uint8), 8, axis=0)
    return Image.fromarray(np.repeat(row[None], 8, axis=0))


def seen(path) -> np.ndarray:
    """The colour in the middle of each stripe."""
    return read_image(path)[4, 4::8].astype(int)


def stored_in(profile: bytes) -> Image.Image:
    given = ImageCms.ImageCmsProfile(BytesIO(profile))
    own = ImageCms.ImageCmsProfile(BytesIO(srgb()))
    return ImageCms.profileToProfile(stripes(), own, given)


@pytest.mark.parametrize("primaries", [P3, ADOBE], ids=["p3", "adobe"])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_rgb_profiles(tmp_path, ending, primaries, caplog):
    profile = profile_of(primaries)
    path = tmp_path / f"photo.{ending}"
    picture = stored_in(profile)
    assert np.abs(np.asarray(picture)[4, 4::8].astype(int) - COLOURS).max() > 12
    options = {} if ending == "avif" else {"lossless": True, "subsampling": 0}
    picture.save(path, icc_profile=profile, quality=100, **options)
    assert np.abs(seen(path) - COLOURS).max() <= (6 if ending in ("jpg", "avif") else 2)
    assert not caplog.messages


def test_transparency_stays_beside_a_profile(tmp_path):
    profile = profile_of(P3)
    picture = stored_in(profile)
    picture.putalpha(Image.fromarray(np.repeat([[255] * 16 + [0] * 16], 8, 0).astype(np.uint8)))
    for name, stored in (("a.png", picture), ("p.png", picture.quantize(8))):
        stored.save(tmp_path / name, icc_profile=profile)
        assert np.abs(seen(tmp_path / name)[:2] - COLOURS[:2]).max() <= 3
        assert (seen(tmp_path / name)[2:] == 255).all()


def test_an_animation_with_a_profile(tmp_path):
    profile = profile_of(P3)
    picture = stored_in(profile)
    other = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for name in ("a.png", "a.webp"):
        options = {"icc_profile": profile, "duration": 100, "lossless": True}
        picture.save(tmp_path / name, save_all=True, append_images=[other], **options)
        frames = Clip.load(tmp_path / name).frames[:, 4, 4::8].astype(int)
        assert np.abs(frames - [COLOURS, COLOURS[::-1]]).max() <= 2


def test_greys_with_profiles_of_colours(tmp_path, caplog):
    greys = stripes().convert("L")
    greys.save(tmp_path / "rgb.png", icc_profile=srgb())
    assert np.abs(seen(tmp_path / "rgb.png")[:, 0] - np.asarray(greys)[4, 4::8]).max() <= 1
    assert not caplog.messages
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    greys.save(tmp_path / "lab.png", icc_profile=lab)
    assert np.array_equal(seen(tmp_path / "lab.png")[:, 0], np.asarray(greys)[4, 4::8])
    assert "lab.png has a colour profile" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "noise", "wrong space", "empty"])
def test_a_damaged_profile_is_left_out(tmp_path, damage, caplog):
    data = bytearray(profile_of(P3))
    if damage == "cut":
        data = data[:200]
    elif damage == "noise":
        data[36:40] = b"none"
    elif damage == "wrong space":
        data[16:20] = b"CMYK"
    else:
        data = bytearray(b"x")
    stripes().save(tmp_path / "photo.png", icc_profile=bytes(data))
    assert np.array_equal(seen(tmp_path / "photo.png"), COLOURS)
    (said,) = caplog.messages
    assert "photo.png has a colour profile that is damaged" in said


def test_grey_profiles(tmp_path, caplog):
    for mode, ending in (("L", "png"), ("L", "tif"), ("1", "png")):
        path = tmp_path / f"{mode}.{ending}"
        picture = stripes([(55, 55, 55), (0, 0, 0), (255, 255, 255)]).convert(mode)
        picture.save(path, icc_profile=linear_grey())
        first = 128 if mode == "L" else seen(path)[0]
        assert np.abs(seen(path)[0] - first).max() <= 2
        assert seen(path)[1:, 0].tolist() == [0, 255]
    deep = Image.fromarray(np.array([[0, 55 * 257, 65535]], np.uint16))
    deep.save(tmp_path / "deep.png", icc_profile=linear_grey())
    assert np.abs(read_image(tmp_path / "deep.png")[0, :, 0] - [0, 128.0, 255]).max() <= 2
    assert not caplog.messages


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_profiles(tmp_path, ending, caplog):
    inks = Image.fromarray(np.zeros((8, 16, 4), np.uint8), "CMYK")
    inks.paste((255, 0, 0, 0), (8, 0, 16, 8))
    path = tmp_path / f"print.{ending}"
    inks.save(path, icc_profile=false_inks(), quality=100)
    white, cyan = seen(path)
    assert white.min() >= 250 and cyan[0] > 180 and cyan[1] < 90  # Pillow's own is (0, 255, 255)
    assert not caplog.messages
    stripes().save(tmp_path / "rgb.png", icc_profile=false_inks())
    assert np.array_equal(seen(tmp_path / "rgb.png"), COLOURS)
    assert "rgb.png has a colour profile" in caplog.text


def test_cmyk_without_a_profile_is_a_guess(tmp_path, caplog):
    for ending in ("jpg", "tif"):
        path = tmp_path / f"print.{ending}"
        stripes().convert("CMYK").save(path, quality=100)
        assert np.abs(seen(path) - COLOURS).max() <= 4
        assert f"{path} is in CMYK without a colour profile" in caplog.text


def test_lab(tmp_path):
    stripes().convert("LAB").save(tmp_path / "lab.tif")
    assert np.abs(seen(tmp_path / "lab.tif") - COLOURS).max() <= 8


def test_deep_greys(tmp_path):
    deep = Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16))
    deep.save(tmp_path / "deep.tif")
    assert read_image(tmp_path / "deep.tif")[0, :, 0].tolist() == [0, 1, 128, 255]
    data = (tmp_path / "deep.tif").read_bytes()
    black_is_zero = struct.pack("<HHII", 262, 3, 1, 1)
    assert black_is_zero in data
    (tmp_path / "negative.tif").write_bytes(
        data.replace(black_is_zero, struct.pack("<HHII", 262, 3, 1, 0))
    )
    assert read_image(tmp_path / "negative.tif")[0, :, 0].tolist() == [255, 254, 127, 0]
    picture = Image.fromarray(np.array([[0, 65536]], np.int32))
    picture.save(tmp_path / "deepest.tif")
    with pytest.raises(MediaError, match=r"deepest\.tif has 32-bit pixels, .* 8-bit PNG"):
        read_image(tmp_path / "deepest.tif")


def test_transparency_is_said_once_a_clip(tmp_path, caplog):
    for name in ("1.png", "2.png", "3.png"):
        Image.new("RGBA", (8, 8), (200, 30, 30, 128)).save(tmp_path / name)
    assert Clip.load(tmp_path).frames[2, 0, 0].tolist() == [227, 142, 142]
    (said,) = caplog.messages
    assert "1.png is partly transparent, and is laid over white." in said
