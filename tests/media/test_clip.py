"""Clips through files: pixels, colours, time and settings survive."""

from __future__ import annotations

import logging
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import SettingError
from mlxvid.media.clip import Clip, contact_sheet, read_settings

from .moving import NAMES, SETTINGS, moving, psnr

LUMA = np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(tmp_path, name):
    frames = moving()
    seen = []
    saved = Clip(frames, 8, SETTINGS).save(
        tmp_path / name, on_progress=lambda done, total: seen.append((done, total))
    )
    assert saved == tmp_path / name and os.listdir(tmp_path) == [name]
    assert seen == [(done, 9) for done in range(1, 10)]
    clip = Clip.load(saved)
    assert clip.settings == SETTINGS == read_settings(str(saved))
    assert clip.fps == 8 and clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    # Video keeps a quarter of the colour samples.
    assert psnr(clip.frames, frames) > {"clip": 90, "clip.gif": 40}.get(name, 28)
    assert psnr(clip.frames @ LUMA, frames @ LUMA) > 40
    # In order, and none twice: each frame is nearest to itself.
    apart = ((clip.frames[:, None].astype(float) - frames[None]) ** 2).mean((2, 3, 4))
    assert apart.argmin(1).tolist() == list(range(9))


@pytest.mark.parametrize("name", [*NAMES, "clip.png"])
@pytest.mark.parametrize(("width", "height"), [(33, 17), (1, 1), (2, 5)])
def test_one_frame_and_odd_sizes(tmp_path, name, width, height):
    frames = np.full((1, height, width, 3), (200, 30, 90), np.uint8)
    if width == 33:
        frames[:, :, 29:] = (20, 120, 220)
    clip = Clip.load(Clip(frames, 12.5, {"odd": True}).save(tmp_path / name))
    assert clip.frames.shape == frames.shape and clip.fps == 12.5 and clip.settings == {"odd": True}
    left = slice(width // 2 + 1)
    assert np.abs(clip.frames[:, :, left].astype(int) - frames[:, :, left]).max() <= 6
    # The repeated last lines keep the corner's colour: padding in black would darken it.
    assert np.abs(clip.frames[:, -1, -1].astype(int) - frames[:, -1, -1]).max() <= 8


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_odd_sizes_are_stored_even_for_other_players(tmp_path, name):
    Clip(moving(3, 33, 17), 8, {}).save(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (34, 18, "yuv420p")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.mov", "clip.gif"])
@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (7.5, "15/2"),
        (23.976, "24000/1001"),
        (23.98, "24000/1001"),
        (24000 / 1001, "24000/1001"),
        (29.97, "30000/1001"),
        (59.94, "60000/1001"),
        (119.88, "120000/1001"),
        (24.0, "24"),
        (30.0, "30"),
        (60.0, "60"),
    ],
)
def test_frame_rates(tmp_path, name, fps, rate):
    """NTSC's rates are exact, in the file too, however people round them."""
    clip = Clip.load(Clip(moving(12), fps, {}).save(tmp_path / name))
    assert clip.fps == float(Fraction(rate)) and len(clip.frames) == 12
    if name != "clip.gif":
        with av.open(str(tmp_path / name)) as container:
            # Matroska keeps a frame's length in ns, of which FFmpeg makes smaller fractions.
            off = container.streams.video[0].average_rate - Fraction(rate)
            assert off == 0 or name == "clip.webm" and abs(off) < 1e-4
    if name == "clip.gif":
        with Image.open(tmp_path / name) as gif:
            durations = []
            for index in range(gif.n_frames):
                gif.seek(index)
                durations.append(gif.info["duration"])
            assert gif.info["loop"] == 0
        assert min(durations) >= 20 and all(duration % 10 == 0 for duration in durations)
        assert abs(sum(durations) - 12000 / min(fps, 50)) <= 5
        assert max(durations) - min(durations) <= 10


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
def test_saturated_colours_survive(tmp_path, name):
    colours = [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (255, 255, 0),
        (0, 255, 255),
        (255, 0, 255),
        (255,) * 3,
        (0,) * 3,
        (128,) * 3,
    ]
    frames = np.stack([np.full((32, 48, 3), colour, np.uint8) for colour in colours])
    clip = Clip.load(Clip(frames, 8, {}).save(tmp_path / name))
    assert np.abs(clip.frames.astype(int) - frames).max() <= 3


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_video_says_which_colours_it_holds(tmp_path, name):
    Clip(np.full((1, 32, 48, 3), (200, 30, 90), np.uint8), 8, {}).save(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.color_range,
        ) == (1, 1, 1, 1)
        assert context.name == {"clip.mp4": "h264", "clip.webm": "vp9"}[name]
        # Without this library, a player that follows the tags sees the same colours.
        picture = next(container.decode(stream)).to_ndarray(format="rgb24")
    assert np.abs(picture.astype(int) - (200, 30, 90)).max() <= 3


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_colours_stay_where_they_are(tmp_path, name):
    """A colour edge without a brightness edge, which only chroma places, stays to 1/8 pixel."""
    red = np.array([255, 0, 0])
    green = np.array([0, 76, 0])  # of the same luma
    ramp = np.clip((np.arange(64) - 23.5) / 16, 0, 1)[None, :, None]
    line = np.rint(red * (1 - ramp) + green * ramp).astype(np.uint8)
    frames = line[None].repeat(32, 1).repeat(2, 0)
    seen = Clip.load(Clip(frames, 8, {}).save(tmp_path / name)).frames
    shift = (seen[..., 0].astype(float).sum(2) - frames[..., 0].astype(float).sum(2)) / 255
    assert np.abs(shift).max() < 0.25


def test_the_same_frames_make_the_same_file(tmp_path):
    """Whatever is in the codec's memory, on which noisy pictures would depend with AVX-512."""
    rng = np.random.default_rng(5)
    frames = np.uint8(np.clip(moving(17, 96, 96) + rng.normal(0, 3, (17, 96, 96, 3)), 0, 255))
    files = set()
    litter = []
    for _ in range(12):
        litter.append(rng.integers(0, 255, int(rng.integers(10, 200_000)), np.uint8))
        files.add(Clip(frames, 16, {}).save(tmp_path / "clip.mp4").read_bytes())
    assert len(files) == 1


def test_mp4_starts_with_its_index(tmp_path):
    data = Clip(moving(), 8, {}).save(tmp_path / "clip.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_equal_frames_stay_apart_in_a_gif(tmp_path):
    frames = moving(4).repeat([3, 1, 2, 5], axis=0)
    clip = Clip.load(Clip(frames, 23.976, {}).save(tmp_path / "clip.gif"))
    assert clip.frames.shape == frames.shape
    pairs = zip(clip.frames[:-1], clip.frames[1:], strict=True)
    is_equal = [np.array_equal(before, after) for before, after in pairs]
    assert is_equal == [mark == "=" for mark in "==  = ===="]
    still = Clip.load(Clip(frames[:1].repeat(5, 0), 10, {}).save(tmp_path / "still.gif"))
    assert len(still.frames) == 5 and still.fps == 10


def test_gif_background_does_not_flicker(tmp_path):
    frames = moving(6)
    seen = Clip.load(Clip(frames, 10, {}).save(tmp_path / "clip.gif")).frames
    still = (frames == frames[:1]).all((0, 3))
    assert still.mean() > 0.3 and (seen[:, still] == seen[:1, still]).all()


def test_format_changes_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, "mlxvid")
    Clip(moving(2), 60, {}).save(tmp_path / "fast.gif")
    Clip(moving(2), 16, {}).save(tmp_path / "uneven.gif")
    Clip(moving(2, 33, 17), 8, {}).save(tmp_path / "odd.mp4")
    Clip(moving(2), 10, {}).save(tmp_path / "even.gif")
    fast, uneven, odd = caplog.records
    assert fast.levelname == "WARNING" and uneven.levelname == odd.levelname == "INFO"
    for record, facts in (
        (fast, ["fast.gif", "50", "60"]),
        (uneven, ["uneven.gif", "10 ms"]),
        (odd, ["odd.mp4", "34x18"]),
    ):
        assert all(fact in record.getMessage() for fact in facts)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((2, 4, 4, 3)),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
        [[0]],
    ],
)
def test_frames_must_be_frames(frames):
    with pytest.raises(SettingError, match=r"uint8 array \[frames, height, width, 3\]"):
        Clip(frames, 8, {})


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_rates_must_be_playable(fps):
    with pytest.raises(SettingError, match=r"frames a second: choose between 0\.1 and 1000"):
        Clip(moving(1), fps, {})


@pytest.mark.parametrize("settings", [{"a": np.float32(1)}, {"a": float("nan")}, {"a": {1, 2}}])
def test_settings_must_be_json(tmp_path, settings):
    with pytest.raises(SettingError, match=r"settings can't be stored as JSON \("):
        Clip(moving(1), 8, settings).save(tmp_path / "clip.png")
    assert os.listdir(tmp_path) == []


def test_contact_sheet():
    frames = np.stack([np.full((4, 6, 3), value, np.uint8) for value in range(0, 90, 10)])
    sheet = np.asarray(contact_sheet([Clip(frames, 8, {}), Clip(frames[:2], 8, {})], columns=5))
    assert sheet.shape == (2 * 6 - 2, 5 * 8 - 2, 3)
    assert sheet[0, ::8, 0].tolist() == [0, 20, 40, 60, 80]
    assert sheet[6, ::8, 0].tolist() == [0, 10, 255, 255, 255]


def test_a_mov_is_prores_for_editing(tmp_path):
    """ProRes 422 HQ of 10 bits, tagged as BT.709, with more of the colours than H.264 keeps."""
    frames = moving(6)
    path = Clip(frames, 23.976, SETTINGS).save(tmp_path / "clip.mov")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert container.format.name.startswith("mov") and context.name == "prores"
        assert stream.profile == "HQ" and context.pix_fmt == "yuv422p10le"
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert stream.average_rate == Fraction(24000, 1001) and stream.frames == 6
        assert bytes(context.codec_tag, "ascii") == b"apch"
    clip = Clip.load(path)
    assert clip.settings == SETTINGS == read_settings(path)
    in_mp4 = Clip.load(Clip(frames, 24, {}).save(tmp_path / "clip.mp4"))
    assert psnr(clip.frames, frames) > psnr(in_mp4.frames, frames) + 2


def test_a_files_own_rate_wins_over_its_tag(tmp_path):
    """As where another program has slowed a film of 24 frames a second to television's 23.976."""
    whole = Clip(moving(6), 24, SETTINGS).save(tmp_path / "film.mp4")
    slowed = tmp_path / "slowed.mp4"
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(whole)) as source, av.open(str(slowed), "w", options=options) as target:
        target.metadata["comment"] = source.metadata["comment"]
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                base = packet.time_base * Fraction(1001, 1000)
                packet.stream = stream
                packet.time_base = base
                target.mux(packet)
    clip = Clip.load(slowed)
    assert clip.settings == SETTINGS and clip.fps == 24000 / 1001
