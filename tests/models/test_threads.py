"""What each family's networks keep from one thread serves in another."""

from __future__ import annotations

import threading

import pytest

import mlxvid

pytest.importorskip("torch")
pytest.importorskip("diffusers")
from .latte import tiny as tiny_latte  # noqa: E402
from .opensora.tiny import write_model as write_opensora  # noqa: E402
from .wan.tiny import write_model as write_wan  # noqa: E402

WRITERS = {
    "latte": lambda folder: tiny_latte.pipeline().save_pretrained(folder),
    "opensora": write_opensora,
    "wan": lambda folder: write_wan(folder, "t2v"),
}


@pytest.mark.parametrize("family", WRITERS)
def test_a_clip_in_another_thread_is_the_same(tmp_path, family):
    WRITERS[family](tmp_path / family)
    pipe = mlxvid.load(str(tmp_path / family))
    clips: list[bytes] = []

    def make():
        clip = pipe.generate("a red ball", seed=1, steps=2, width=32, height=32)
        clips.append(clip.frames.tobytes())

    for _ in range(2):
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
    make()
    assert len(clips) == 3
    assert len(set(clips)) == 1
