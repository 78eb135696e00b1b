"""Each codec writes what it is called, with its pixels and colours, and is read again."""

from __future__ import annotations

import av
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.media.clip import Clip
from mlxvid.media.encodings import CODECS, ENCODINGS

from .moving import SETTINGS, moving, psnr


@pytest.mark.parametrize(
    ("codec", "name", "tag", "pixels", "least"),
    [
        ("h264", "clip.mp4", "avc1", "yuv420p", 28),
        ("hevc", "clip.mp4", "hvc1", "yuv420p", 28),
        ("vp9", "clip.webm", None, "yuv420p", 28),
        ("prores-422", "clip.mov", "apch", "yuv422p10le", 28),
        ("prores-4444", "clip.mov", "ap4h", None, 40),
        ("ffv1", "clip.mkv", None, "bgr0", 200),
    ],
)
def test_a_codec_writes_what_it_is_called(tmp_path, codec, name, tag, pixels, least):
    frames = moving(9, 96, 64)
    path = Clip(frames, 24, SETTINGS).save(tmp_path / name, codec=codec)
    clip = Clip.load(path)
    assert clip.settings == SETTINGS
    assert clip.fps == 24
    assert clip.frames.shape == frames.shape
    assert np.array_equal(clip.frames, frames) or psnr(clip.frames, frames) > least
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert tag is None or context.codec_tag == tag
        assert pixels is None or context.pix_fmt == pixels
        assert context.color_primaries == 1  # BT.709


def test_ffv1_loses_nothing_at_any_size(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 17, 33, 3)).astype(np.uint8)
    path = Clip(noise, 23.976, {}).save(tmp_path / "clip.mkv")
    assert np.array_equal(Clip.load(path).frames, noise)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (33, 17)
        plain = next(container.decode(stream)).to_ndarray(format="rgb24")
    assert np.array_equal(plain, noise[0])


@pytest.mark.parametrize("codec", ["hevc", "prores-4444"])
def test_colours_are_those_of_the_frames(tmp_path, codec):
    frames = np.full((2, 64, 96, 3), (200, 30, 90), np.uint8)
    name = f"clip.{ENCODINGS[codec].container}"
    path = Clip(frames, 8, {}).save(tmp_path / name, codec=codec)
    assert np.abs(Clip.load(path).frames.astype(int) - frames).max() <= 3


def test_a_codec_of_another_format_is_refused(tmp_path):
    clip = Clip(moving(2), 8, {})
    for name, codec, words in (
        ("clip.mp4", "prores-422", [".mp4", "codec", "prores-422", ".mov"]),
        ("clip.gif", "hevc", [".gif", "hevc", ".mp4"]),
        ("frames", "ffv1", ["ffv1", ".mkv"]),
        ("clip.mp4", "av1", ["av1", "h264", "hevc"]),
    ):
        with pytest.raises(SettingError) as refused:
            clip.save(tmp_path / name, codec=codec)
        assert all(word in str(refused.value) for word in words)
    with pytest.raises(SettingError, match="hevc.*64x48.*64"):
        clip.save(tmp_path / "clip.mp4", codec="hevc")
    assert not list(tmp_path.iterdir())


def test_every_codec_has_a_format():
    assert {name for names in CODECS.values() for name in names} == set(ENCODINGS)
