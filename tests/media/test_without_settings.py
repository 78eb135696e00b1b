"""Clips without settings of ours: left out, damaged, newer, or another program's."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip, read_settings

from .moving import moving

SECRET = "a secret garden"
INFOTEXT = "a cat on a wall\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def content(path: Path) -> bytes:
    """All bytes of a file, or of the files in a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return b"".join(file.read_bytes() for file in files)


def reason(path: Path) -> str:
    """Why there are no settings in a file."""
    with pytest.raises(MediaError) as caught:
        read_settings(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["clip.mp4", "clip.mov", "clip.webm", "clip.mkv", "clip.gif", "clip.webp", "clip.png", "clip"],
)
def test_settings_can_be_left_out(tmp_path, name):
    frames = moving(1 if name == "clip.png" else 3)
    told = Clip(frames, 8, {"prompt": SECRET}).save(tmp_path / f"told-{name}")
    silent = Clip(frames, 8, {"prompt": SECRET}).save(tmp_path / name, metadata=False)
    assert SECRET.encode() in content(told)
    assert SECRET.encode() not in content(silent)
    assert b"mlxvid" not in content(silent)
    clip = Clip.load(silent)
    assert (len(clip.frames), clip.settings) == (len(frames), {})
    for fact in (str(silent), "without them"):
        assert fact in reason(silent)


def write_picture(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.fromarray(moving(1)[0]).save(path, pnginfo=info)
    return path


def write_animation(path: Path, **how: object) -> Path:
    first, *others = map(Image.fromarray, moving(3))
    first.save(path, save_all=True, append_images=others, **how)
    return path


def write_video(path: Path, **texts: str) -> Path:
    is_mp4 = path.suffix == ".mp4"
    options = {"movflags": "use_metadata_tags"} if is_mp4 else {}
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(texts)
        stream = container.add_stream("libx264" if is_mp4 else "libvpx-vp9", rate=8)
        stream.width = 16
        stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_another_programs_settings_are_called_its(tmp_path):
    camera_fields = Image.Exif()
    camera_fields[0x010F] = "workflow:{}"
    both = json.dumps({"prompt": "{}", "workflow": {}})
    for path in (
        write_picture(tmp_path / "a.png", prompt="{}", workflow="{}"),
        write_animation(tmp_path / "b.webp", exif=camera_fields),
        write_video(tmp_path / "c.mp4", comment=both),
        write_video(tmp_path / "d.webm", workflow="{}"),
    ):
        assert f"{path} was made by ComfyUI" in reason(path)
        assert "`prompt`" in reason(path)
    for path in (
        write_picture(tmp_path / "e.png", parameters=INFOTEXT),
        write_animation(tmp_path / "f.gif", comment=INFOTEXT.encode()),
    ):
        assert f"{path} was made by AUTOMATIC1111" in reason(path)
    swarm = write_picture(tmp_path / "g.png", parameters='{"sui_image_params": {"prompt": "x"}}')
    assert "SwarmUI" in reason(swarm)


def test_a_folder_of_another_programs_frames(tmp_path):
    write_picture(tmp_path / "00001.png", prompt="{}")
    assert "ComfyUI" in reason(tmp_path)


def test_a_comment_is_no_settings(tmp_path):
    said = reason(write_video(tmp_path / "holiday.mp4", comment="a day at the sea"))
    assert "holiday.mp4 holds no mlxvid settings" in said


@pytest.mark.parametrize(
    "comment",
    [
        '{"mlxvid": 1, "fps": 8.0, "frames": 9, "wid',
        '{"mlxvid": 1, "fps": "eight", "frames": 9, "width": 16, "height": 16, "settings": {}}',
        '{"mlxvid": 1, "fps": 8.0, "frames": 9, "width": 16, "height": 16, "settings": []}',
    ],
)
def test_damaged_settings_are_called_damaged(tmp_path, comment):
    folder = tmp_path / "frames"
    Clip(moving(2), 8, {}).save(folder)
    (folder / "settings.json").write_text(comment)
    for path in (write_video(tmp_path / "clip.mp4", comment=comment), folder):
        assert "damaged" in reason(path)
        assert str(path) in reason(path)


def test_a_newer_version_is_called_so(tmp_path):
    newer = json.dumps({"mlxvid": 2, "clips": []})
    assert "newer" in reason(write_video(tmp_path / "clip.mp4", comment=newer))
    assert "newer" in reason(write_picture(tmp_path / "clip.png", Comment=newer))
