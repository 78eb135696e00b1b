"""Files that are damaged, cut short or made by others: read, or refused in one sentence."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.formats import FOREIGN_FPS

from .moving import SETTINGS, moving

NO_SETTINGS = "(holds no mlxvid settings|are damaged|was saved by a newer)"


def test_foreign_folder(tmp_path):
    for index, frame in enumerate(moving(3)):
        Image.fromarray(frame).save(tmp_path / f"{index}.png")
    clip = Clip.load(tmp_path)
    assert np.array_equal(clip.frames, moving(3))
    assert clip.fps == FOREIGN_FPS and clip.settings == {}
    Image.fromarray(moving(1, 20, 20)[0]).save(tmp_path / "9.png")
    with pytest.raises(MediaError, match="different sizes"):
        Clip.load(tmp_path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png"])
def test_truncated_files(tmp_path, name):
    path = Clip(moving(1 if name == "clip.png" else 9), 8, SETTINGS).save(tmp_path / name)
    whole = path.read_bytes()
    frames = Clip.load(path).frames
    for part in (0.9, 0.6, 0.3, 0.05, 0.0):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(MediaError, match=r"^[^\n]*clip\.[^\n]*\.$"):
            Clip.load(path)
    # The last bytes may hold no pixels: then every frame has to be there.
    for missing in range(1, 60):
        path.write_bytes(whole[:-missing])
        try:
            assert np.array_equal(Clip.load(path).frames, frames)
        except MediaError as error:
            assert "\n" not in str(error)


def test_gif_cut_between_two_frames(tmp_path):
    path = Clip(moving(5), 8, {}).save(tmp_path / "clip.gif")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"!\xf9\x04")])
    with pytest.raises(MediaError, match=r"clip\.gif is cut short"):
        Clip.load(path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm", "clip.gif", "clip.png"])
def test_flipped_bytes_raise_nothing_else(tmp_path, name):
    path = Clip(moving(1 if name == "clip.png" else 5), 8, SETTINGS).save(tmp_path / name)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    sentences = []
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
    if name == "clip.mp4":
        assert any("clip.mp4 is damaged" in sentence for sentence in sentences)


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
        with pytest.raises(MediaError, match=r"no clip .*none\.mp4"):
            attempt(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match=r"holds no \.png frames"):
        Clip.load(tmp_path)


def foreign_video(path, comment: str | None) -> None:
    with av.open(str(path), "w") as container:
        if comment is not None:
            container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=25)
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
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
    with pytest.raises(MediaError, match=rf"foreign\.mp4 {NO_SETTINGS}"):
        read_settings(tmp_path / "foreign.mp4")


def test_a_clip_that_another_program_changed(tmp_path):
    """Its comment survives a re-encoding, but the file's own rate and size count."""
    tag = {**TAG, "fps": 8.0, "frames": 33, "width": 128, "settings": {"seed": 3}}
    foreign_video(tmp_path / "edited.mp4", json.dumps(tag))
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
        with pytest.raises(MediaError, match=NO_SETTINGS):
            read_settings(tmp_path / name)


def test_content_counts_not_the_ending(tmp_path):
    Clip(moving(3), 8, {"a": 1}).save(tmp_path / "clip.gif").rename(tmp_path / "clip.mp4")
    assert read_settings(tmp_path / "clip.mp4") == {"a": 1}
    assert len(Clip.load(tmp_path / "clip.mp4").frames) == 3


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_file_that_names_others_reads_none_of_them(tmp_path, script):
    """FFmpeg takes it for a clip, whatever its name."""
    Clip(moving(3), 8, {"secret": 1}).save(tmp_path / "clip.mp4")
    (tmp_path / "other.mp4").write_text(script)
    for attempt in (Clip.load, read_settings):
        with pytest.raises(MediaError, match=r"other\.mp4"):
            attempt(tmp_path / "other.mp4")


@pytest.mark.parametrize("ending", ["mkv", "avi", "mov", "ts", "mpg", "flv"])
def test_clips_of_other_containers(tmp_path, ending):
    path = tmp_path / f"foreign.{ending}"
    codec = "mpeg2video" if ending == "mpg" else "mpeg4" if ending == "avi" else "libx264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"
        for frame in moving(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    clip = Clip.load(path)
    assert clip.frames.shape == (5, 48, 64, 3) and clip.fps == 25


@pytest.mark.parametrize("ending", ["jpg", "bmp", "tiff"])
def test_a_still_is_a_clip_of_one_frame(tmp_path, ending):
    Image.fromarray(moving(1)[0]).save(tmp_path / f"still.{ending}")
    assert Clip.load(tmp_path / f"still.{ending}").frames.shape == (1, 48, 64, 3)
