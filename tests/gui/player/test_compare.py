"""Two clips stay in step whatever their rates, lengths and sizes; labels say what differs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt

from mlxvid.gui.core.differences import differences
from mlxvid.gui.core.frames import Facts
from mlxvid.gui.player.compare_view import CompareView
from tests.gui.clips import BLUE, RED, cut, number_of, write_clip, write_foreign

from .controls import WAIT, check_reachable_and_whole


@pytest.fixture
def view(qtbot):
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(800, 480)
    view.show()
    view.activateWindow()
    qtbot.waitExposed(view)
    return view


def load(qtbot, view, *paths: Path) -> None:
    view.open(list(paths))
    qtbot.waitUntil(lambda: all(reel.complete for reel in view.reels), timeout=WAIT)
    view.playhead.pause()
    view.playhead.seek(0)


def shown(view) -> tuple[int, int]:
    left, right = view.canvas.images
    return number_of(left), number_of(right)


def test_different_rates_and_lengths_in_step(tmp_path, qtbot, view):
    """24 frames at 24 a second beside 16 at 8: one clock at 24, for 2 s.

    The shorter clip stops at its last frame.
    """
    load(
        qtbot,
        view,
        write_clip(tmp_path / "a.mp4", frames=24, fps=24),
        write_clip(tmp_path / "b.mp4", frames=16, fps=8),
    )
    assert (view.playhead.count, view.playhead.fps) == (48, 24)
    for index in range(48):
        view.playhead.seek(index)
        assert shown(view) == (min(index, 23), index // 3)


def test_rates_that_do_not_divide(tmp_path, qtbot, view):
    load(
        qtbot,
        view,
        write_clip(tmp_path / "a.mp4", frames=20, fps=10),
        write_clip(tmp_path / "b.mp4", frames=25, fps=12.5),
    )
    assert (view.playhead.count, view.playhead.fps) == (25, 12.5)
    for index in range(25):
        view.playhead.seek(index)
        assert shown(view) == (int(index / 12.5 * 10 + 1e-6), index)


def test_both_play_together(tmp_path, qtbot, view):
    view.open([write_clip(tmp_path / "a.mp4", fps=40), write_clip(tmp_path / "b.mp4", fps=40)])
    seen = set()
    watched = view.playhead.moved.connect(lambda index: seen.add((index, *shown(view))))
    qtbot.waitUntil(lambda: len(seen) >= 9, timeout=WAIT)
    # When the view is closed, the playhead goes to the start, with nothing left to show.
    view.playhead.moved.disconnect(watched)
    assert view.playhead.playing and seen == {(index, index, index) for index in range(9)}


def is_red(colour) -> bool:
    return colour.red() > 2 * colour.blue()


def is_blue(colour) -> bool:
    return colour.blue() > 2 * colour.red()


def pixel(view, x: float, y: float = 0.5):
    picture = view.canvas.grab().toImage()
    return picture.pixelColor(int(x * (picture.width() - 1)), int(y * (picture.height() - 1)))


def test_side_by_side_and_wipe(tmp_path, qtbot, view):
    load(
        qtbot,
        view,
        write_clip(tmp_path / "a.mp4", tint=RED),
        write_clip(tmp_path / "b.mp4", tint=BLUE),
    )
    view.playhead.seek(8)
    assert is_red(pixel(view, 0.25)) and is_blue(pixel(view, 0.75))
    assert view.side.isChecked() and not view.edge_left.isEnabled()
    qtbot.keyClick(view.canvas, Qt.Key.Key_W)
    assert view.wipe.isChecked()
    assert is_red(pixel(view, 0.45, 0.2)) and is_blue(pixel(view, 0.55, 0.2))
    canvas = view.canvas
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(canvas.width() // 2, 60))
    qtbot.mouseMove(canvas, QPoint(int(canvas.width() * 0.7), 60))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(int(canvas.width() * 0.7), 60))
    assert is_red(pixel(view, 0.65, 0.2)) and is_blue(pixel(view, 0.74, 0.2))
    assert not view.playhead.playing  # a drag is no click
    edge = canvas.edge
    qtbot.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.edge == pytest.approx(edge - 0.02) and view.playhead.index == 8
    canvas.set_edge(7)
    assert canvas.edge == 1
    qtbot.keyClick(canvas, Qt.Key.Key_A)
    assert is_blue(pixel(view, 0.5, 0.2)) and view.labels[0].text() == "A   same settings"
    qtbot.keyClick(canvas, Qt.Key.Key_S)
    assert is_blue(pixel(view, 0.25)) and is_red(pixel(view, 0.75))


def test_sizes_that_differ_are_each_fitted(tmp_path, qtbot, view):
    load(
        qtbot,
        view,
        write_clip(tmp_path / "a.mp4", width=96, height=32, seed=1),
        write_clip(tmp_path / "b.mp4", width=32, height=64, seed=2),
    )
    left, right = view.canvas.areas()
    left_image, right_image = view.canvas.images
    assert view.canvas.place(left_image, left).width() == left.width()
    assert view.canvas.place(right_image, right).height() == right.height()
    assert [label.text() for label in view.labels] == [
        "A   seed 1  ·  96×32",
        "B   seed 2  ·  32×64",
    ]
    view.set_wipe(True)
    view.canvas.grab()
    view.actual.setChecked(True)
    assert view.canvas.place(left_image, left).width() == 96


@pytest.mark.parametrize("broken", [0, 1])
def test_one_broken_take_leaves_the_other(tmp_path, qtbot, view, broken):
    good = write_clip(tmp_path / "good.mp4")
    bad = tmp_path / "bad.mp4"
    bad.write_text("no clip")
    said = []
    view.message.connect(said.append)
    load(qtbot, view, *((bad, good) if broken == 0 else (good, bad)))
    assert len(said) == 1 and str(bad) in said[0]
    assert view.labels[broken].text().endswith("bad.mp4 can’t be shown")
    assert view.labels[1 - broken].text().endswith("good.mp4")
    view.playhead.seek(4)
    pictures = view.canvas.images
    assert pictures[broken] is None and number_of(pictures[1 - broken]) == 4
    view.set_wipe(True)
    view.canvas.grab()


def test_two_broken_takes_and_then_two_good_ones(tmp_path, qtbot, view):
    load(qtbot, view, tmp_path / "none.mp4", tmp_path / "none either.mp4")
    assert "can be shown" in view.canvas.text
    assert view.playhead.count == 0
    load(
        qtbot,
        view,
        write_clip(tmp_path / "a.mp4"),
        cut(write_clip(tmp_path / "b.mp4", frames=25, width=160, height=96), 0.95),
    )
    assert view.playhead.count == max(9, len(view.reels[1].frames))
    assert shown(view) == (0, 0)


def test_leaving_gives_the_memory_back(tmp_path, qtbot, view):
    load(qtbot, view, write_clip(tmp_path / "a.mp4"), write_clip(tmp_path / "b.mp4"))
    view.hide()
    assert all(not reel.frames for reel in view.reels) and view.playhead.count == 0


def test_what_differs():
    def opened(name: str, frames: int = 33, width: int = 96, **settings) -> tuple[Path, Facts]:
        return Path(name), Facts(8, frames, width, 64, settings)

    one = dict(
        prompt="a ball",
        seed=1,
        steps=20,
        guidance=4.0,
        model="mini",
        quantize=None,
        sampler="euler",
        keyframes={},
    )
    assert differences([opened("a", **one), opened("b", **one)]) == ["same settings"] * 2
    assert differences(
        [opened("a", **one), opened("b", **{**one, "seed": 2, "steps": 30, "quantize": 4})]
    ) == [
        "not quantized  ·  seed 1  ·  20 steps",
        "4 bits  ·  seed 2  ·  30 steps",
    ]
    other = {**one, "prompt": "a\ncube", "guidance": 2.5, "keyframes": {"0": "x.png"}}
    assert differences(
        [
            opened("a", **one),
            opened("b", **other),
        ]
    ) == [
        "guidance 4  ·  no images  ·  “a ball”",
        "guidance 2.5  ·  images at 0  ·  “a cube”",
    ]
    assert differences([opened("a", **one), opened("b", 25, 64, **one)]) == [
        "96×64  ·  33 frames at 8 fps",
        "64×64  ·  25 frames at 8 fps",
    ]
    odd = {
        "prompt": ["x"],
        "keyframes": 5,
        "loras": ["a/b.safetensors@0.5"],
        "steps": {},
        "shift": None,
        "model": 3,
    }
    assert differences([opened("a", **odd), opened("b", seed=1)])[0] == (
        "3  ·  {} steps  ·  shift None  ·  images at 5  ·  LoRA b.safetensors@0.5  ·  “['x']”"
    )
    assert differences([opened("own", seed=1, guidance="odd"), opened("foreign.mp4")]) == [
        "seed 1  ·  guidance odd",
        "foreign.mp4",
    ]


def test_a_foreign_clip_is_labelled_by_its_name(tmp_path, qtbot, view):
    load(qtbot, view, write_clip(tmp_path / "a.mp4"), write_foreign(tmp_path / "b.mp4"))
    assert view.labels[1].text() == "B   b.mp4"
    assert "seed 7" in view.labels[0].text()


def test_controls(tmp_path, qtbot, themed, view):
    load(qtbot, view, write_clip(tmp_path / "a.mp4"), write_clip(tmp_path / "b.mp4"))
    view.resize(view.minimumSizeHint())
    qtbot.wait(20)
    assert view.width() <= 600
    check_reachable_and_whole(view)
