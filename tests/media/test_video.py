"""Clips as cameras and other programs write them: read as they are meant to be seen, or said."""

from __future__ import annotations

import logging
import os
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.media.video import Video

from .foreign import corners, encoded, nearest, numbered, turned
from .moving import moving


def notes(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "mlxvid"]


def near(frames: np.ndarray, expected: np.ndarray, most: float = 4) -> bool:
    apart = np.abs(frames.astype(int) - expected).mean()
    return frames.shape == expected.shape and apart <= most


# --- how pictures lie ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize(
    ("turn", "upright"),
    [
        ("90", lambda x: np.rot90(x, -1, (1, 2))),
        ("180", lambda x: np.rot90(x, 2, (1, 2))),
        ("270", lambda x: np.rot90(x, 1, (1, 2))),
        ("mirrored", lambda x: x[:, :, ::-1]),
        ("mirrored 90", lambda x: x.swapaxes(1, 2)),
    ],
)
def test_a_phones_clip_is_upright(tmp_path, caplog, ending, turn, upright):
    path = turned(encoded(tmp_path / f"phone.{ending}", corners()), turn)
    assert near(Clip.load(path).frames, upright(corners()))
    assert notes(caplog) == []
    small = next(Video(path).pictures())((24, 32))
    assert small.shape == (32, 24, 3)


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(16, 11), (93, 48)), (Fraction(2, 3), (64, 72))]
)
def test_pixels_become_square(tmp_path, caplog, aspect, size):
    path = encoded(tmp_path / "dvd.mp4", corners(), aspect=aspect)
    assert Clip.load(path).frames.shape == (3, size[1], size[0], 3)
    (note,) = notes(caplog)
    assert "square" in note and "64x48" in note and f"{size[0]}x{size[1]}" in note


def test_pixels_of_a_turned_clip_become_square(tmp_path):
    path = turned(encoded(tmp_path / "dvd.mp4", corners(), aspect=Fraction(2)), "90")
    assert Clip.load(path).frames.shape == (3, 128, 48, 3)


def test_interlaced_lines_become_frames(tmp_path, caplog):
    """A bar that moves between the two fields of a frame leaves no comb."""
    frames = np.full((8, 64, 96, 3), 40, np.uint8)
    for index, frame in enumerate(frames):
        frame[0::2, 8 * index : 8 * index + 16] = 220
        frame[1::2, 8 * index + 4 : 8 * index + 20] = 220
    options = {"flags": "+ilme+ildct", "x264-params": "tff=1:crf=5"}
    path = encoded(tmp_path / "tv.mp4", frames, options=options)
    clip = Clip.load(path)
    assert clip.frames.shape == frames.shape and clip.fps == 24
    combs = np.abs(np.diff(clip.frames[2:6].astype(int), axis=1)).mean()
    assert combs < np.abs(np.diff(frames[2:6].astype(int), axis=1)).mean() / 3
    (note,) = notes(caplog)
    assert "interlaced" in note


def test_a_size_that_changes_is_brought_to_the_first(tmp_path, caplog):
    first = encoded(tmp_path / "1.ts", numbered(5))
    second = encoded(tmp_path / "2.ts", numbered(5, 96, 64))
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    clip = Clip.load(path)
    assert clip.frames.shape[1:] == (48, 64, 3) and len(clip.frames) > 6
    assert any("changes its size to 96x64" in note for note in notes(caplog))


# --- colours -------------------------------------------------------------------------------------

GREEN = np.full((3, 48, 64, 3), (40, 200, 60), np.uint8)


@pytest.mark.parametrize(
    ("colours", "full", "height"),
    [
        ((6, 6, 6), False, 48),
        ((5, 5, 6), True, 48),
        ((1, 1, 1), False, 48),
        ((1, 1, 1), True, 48),
        (None, False, 48),
        (None, True, 48),
    ],
)
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_matrix_and_range(tmp_path, caplog, colours, full, height, codec):
    path = encoded(tmp_path / "green.mkv", GREEN, codec, colours=colours, full=full)
    assert near(Clip.load(path).frames, GREEN, 3)
    assert notes(caplog) == []


def test_large_clips_without_a_tag_are_bt709(tmp_path):
    large = np.full((1, 720, 1280, 3), (40, 200, 60), np.uint8)
    tagged = encoded(tmp_path / "tagged.mkv", large, colours=(1, 1, 1))
    plain = tmp_path / "plain.mkv"
    with av.open(str(tagged)) as source, av.open(str(plain), "w") as target:
        context = source.streams.video[0].codec_context
        stream = target.add_stream("libx264", rate=24, options={"crf": "5"})
        stream.width = context.width
        stream.height = context.height
        stream.pix_fmt = "yuv420p"
        for frame in source.decode(video=0):
            frame.colorspace = 2
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    assert near(Clip.load(plain).frames, large, 3)


@pytest.mark.parametrize("curve", [16, 18])
def test_hdr_is_brought_to_the_screens_range(tmp_path, caplog, curve):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    frames = np.broadcast_to(ramp[None, None, :, None], (2, 48, 64, 3)).copy()
    path = encoded(tmp_path / "hdr.mov", frames, "prores_ks", "yuv422p10le", colours=(9, 9, curve))
    levels = Clip.load(path).frames[0, 24].mean(-1)
    assert (np.diff(levels) >= -1).all() and levels[0] < 8 and levels[-1] > 200
    assert np.abs(levels - ramp).max() > 15  # it isn't shown as it is
    (note,) = notes(caplog)
    assert "HDR" in note and "BT.709" in note


def test_a_wide_gamut_is_brought_to_bt709(tmp_path, caplog):
    path = encoded(tmp_path / "p3.mov", GREEN, "prores_ks", "yuv422p10le", colours=(1, 12, 1))
    green = Clip.load(path).frames.mean((0, 1, 2))
    assert green[0] < 25 and green[1] > 160  # the same to the eye is more saturated in numbers
    assert any("gamut" in note for note in notes(caplog))


@pytest.mark.parametrize(
    ("ending", "codec", "pixels"),
    [("mov", "prores_ks", "yuva444p10le"), ("mkv", "ffv1", "bgra"), ("mov", "png", "rgba")],
)
def test_transparency_is_laid_over_white(tmp_path, caplog, ending, codec, pixels):
    frames = np.zeros((2, 48, 64, 4), np.uint8)
    frames[:, :, :32] = (200, 30, 30, 255)
    path = encoded(tmp_path / f"alpha.{ending}", frames, codec, pixels)
    shown = Clip.load(path).frames
    assert shown[:, :, 40:].min() > 250 and near(shown[:, :, 8:24], frames[:, :, 8:24, :3])
    assert any("transparency" in note and "white" in note for note in notes(caplog))


def test_transparency_beside_the_video_is_said(tmp_path, caplog):
    frames = np.full((3, 48, 64, 4), 120, np.uint8)
    path = encoded(tmp_path / "alpha.webm", frames, "libvpx-vp9", "yuva420p")
    assert Clip.load(path).frames.shape == (3, 48, 64, 3)
    (note,) = notes(caplog)
    assert "transparency" in note and "left out" in note


# --- time ----------------------------------------------------------------------------------------

VARIABLE = [*range(0, 1000, 40), *range(1000, 2000, 200)]  # 25 at 25 a second, then 5 at 5


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("webm", "libvpx")]
)
def test_a_variable_rate_is_brought_to_one(tmp_path, caplog, ending, codec):
    frames = numbered(30)
    path = encoded(tmp_path / f"phone.{ending}", frames, codec, times=VARIABLE, rate=25)
    clip = Clip.load(path)
    assert clip.fps == 25 and abs(len(clip.frames) - 50) <= 5
    shown = nearest(clip.frames, frames)
    due = [int(np.searchsorted(VARIABLE, 40 * at + 20, "right")) - 1 for at in range(len(shown))]
    assert np.abs(np.array(shown) - due).max() <= 1  # neighbours are hard to tell apart
    (note,) = notes(caplog)
    assert "variable frame rate" in note and "25" in note


def test_a_missing_frame_is_filled(tmp_path):
    times = [40 * at for at in range(21) if at != 10]
    path = encoded(tmp_path / "gap.mkv", numbered(20), times=times, rate=25)
    clip = Clip.load(path)
    assert clip.fps == 25 and len(clip.frames) == 21


def test_times_that_are_a_little_off_change_nothing(tmp_path, caplog):
    times = [round(1000 * at / 30) + (at % 3) * 4 for at in range(30)]
    path = encoded(tmp_path / "shaky.mkv", numbered(30), times=times, rate=30)
    clip = Clip.load(path)
    assert len(clip.frames) == 30 and abs(clip.fps - 30) < 0.5 and notes(caplog) == []


def test_an_endless_gap_makes_no_endless_clip(tmp_path):
    times = [0, 40, 80, 120, 3_600_000, 3_600_040]
    path = encoded(tmp_path / "gap.mkv", numbered(6), times=times, rate=25)
    assert len(Clip.load(path).frames) <= 60


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60000/1001", "25"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "avi"])
def test_the_rate_of_others(tmp_path, caplog, rate, ending):
    codec = "ffv1" if ending == "avi" else "libx264"
    path = encoded(tmp_path / f"film.{ending}", numbered(12), codec, rate=Fraction(rate))
    clip = Clip.load(path)
    assert clip.fps == float(Fraction(rate)) and len(clip.frames) == 12 and notes(caplog) == []


@pytest.mark.parametrize(("rate", "fps"), [("1/10", 0.1), ("1/20", 24), ("2000", 24)])
def test_the_slowest_rate_and_those_that_no_clip_has(tmp_path, caplog, rate, fps):
    clip = Clip.load(encoded(tmp_path / "slow.mp4", numbered(4), rate=Fraction(rate)))
    assert clip.fps == fps and len(clip.frames) == 4
    assert ("0.1 to 1000" in caplog.text) == (fps == 24)


def test_an_edit_list_cuts(tmp_path, caplog):
    """The mp4 begins before its first shown frame, as a cut without encoding leaves it."""
    whole = encoded(tmp_path / "whole.mp4", numbered(24), options={"bf": "0", "g": "24"})
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                shift = round(Fraction(10, 24) / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = stream
                target.mux(packet)
    clip = Clip.load(cut)
    assert nearest(clip.frames, numbered(24)) == list(range(10, 24))
    assert nearest(np.stack(Video(cut).last(3, np.array)), numbered(24)) == [21, 22, 23]


# --- streams and containers ----------------------------------------------------------------------


def two_streams(path, first, second, cover: bool):
    with av.open(str(path), "w") as file:
        streams = []
        for frames, codec in (first, second):
            stream = file.add_stream(codec, rate=24)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            streams.append(stream)
        if cover:
            streams[0].disposition = Disposition.attached_pic
        for stream, (frames, _) in zip(streams, (first, second), strict=True):
            for index, frame in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture.pts = index
                file.mux(stream.encode(picture))
            file.mux(stream.encode())
    return path


@pytest.mark.parametrize("cover", [False, True])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_cover_is_not_the_clip(tmp_path, caplog, ending, cover):
    picture = numbered(1, 128, 128)
    path = two_streams(
        tmp_path / f"film.{ending}", (picture, "mjpeg"), (numbered(9), "libx264"), cover
    )
    assert Clip.load(path).frames.shape == (9, 48, 64, 3)


def test_of_several_videos_the_largest_is_taken(tmp_path, caplog):
    path = two_streams(
        tmp_path / "film.mkv", (numbered(9, 32, 32), "libx264"), (numbered(9), "libx264"), False
    )
    assert Clip.load(path).frames.shape == (9, 48, 64, 3)
    (note,) = notes(caplog)
    assert "2 videos" in note and "64x48" in note


@pytest.mark.parametrize(("ending", "codec"), [("m4a", "aac"), ("mkv", "flac"), ("mov", "aac")])
def test_sound_alone_is_no_clip(tmp_path, ending, codec):
    path = tmp_path / f"song.{ending}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48000)
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.int16), format="s16", layout="mono"
        )
        sound.sample_rate = 48000
        file.mux(stream.encode(sound))
        file.mux(stream.encode())
    with pytest.raises(MediaError, match=rf"song\.{ending} holds no"):
        Clip.load(path)


@pytest.fixture
def usual_scheduling():
    """Afterwards this process comes before no other: SVT-AV1 gives those of root real-time
    priority, which their children inherit, and such as wait by spinning then starve the rest.
    """
    yield
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.mark.usefixtures("usual_scheduling")
@pytest.mark.parametrize(
    ("ending", "codec", "pixels"),
    [
        ("mkv", "libsvtav1", "yuv420p"),
        ("webm", "libvpx", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("mp4", "libx265", "yuv420p10le"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("mov", "mjpeg", "yuvj420p"),
        ("avi", "rawvideo", "bgr24"),
        ("mkv", "ffv1", "yuv444p16le"),
        ("mkv", "libx264rgb", "rgb24"),
        ("mkv", "ffv1", "gray"),
        ("avi", "mjpeg", "yuvj422p"),
    ],
)
def test_encodings(tmp_path, ending, codec, pixels):
    frames = numbered(9)
    path = encoded(
        tmp_path / f"clip.{ending}", frames, codec, pixels, full=pixels.startswith("yuvj")
    )
    wrong = path.rename(tmp_path / "clip.txt")
    clip = Clip.load(wrong)
    assert clip.fps == 24 and clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    assert near(clip.frames, frames, 6)
    assert nearest(np.stack(Video(wrong).last(2, np.array)), frames) == [7, 8]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "avi"])
@pytest.mark.parametrize("count", [0, 1])
def test_no_frame_and_one(tmp_path, ending, count):
    path = encoded(tmp_path / f"short.{ending}", moving(1)[:count].reshape(-1, 48, 64, 3), "mpeg4")
    if count:
        assert Clip.load(path).frames.shape == (1, 48, 64, 3)
    else:
        with pytest.raises(MediaError, match=r"short\.\w+ .*\.$"):
            Clip.load(path)


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "codec", "options"),
    [
        ("mp4", "libx264", {"g": "12", "bf": "3"}),
        ("mp4", "libx264", {"g": "12", "x264-params": "open-gop=1:bframes=3:keyint=12"}),
        ("mp4", "libx265", {"x265-params": "keyint=12:open-gop=1:log-level=none"}),
        ("ts", "libx264", {"g": "12"}),
        ("mkv", "libx264", {"g": "12", "bf": "2"}),
        ("mkv", "libx264", {"g": "500"}),
        ("avi", "mpeg4", {"g": "12"}),
        ("webm", "libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}),
        ("webm", "libvpx-vp9", {"g": "20"}),
        ("mov", "prores_ks", {}),
        ("h264", "libx264", {"g": "12"}),
    ],
)
def test_the_last_frames_are_those_of_the_whole(tmp_path, ending, codec, options):
    pixels = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    path = encoded(tmp_path / f"long.{ending}", moving(90), codec, pixels, options=options)
    whole = Clip.load(path).frames
    assert len(whole) >= 88
    for count in (1, 17, 50, 200):
        last = Video(path).last(count, np.array)
        assert np.array_equal(last, whole[-count:])
    assert np.array_equal(Video(path).first(17, np.array), whole[:17])


def test_the_last_frames_of_a_variable_rate(tmp_path):
    times = [*range(0, 4000, 40), *range(4000, 6000, 200)]
    path = encoded(tmp_path / "phone.mkv", moving(110), times=times, rate=25, options={"g": "10"})
    whole = Clip.load(path).frames
    assert np.array_equal(Video(path).last(30, np.array), whole[-30:])


def test_only_the_frames_that_are_needed_are_decoded_and_kept(tmp_path, monkeypatch):
    path = encoded(tmp_path / "long.mp4", moving(240), options={"g": "24"})
    video = Video(path)
    decoded = []
    frames_of = Video._frames_of

    def counted(self, container):
        for frame in frames_of(self, container):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(Video, "_frames_of", counted)
    shaped = []
    last = video.last(8, lambda frame: shaped.append(1) or frame[:2, :2].copy())
    assert len(last) == 8 and last[0].shape == (2, 2, 3)
    assert len(decoded) <= 8 + 24 + 16 and len(shaped) <= 8 + 16
    decoded.clear()
    assert len(video.first(8, np.array)) == 8 and len(decoded) <= 9


def test_a_cut_clip_has_no_last_frames(tmp_path):
    path = Clip(moving(60), 24, {}).save(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    with pytest.raises(MediaError, match=r"clip\.mp4 .*copy or make it again"):
        Video(path).last(5, np.array)


@pytest.mark.parametrize("name", ["huge.mp4", "huge.gif", "huge"])
def test_too_large_for_the_memory_is_one_sentence(tmp_path, monkeypatch, name):
    path = Clip(moving(3), 8, {}).save(tmp_path / name)

    def full(*args):
        raise MemoryError

    monkeypatch.setattr("mlxvid.media.reading.np.empty", full)
    monkeypatch.setattr("mlxvid.media.reading.np.stack", full)
    with pytest.raises(MediaError, match=rf"{name} .*memory"):
        Clip.load(path)


def test_no_memory_to_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **options):
        raise MemoryError

    monkeypatch.setattr("mlxvid.media.clip.write_frames", full)
    with pytest.raises(MediaError, match=r"clip\.mp4 .*memory"):
        Clip(moving(3), 8, {}).save(tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_mutated_clips_end_with_frames_or_one_sentence(tmp_path, caplog, ending):
    caplog.set_level(logging.CRITICAL, "mlxvid")
    codec = "mpeg4" if ending == "avi" else "libx264"
    whole = encoded(tmp_path / f"whole.{ending}", moving(24), codec).read_bytes()
    rng = np.random.default_rng(17)
    path = tmp_path / f"clip.{ending}"
    ends = []
    for trial in range(25):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=1 + trial % 8):
            data[place] = rng.integers(256)
        if trial % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        path.write_bytes(data)
        for attempt in (Clip.load, lambda path: Video(path).last(5, np.array)):
            try:
                attempt(path)
                ends.append("")
            except MediaError as error:
                ends.append(str(error))
    assert "" in ends and any(ends) and not any("\n" in end for end in ends)
