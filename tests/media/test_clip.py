"""Clips through files: pixels, colours, time and settings survive; nothing half-written stays; bad
files get one sentence.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mlxvid.errors import CancelledError, MediaError, SettingError
from mlxvid.media.clip import FOREIGN_FPS, Clip, check_writable, contact_sheet, read_settings

SETTINGS = {
    "prompt": 'ein rotes Bällchen 🏀 «弹跳»\n"quoted"',
    "seed": 7,
    "guidance": 4.5,
    "size": [64, 48],
    "nested": {"a": [None, True, {"b": "ü"}]},
}
LUMA = np.array([0.2126, 0.7152, 0.0722])
NAMES = ["clip.mp4", "clip.webm", "clip.gif", "clip", "clip.MP4"]


def moving(frames: int = 9, width: int = 64, height: int = 48) -> np.ndarray:
    """A red disc crossing a blue slope in front of a still green square, smooth-edged as a picture
    is.
    """
    out = []
    for index in range(frames):
        slope = np.zeros((height * 2, width * 2, 3), np.uint8)
        slope[..., 2] = np.linspace(60, 220, height * 2)[:, None]
        picture = Image.fromarray(slope)
        draw = ImageDraw.Draw(picture)
        x, size = 2 * width * (index + 1) // (frames + 2), height // 2
        draw.ellipse((x, size, x + size, 2 * size), fill=(230, 30, 30))
        draw.rectangle((8, height * 2 - 30, 40, height * 2 - 8), fill=(30, 200, 60))
        out.append(np.asarray(picture.resize((width, height), Image.Resampling.BOX)))
    return np.stack(out)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(((a.astype(float) - b) ** 2).mean(), 1e-9))


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
    assert psnr(clip.frames, frames) > {"clip": 90, "clip.gif": 40}.get(
        name, 28
    )  # video keeps a quarter of the colour samples
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
    assert (
        np.abs(
            clip.frames[:, :, : width // 2 + 1].astype(int) - frames[:, :, : width // 2 + 1]
        ).max()
        <= 6
    )
    # The repeated last lines keep the corner's colour: padding in black would darken it.
    assert np.abs(clip.frames[:, -1, -1].astype(int) - frames[:, -1, -1]).max() <= 8


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
def test_odd_sizes_are_stored_even_for_other_players(tmp_path, name):
    Clip(moving(3, 33, 17), 8, {}).save(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (34, 18, "yuv420p")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif"])
@pytest.mark.parametrize("fps", [7.5, 23.976, 24000 / 1001, 30.0, 60.0])
def test_frame_rates(tmp_path, name, fps):
    clip = Clip.load(Clip(moving(12), fps, {}).save(tmp_path / name))
    assert clip.fps == fps and len(clip.frames) == 12
    if name == "clip.mp4":
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].average_rate == Fraction(fps).limit_denominator(1001)
    if name == "clip.gif":
        with Image.open(tmp_path / name) as gif:
            lasts = []
            for index in range(gif.n_frames):
                gif.seek(index)
                lasts.append(gif.info["duration"])
            assert gif.info["loop"] == 0
        assert (
            min(lasts) >= 20
            and abs(sum(lasts) - 12000 / min(fps, 50)) <= 5
            and max(lasts) - min(lasts) <= 10
        )


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
    """A colour edge without a brightness edge, so that only the chroma samples place it: within an
    eighth of a pixel.
    """
    red, green = np.array([255, 0, 0]), np.array([0, 76, 0])  # of equal luma
    ramp = np.clip((np.arange(64) - 23.5) / 16, 0, 1)[None, :, None]
    frames = (
        np.rint(red * (1 - ramp) + green * ramp).astype(np.uint8)[None].repeat(32, 1).repeat(2, 0)
    )
    seen = Clip.load(Clip(frames, 8, {}).save(tmp_path / name)).frames
    shift = (seen[..., 0].astype(float).sum(2) - frames[..., 0].astype(float).sum(2)) / 255
    assert np.abs(shift).max() < 0.25


def test_the_same_frames_make_the_same_file(tmp_path):
    """Whatever is in the memory that the codec is given: without care, noisy pictures come out
    differently where there is AVX-512.
    """
    rng = np.random.default_rng(5)
    frames = np.uint8(np.clip(moving(17, 96, 96) + rng.normal(0, 3, (17, 96, 96, 3)), 0, 255))
    files, litter = set(), []
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
    assert [
        np.array_equal(a, b) for a, b in zip(clip.frames[:-1], clip.frames[1:], strict=True)
    ] == [c == "=" for c in "==  = ===="]
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
    assert [
        (record.levelname, record.getMessage().replace(str(tmp_path), ""))
        for record in caplog.records
    ] == [
        (
            "WARNING",
            "/fast.gif plays at 50 frames a second instead of 60, the most that a GIF can.",
        ),
        (
            "INFO",
            "/uneven.gif keeps its speed, but single frames last up to 5 ms more or less: GIF counts in steps of 10 ms.",
        ),
        (
            "INFO",
            "/odd.mp4 is stored as 34x18, since video needs even sides; the last line is repeated.",
        ),
    ]


# --- folders ---


def test_folder_of_frames(tmp_path):
    Clip(moving(3), 8, SETTINGS).save(f"{tmp_path}/run.1/")
    assert sorted(os.listdir(tmp_path / "run.1")) == [
        "frame_0000.png",
        "frame_0001.png",
        "frame_0002.png",
        "settings.json",
    ]
    assert json.loads((tmp_path / "run.1" / "settings.json").read_text())["settings"] == SETTINGS
    # Saved again, shorter, beside what Finder leaves: replaced whole.
    (tmp_path / "run.1" / ".DS_Store").touch()
    Clip(moving(2), 5, {"second": 1}).save(tmp_path / "run.1")
    assert sorted(os.listdir(tmp_path / "run.1")) == [
        ".DS_Store",
        "frame_0000.png",
        "frame_0001.png",
        "settings.json",
    ]
    assert (
        read_settings(tmp_path / "run.1") == {"second": 1}
        and Clip.load(tmp_path / "run.1").fps == 5
    )
    (tmp_path / "run.1" / "frame_0001.png").unlink()
    with pytest.raises(
        MediaError, match=r"^The folder .*run\.1 holds 1 of 2 frames: copy or make it again\.$"
    ):
        Clip.load(tmp_path / "run.1")


@pytest.mark.parametrize("name", ["notes.txt", "settings.json", "frame_0000.png"])
def test_folder_with_other_files_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("{}")
    for attempt in (check_writable, Clip(moving(2), 8, {}).save):
        with pytest.raises(
            MediaError,
            match=rf"^The folder .* holds other files \({name}\): name a new or empty folder for the frames\.$",
        ):
            attempt(tmp_path)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "{}"


def test_folder_named_as_a_file_is(tmp_path):
    (tmp_path / "clip").touch()
    with pytest.raises(
        MediaError,
        match=r"^.*clip is a file, not a folder: choose another name, or end it in \.mp4, \.webm, \.gif or \.png\.$",
    ):
        check_writable(tmp_path / "clip")


def test_foreign_folder(tmp_path):
    for index, frame in enumerate(moving(3)):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    clip = Clip.load(tmp_path)
    assert (
        np.array_equal(clip.frames, moving(3)) and clip.fps == FOREIGN_FPS and clip.settings == {}
    )
    Image.fromarray(moving(1, 20, 20)[0]).save(tmp_path / "9.png")
    with pytest.raises(
        MediaError, match=r"^The pictures in .* have different sizes: give frames of one size\.$"
    ):
        Clip.load(tmp_path)


# --- where it can't be written ---


def test_bad_names(tmp_path):
    for name, sentence in {
        "clip.avi": "clip.avi ends in .avi, which has no format: end it in .mp4, .webm, .gif, .png, or / for a folder.",
        "none/clip.mp4": f"The folder {tmp_path}/none does not exist: create it, or choose another place for clip.mp4.",
        "none/clip/": f"The folder {tmp_path}/none does not exist: create it, or choose another place for clip.",
        "x" * 300
        + ".mp4": "can't be written (File name too long): make room there, or choose another place.",
        "nul\0.mp4": "choose another place.",
    }.items():
        for attempt in (check_writable, Clip(moving(1), 8, {}).save):
            with pytest.raises(MediaError) as caught:
                attempt(f"{tmp_path}/{name}")
            assert str(caught.value).endswith(sentence)
    assert os.listdir(tmp_path) == []


def test_several_frames_do_not_fit_a_png(tmp_path):
    remedy = r"end the name in \.mp4, \.gif or \.webm, or in / for a folder of pictures"
    sentence = rf"^One \.png holds one picture and this clip has 2 frames: {remedy}\.$"
    with pytest.raises(MediaError, match=sentence):
        Clip(moving(2), 8, {}).save(tmp_path / "clip.png")
    with pytest.raises(MediaError, match=sentence):
        check_writable(tmp_path / "clip.png", frames=2)
    assert (
        check_writable(tmp_path / "clip.png")
        == check_writable(tmp_path / "clip.png", frames=1)
        == tmp_path / "clip.png"
    )
    assert os.listdir(tmp_path) == []


def test_check_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "clip.mp4").write_text("old")
    for name in ("clip.mp4", "new.gif", "folder", "folder/"):
        check_writable(f"{tmp_path}/{name}", frames=33)
    assert os.listdir(tmp_path) == ["clip.mp4"] and (tmp_path / "clip.mp4").read_text() == "old"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(
            MediaError,
            match=r"can't be written \(Permission denied\): make room there, or choose another place\.$",
        ):
            check_writable(tmp_path / "clip.mp4")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_write_protected_file(tmp_path):
    (tmp_path / "clip.mp4").touch(0o400)
    with pytest.raises(MediaError, match=r"clip\.mp4 is write-protected: choose another name\.$"):
        check_writable(tmp_path / "clip.mp4")


@pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="needs a folder that not even root can write to"
)
def test_folder_that_nobody_can_write_to():
    with pytest.raises(
        MediaError,
        match=r"^/proc/clip\.mp4 can't be written \(.*\): make room there, or choose another place\.$",
    ):
        Clip(moving(1), 8, {}).save("/proc/clip.mp4")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png", "folder"])
def test_full_disk_leaves_nothing(tmp_path, name):
    """A limit on the size of files stands in for a full disk: writes fail in the middle, at the
    end, or when the file is closed.
    """
    script = """
        import os, resource, signal, sys
        import numpy as np
        from mlxvid.media.clip import Clip
        from mlxvid.errors import MediaError
        folder, name = sys.argv[1:]
        frames = np.random.default_rng(0).integers(0, 256, (1 if name == "clip.png" else 3, 48, 48, 3), dtype=np.uint8)
        path = Clip(frames, 8, {"kept": 1}).save(f"{folder}/{name}")
        first = path / "frame_0000.png" if path.is_dir() else path
        before = first.read_bytes()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for limit in (0, 10, 1000, len(before) // 2, len(before) - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            for goal in (name, "new-" + name):
                try:
                    Clip(frames, 8, {"kept": 1}).save(f"{folder}/{goal}")
                    sys.exit(f"no error at {limit} bytes")
                except MediaError as error:
                    assert str(error).endswith("(File too large): make room there, or choose another place."), error
            assert os.listdir(folder) == [name], os.listdir(folder)
        assert first.read_bytes() == before and Clip.load(path).settings == {"kept": 1}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png", "folder"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, CancelledError, BrokenPipeError])
def test_stopping_leaves_nothing(tmp_path, name, error):
    frames = moving(1 if name == "clip.png" else 4)

    def save_until(last: int) -> None:
        def stop(done: int, total: int) -> None:
            if done == last:
                raise error("stopped")

        with pytest.raises(error, match="^stopped$"):
            Clip(frames, 8, {}).save(tmp_path / name, on_progress=stop)

    for last in {1, len(frames)}:
        save_until(last)
        assert os.listdir(tmp_path) == []
    Clip(frames, 8, {"first": 1}).save(tmp_path / name)
    save_until(len(frames))
    assert os.listdir(tmp_path) == [name] and Clip.load(tmp_path / name).settings == {"first": 1}


def test_replacing_a_folder_fails_as_a_whole(tmp_path, monkeypatch):
    """The third rename of a replacement fails: the old clip is put back."""
    Clip(moving(3), 8, {"first": 1}).save(tmp_path / "clip")
    real, calls = os.replace, []

    def replace(source, goal):
        calls.append(source)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        real(source, goal)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(MediaError, match=r"can't be written \(Input/output error\)"):
        Clip(moving(2), 8, {}).save(tmp_path / "clip")
    assert len(os.listdir(tmp_path / "clip")) == 4 and np.array_equal(
        Clip.load(tmp_path / "clip").frames, moving(3)
    )


def test_files_get_ordinary_permissions_and_links_stay(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    Clip(moving(1), 8, {"x": 1}).save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink() and read_settings(tmp_path / "real.png") == {"x": 1}
    assert (tmp_path / "real.png").stat().st_mode == plain.stat().st_mode


# --- files that are not what they seem ---


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png"])
def test_truncated_files(tmp_path, name):
    path = Clip(moving(1 if name == "clip.png" else 9), 8, SETTINGS).save(tmp_path / name)
    whole, frames = path.read_bytes(), Clip.load(path).frames
    for part in (0.9, 0.6, 0.3, 0.05, 0.0):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(MediaError, match=r"^[^\n]*clip\.[^\n]*\.$"):
            Clip.load(path)
    for missing in range(
        1, 60
    ):  # the last bytes may hold no pixels: then every frame has to be there
        path.write_bytes(whole[:-missing])
        try:
            assert np.array_equal(Clip.load(path).frames, frames)
        except MediaError as error:
            assert "\n" not in str(error)


def test_gif_cut_between_two_frames(tmp_path):
    path = Clip(moving(5), 8, {}).save(tmp_path / "clip.gif")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"!\xf9\x04")])
    with pytest.raises(MediaError, match=r"^.*clip\.gif is cut short: copy or make it again\.$"):
        Clip.load(path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png"])
def test_flipped_bytes_raise_nothing_else(tmp_path, name):
    path = Clip(moving(1 if name == "clip.png" else 5), 8, SETTINGS).save(tmp_path / name)
    whole, rng, sentences = path.read_bytes(), np.random.default_rng(3), []
    for trial in range(40):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=1 + trial % 4):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        for attempt in (Clip.load, read_settings):
            try:
                attempt(path)
            except MediaError as error:
                sentences.append(str(error))
    assert len(sentences) > 10 and not any("\n" in sentence for sentence in sentences)
    # H.264's decoder paints over damage and only marks the frame.
    assert name != "clip.mp4" or any(
        sentence.endswith("clip.mp4 is damaged: copy or make it again.") for sentence in sentences
    )


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png"])
def test_text_and_empty_files(tmp_path, name):
    for content in (
        "",
        "hello, this is not a clip\n" * 50,
        "#EXTM3U\n#EXTINF:1,\nhttp://localhost/x.ts\n",
        "GIF89a",
        "\x89PNG",
    ):
        (tmp_path / name).write_text(content, encoding="latin-1")
        for attempt in (Clip.load, read_settings):
            with pytest.raises(MediaError, match=r"^[^\n]*\.$"):
                attempt(tmp_path / name)


def test_missing_file(tmp_path):
    for attempt in (Clip.load, read_settings):
        with pytest.raises(MediaError, match=r"^There is no clip .*none\.mp4: check the name\.$"):
            attempt(tmp_path / "none.mp4")
    with pytest.raises(
        MediaError,
        match=r"^The folder .* holds no \.png frames: give a clip, or a folder of its frames\.$",
    ):
        Clip.load(tmp_path)


def foreign_video(path, comment: str | None) -> None:
    with av.open(str(path), "w") as container:
        if comment is not None:
            container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in moving(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


TAG = {"mlxvid": 1, "fps": 25.0, "frames": 5, "width": 64, "height": 48, "settings": {}}


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "holiday",
        "{}",
        "[1]",
        "[" * 100_000,
        *(json.dumps({**TAG, key: bad}) for key in TAG for bad in (None, [], "x", -1, 1e300)),
    ],
)
def test_foreign_video(tmp_path, comment):
    foreign_video(tmp_path / "foreign.mp4", comment)
    clip = Clip.load(tmp_path / "foreign.mp4")
    assert clip.frames.shape == (5, 48, 64, 3) and clip.fps == 25 and clip.settings == {}
    with pytest.raises(
        MediaError,
        match=r"^.*foreign\.mp4 holds no mlxvid settings: give a clip that mlxvid saved\.$",
    ):
        read_settings(tmp_path / "foreign.mp4")


def test_a_clip_that_another_program_changed(tmp_path):
    """Its comment survives a re-encoding, but the file's own rate and size count."""
    foreign_video(
        tmp_path / "edited.mp4",
        json.dumps({**TAG, "fps": 8.0, "frames": 33, "width": 128, "settings": {"seed": 3}}),
    )
    clip = Clip.load(tmp_path / "edited.mp4")
    assert clip.frames.shape == (5, 48, 64, 3) and clip.fps == 25 and clip.settings == {"seed": 3}


def test_foreign_pictures(tmp_path):
    Image.fromarray(moving(1)[0]).save(tmp_path / "still.png")
    assert np.array_equal(Clip.load(tmp_path / "still.png").frames, moving(1))
    pictures = [Image.fromarray(frame) for frame in moving(4)]
    pictures[0].save(
        tmp_path / "foreign.gif",
        save_all=True,
        append_images=pictures[1:],
        duration=50,
        comment=b"\xff hi",
    )
    clip = Clip.load(tmp_path / "foreign.gif")
    assert len(clip.frames) == 4 and clip.fps == 20 and clip.settings == {}
    for name in ("still.png", "foreign.gif"):
        with pytest.raises(MediaError, match="holds no mlxvid settings"):
            read_settings(tmp_path / name)


def test_content_counts_not_the_ending(tmp_path):
    Clip(moving(3), 8, {"a": 1}).save(tmp_path / "clip.gif").rename(tmp_path / "clip.mp4")
    assert (
        read_settings(tmp_path / "clip.mp4") == {"a": 1}
        and len(Clip.load(tmp_path / "clip.mp4").frames) == 3
    )


# --- the class itself ---


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
    with pytest.raises(
        SettingError,
        match=r"^A clip's frames are a uint8 array \[frames, height, width, 3\] with at least one frame",
    ):
        Clip(frames, 8, {})


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_rates_must_be_playable(fps):
    with pytest.raises(
        SettingError,
        match=r"^A clip can't play .* frames a second: choose between 0\.1 and 1000\.$",
    ):
        Clip(moving(1), fps, {})


@pytest.mark.parametrize("settings", [{"a": np.float32(1)}, {"a": float("nan")}, {"a": {1, 2}}])
def test_settings_must_be_json(tmp_path, settings):
    with pytest.raises(
        SettingError,
        match=r"^The clip's settings can't be stored as JSON \(.*\): keep to numbers, strings, lists and dicts\.$",
    ):
        Clip(moving(1), 8, settings).save(tmp_path / "clip.png")
    assert os.listdir(tmp_path) == []


def test_contact_sheet():
    frames = np.stack([np.full((4, 6, 3), value, np.uint8) for value in range(0, 90, 10)])
    sheet = np.asarray(contact_sheet([Clip(frames, 8, {}), Clip(frames[:2], 8, {})], columns=5))
    assert sheet.shape == (2 * 6 - 2, 5 * 8 - 2, 3)
    assert sheet[0, ::8, 0].tolist() == [0, 20, 40, 60, 80] and sheet[6, ::8, 0].tolist() == [
        0,
        10,
        255,
        255,
        255,
    ]
