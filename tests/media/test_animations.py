"""Animated GIFs, WebPs and APNGs as clips: their frames and their rate; stills stay stills."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image

from mlxvid.errors import MediaError
from mlxvid.media.animations import is_animated, read_animation, write_gif
from mlxvid.media.clip import Clip, read_settings
from mlxvid.media.formats import FOREIGN_FPS, UNTIMED_FPS
from mlxvid.media.images import read_image

from .moving import moving

LOSSLESS = {"anim.webp": {"lossless": True}, "anim.png": {}}


def save(path, frames: np.ndarray, **options):
    """An animation as another program writes it."""
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize(("durations", "fps"), [(100, 10), (40, 25), ([50, 70, 100, 30], 16)])
@pytest.mark.parametrize("name", LOSSLESS)
def test_an_animation_is_a_clip(tmp_path, name, durations, fps):
    path = save(tmp_path / name, moving(4), duration=durations, **LOSSLESS[name])
    clip = Clip.load(path)
    assert np.array_equal(clip.frames, moving(4))
    assert clip.fps == pytest.approx(fps) and clip.settings == {}
    with pytest.raises(MediaError, match="no mlxvid settings"):
        read_settings(path)


@pytest.mark.parametrize("name", LOSSLESS)
def test_pictures_that_stay_longer_do_so_at_one_rate(tmp_path, caplog, name):
    durations = [40] * 6 + [200, 40]
    path = save(tmp_path / name, moving(8), duration=durations, **LOSSLESS[name])
    clip = Clip.load(path)
    shown = [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 7]
    assert np.array_equal(clip.frames, moving(8)[shown])
    assert clip.fps == 25
    for fact in (path.name, "variable frame rate", "25"):
        assert fact in caplog.text


def test_a_slide_show(tmp_path, caplog):
    """A picture for 30 seconds is slower than any clip."""
    path = save(tmp_path / "slides.gif", moving(4), duration=30000)
    clip = Clip.load(path)
    assert len(clip.frames) == 4 and clip.fps == FOREIGN_FPS
    assert "0.1 to 1000" in caplog.text


def test_the_content_counts_not_the_ending(tmp_path):
    path = save(tmp_path / "a.webp", moving(3), duration=100, lossless=True)
    assert len(Clip.load(path.rename(tmp_path / "a.mp4")).frames) == 3


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_still_stays_one_frame(tmp_path, name):
    Image.fromarray(moving(1)[0]).save(tmp_path / name, **LOSSLESS[name])
    clip = Clip.load(tmp_path / name)
    assert np.array_equal(clip.frames, moving(1)) and clip.fps == FOREIGN_FPS
    assert not is_animated(tmp_path / name)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_picture_of_an_animation_is_its_first_frame(tmp_path, name):
    path = save(tmp_path / name, moving(3), duration=100, **LOSSLESS[name])
    assert is_animated(path) and np.array_equal(read_image(path), moving(3)[0])


def test_animations_without_times_play_as_in_browsers(tmp_path):
    assert Clip.load(save(tmp_path / "a.gif", moving(3))).fps == UNTIMED_FPS
    assert Clip.load(save(tmp_path / "a.png", moving(3), duration=0)).fps == UNTIMED_FPS


def test_a_pngs_picture_for_others_is_no_frame(tmp_path):
    path = save(tmp_path / "a.png", moving(4), duration=100, default_image=True)
    clip = Clip.load(path)
    assert np.array_equal(clip.frames, moving(4)[1:]) and clip.fps == 10


def test_frames_are_upright_opaque_and_of_8_bits(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = np.rot90(moving(3), axes=(1, 2)).copy()
    for name, options in LOSSLESS.items():
        path = save(tmp_path / name, turned, duration=100, exif=exif, **options)
        assert np.array_equal(Clip.load(path).frames, moving(3))
        clear = np.concatenate([moving(3), np.zeros((3, 48, 64, 1), np.uint8)], axis=3)
        assert (
            Clip.load(save(tmp_path / name, clear, duration=100, **options)).frames == 255
        ).all()
    grey = np.array([[[0, 257, 32896, 65535]], [[65535, 32896, 257, 0]]], np.uint16)
    seen = Clip.load(save(tmp_path / "deep.png", grey, duration=100)).frames
    assert seen[..., 0].tolist() == [[[0, 1, 128, 255]], [[255, 128, 1, 0]]]


def test_a_gif_keeps_its_times_and_its_comment(tmp_path):
    path = tmp_path / "a.gif"
    steps = list(write_gif(path, moving(3), [30, 40, 1000], "hello"))
    pictures, milliseconds, comment = read_animation(path)
    assert steps == [1, 2, 3] and len(pictures) == 3
    assert milliseconds == [30, 40, 1000] and comment == b"hello"
    with Image.open(path) as gif:
        assert gif.info["loop"] == 0


@pytest.mark.parametrize("name", ["bomb.gif", "bomb.png", "bomb.webp"])
def test_a_small_file_can_not_fill_the_memory(tmp_path, monkeypatch, name):
    path = tmp_path / name
    pictures = [Image.new("RGB", (400, 300), (9 * n, 0, 0)) for n in range(20)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr("mlxvid.media.animations.MOST_BYTES", 20 * 400 * 300 * 3)
    assert len(Clip.load(path).frames) == 20
    monkeypatch.setattr("mlxvid.media.animations.MOST_BYTES", 20 * 400 * 300 * 3 - 1)
    with pytest.raises(MediaError, match=rf"{name} has 20 frames of 400x300, .* \.mp4"):
        Clip.load(path)


def ramp(colours: tuple) -> np.ndarray:
    """A clip of three frames that goes from one colour to another, with a still flat band."""
    start, end = np.array(colours, float)
    share = np.linspace(0, 1, 192)[None, :, None]
    picture = np.broadcast_to(start + (end - start) * share, (96, 192, 3))
    frames = np.stack([picture, np.roll(picture, 2, 1), np.roll(picture, 4, 1)])
    frames = (frames + 0.5).astype(np.uint8)
    frames[:, 80:] = (10, 200, 120)
    return frames


@pytest.mark.parametrize(
    "colours",
    [((20, 60, 200), (250, 160, 90)), ((0, 0, 0), (255, 255, 255)), ((90, 20, 60), (110, 30, 80))],
)
def test_ramps_are_smooth_and_flat_areas_stay_flat(tmp_path, colours):
    """What the eye takes from a distance is the ramp, within half a step in 255."""
    noise = np.random.default_rng(5).integers(0, 256, (3, 24, 192, 3), dtype=np.uint8)
    frames = np.concatenate([ramp(colours), noise], axis=1)  # which takes most of the palette
    path = tmp_path / "ramp.gif"
    for _ in write_gif(path, frames, [100] * 3, "x"):
        pass
    seen = np.stack(read_animation(path).pictures)[:, :80, 8:-8].astype(float)
    cells = seen.reshape(3, 10, 8, -1, 8, 3).mean((2, 4))
    meant = frames[:, :80, 8:-8].astype(float).reshape(3, 10, 8, -1, 8, 3).mean((2, 4))
    assert np.abs(cells - meant).mean() < 0.5
    flat = np.stack(read_animation(path).pictures)[:, 80:96]
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) == 1
    first = path.read_bytes()
    for _ in write_gif(path, frames, [100] * 3, "x"):
        pass
    assert path.read_bytes() == first


@pytest.mark.parametrize("name", [*LOSSLESS, "anim.gif"])
def test_damaged_animations(tmp_path, name):
    """Cut short or with wrong bytes: a MediaError of one line, or whole frames; nothing else."""
    path = save(tmp_path / name, moving(5), duration=100, **LOSSLESS.get(name, {}))
    whole = path.read_bytes()
    for part in (0.9, 0.6, 0.3, 0.05):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(MediaError, match=name):
            Clip.load(path)
    rng = np.random.default_rng(3)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert Clip.load(path).frames.dtype == np.uint8
        except MediaError as error:
            assert "\n" not in str(error)
