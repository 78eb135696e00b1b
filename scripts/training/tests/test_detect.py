"""The detector and the scores: right on drawn clips, and not fooled by other clips."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from scripts.training import detect, drawing, scores, tables, world
from scripts.training.drawing import to_bytes
from scripts.training.track import bounce_heights, consistency, parabola_fit


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(
    motion: str,
    *,
    colour: str = "green",
    shape: str = "star",
    frames: int = 17,
    height: int = 64,
    width: int = 64,
    seed: int = 3,
):
    scene = world.build(rng(seed), colour, shape, motion, frames, height, width)
    return scene, to_bytes(drawing.draw(scene))


def worn(clip: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """The clip as after a lossy decoder.

    About a pixel of blur, noise, a tint, JPEG's blocks and blurred chroma.
    """
    soft = clip.astype(np.float32)
    for axis in (1, 2):
        soft = 0.25 * np.roll(soft, 1, axis) + 0.5 * soft + 0.25 * np.roll(soft, -1, axis)
        soft[(slice(None),) * axis + ([0, -1],)] = clip[(slice(None),) * axis + ([0, -1],)]
    tint = source.uniform(0.95, 1.05, 3)
    shift = source.uniform(-6, 6, 3)
    noisy = soft * tint + shift + source.normal(0, 5, soft.shape)
    pages = []
    for frame in np.clip(noisy, 0, 255).astype(np.uint8):
        file = BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=75)
        pages.append(np.array(Image.open(file)))
    return np.stack(pages)


@pytest.mark.parametrize("wear", [False, True])
@pytest.mark.parametrize("motion", world.MOTIONS)
def test_sees_what_was_drawn(motion, wear):
    source = rng(2 if wear else 1)
    scene = world.sample(source, 17 if wear else 33, 64, 80, unseen=None, motion=motion)
    clip = to_bytes(drawing.draw(scene))
    verdict = scores.judge(scores.Case(scene, 0, False), worn(clip, source) if wear else clip)
    assert (
        verdict.colour
        and verdict.shape
        and verdict.motion
        and verdict.second_colour in (None, True)
    ), tables.miss(verdict)


@pytest.mark.parametrize("colour", world.COLOURS)
@pytest.mark.parametrize("shape", world.SHAPES)
def test_every_look_from_one_frame(colour, shape):
    seen = detect.detect(drawn("left", colour=colour, shape=shape, frames=1)[1])
    assert (seen.colour, seen.shape, seen.motion) == (colour, shape, None)


def test_track_follows_the_centre():
    scene, clip = drawn("throw", shape="ball", frames=33, height=96, width=96)
    track = detect.detect(clip).track
    clear = slice(6, 27)
    np.testing.assert_allclose(track.x[clear], scene.things[0].x[clear] * 96, atol=0.3)
    np.testing.assert_allclose(track.y[clear], scene.things[0].y[clear] * 96, atol=0.3)
    np.testing.assert_allclose(track.rgb[clear], np.tile(world.COLOURS["green"], (21, 1)), atol=1)


@pytest.mark.parametrize("frames", [1, 3, 17])
def test_empty_clips_show_nothing(frames):
    for grey in (0, 128, 255):
        seen = detect.detect(np.full((frames, 64, 64, 3), grey, np.uint8))
        assert (seen.colour, seen.shape, seen.motion, seen.second_colour) == (
            None,
            None,
            None,
            None,
        ) and not seen.track.seen.any()
    noise = rng().integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8)
    assert detect.detect(noise).motion is None
    assert detect.detect(np.full((frames, 64, 64, 3), (222, 42, 42), np.uint8)).motion is None


def test_what_stands_still_has_no_motion():
    _, clip = drawn("left")
    assert detect.detect(np.repeat(clip[8:9], 17, 0)).motion is None
    _, clip = drawn("shadow")
    assert detect.detect(np.repeat(clip[8:9], 17, 0)).motion is None


@pytest.mark.parametrize(
    ("motion", "backwards"),
    [
        ("left", "right"),
        ("right", "left"),
        ("fall", "rise"),
        ("grow", "shrink"),
        ("shrink", "grow"),
    ],
)
def test_played_backwards(motion, backwards):
    _, clip = drawn(motion)
    assert (detect.detect(clip).motion, detect.detect(clip[::-1]).motion) == (motion, backwards)


@pytest.mark.parametrize("motion", ["throw", "pan", "shadow"])
def test_mirrored_direction(motion):
    scene, clip = drawn(motion)
    there = detect.detect(clip)
    mirrored = detect.detect(clip[:, :, ::-1])
    assert (there.motion, mirrored.motion) == (motion, motion)
    assert there.direction == scene.direction == -mirrored.direction


def test_upside_down_is_no_throw_and_no_bounce():
    for motion in ("throw", "bounce"):
        assert detect.detect(drawn(motion, shape="ball", frames=33)[1][:, ::-1]).motion != motion


def test_pan_needs_its_posts_and_shadow_its_lamp():
    scene, _ = drawn("pan")
    scene.posts = None
    assert detect.detect(to_bytes(drawing.draw(scene))).motion in ("left", "right")
    scene, _ = drawn("shadow")
    scene.light = None
    assert detect.detect(to_bytes(drawing.draw(scene))).motion is None
    scene, _ = drawn("pan")
    scene.posts = np.repeat(
        scene.posts[:, :1], 17, 1
    )  # a thing that slides past posts that stand still: the camera doesn't pan
    assert detect.detect(to_bytes(drawing.draw(scene))).motion in ("left", "right")


def test_passing_in_front_is_not_behind():
    scene, clip = drawn("behind", frames=33, height=96, width=96)
    assert detect.detect(clip).motion == "behind"
    scene.things = scene.things[::-1]
    seen = detect.detect(to_bytes(drawing.draw(scene)))
    assert seen.motion != "behind" and seen.colour == "green"


def test_shuffled_frames_lose_motion_and_steadiness():
    _, clip = drawn("left", frames=33, height=96, width=96)
    order = rng().permutation(33)
    calm = detect.detect(clip)
    shaken = detect.detect(clip[order])
    assert (calm.motion, shaken.motion) == ("left", None)
    assert consistency(calm.track)["jitter"] < 0.3 < 3 < consistency(shaken.track)["jitter"]


def test_consistency_measures_what_was_put_in():
    scene, clip = drawn("spin", shape="square", height=96, width=96)
    scene.things[0].angle[:] = 0
    still = consistency(detect.detect(to_bytes(drawing.draw(scene))).track)
    assert max(still.values()) < 1e-3
    scene.things[0].radius = scene.things[0].radius * np.where(np.arange(17) % 2, 1.1, 1.0)
    assert consistency(detect.detect(to_bytes(drawing.draw(scene))).track)["size"] == pytest.approx(
        0.1 / 1.05, rel=0.1
    )
    scene, _ = drawn("spin", shape="square", height=96, width=96)
    scene.things[0].angle[:] = 0
    clip = to_bytes(drawing.draw(scene))
    clip[1::2] = np.clip(clip[1::2].astype(int) + (0, 0, 12), 0, 255)
    assert consistency(detect.detect(clip).track)["colour"] == pytest.approx(12, abs=1)


def test_physics_of_throw_and_bounce():
    fit = parabola_fit(detect.detect(drawn("throw", frames=33, height=96, width=96)[1]).track)
    assert fit > 0.999
    track = detect.detect(drawn("bounce", frames=33, height=96, width=96)[1]).track
    heights, lower = bounce_heights(track)
    assert (
        lower is True
        and len(heights) >= 2
        and heights[1] == pytest.approx(0.78**2 * heights[0], rel=0.12)
    )  # the part of its speed that a hit leaves, squared
    track.y = np.tile([20.0, 40, 60, 40], 9)[:33]  # a ball that loses nothing
    track.clear = track.clear | True
    assert bounce_heights(track)[1] is False
    track.y = np.linspace(20, 60, 33)
    assert bounce_heights(track)[1] is None and parabola_fit(track) == pytest.approx(1)
    track.y = 40 + 20 * np.abs(np.linspace(-1, 1, 33)) ** 0.3
    assert parabola_fit(track) < 0.9


@pytest.mark.parametrize(
    ("clip", "told"),
    [
        (np.zeros((3, 8, 8, 3)), r"not float64 \[3, 8, 8, 3\]"),
        (np.zeros((8, 8, 3), np.uint8), r"not uint8 \[8, 8, 3\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"not uint8 \[0, 8, 8, 3\]"),
    ],
)
def test_refuses_what_is_no_clip(clip, told):
    with pytest.raises(ValueError, match=rf"^a clip is a uint8 array \[F, H, W, 3\], {told}$"):
        detect.detect(clip)


# --- scores ---------------------------------------------------------------------------------------


def test_cases_are_seeded_and_half_unseen():
    one, two, other = (
        scores.cases(10, 17, 64, 64, 1),
        scores.cases(10, 17, 64, 64, 1),
        scores.cases(10, 17, 64, 64, 2),
    )
    assert [c.prompt for c in one] == [c.prompt for c in two] != [c.prompt for c in other]
    assert [c.unseen for c in one] == [False, True] * 5
    assert all(
        world.is_unseen(c.scene.shape, c.scene.colour, c.scene.motion) == c.unseen for c in one
    )


def test_scores_tell_right_from_wrong():
    some = scores.cases(6, 17, 64, 64)
    right = scores.score(scores.drawn(some), some)
    assert scores.shares(right) == {"colour": 1, "shape": 1, "motion": 1, "all": 1, "count": 6}
    assert not any(map(tables.miss, right))
    ball = to_bytes(drawing.draw(world.build(rng(), "red", "ball", "left", 17, 64, 64)))
    wrong = scores.score(lambda prompt, seed: ball, some)
    for got, verdict in zip(
        scores.shares(wrong).values(), ("colour", "shape", "motion"), strict=False
    ):
        want = {"colour": "red", "shape": "ball", "motion": "left"}[verdict]
        assert got == np.mean([getattr(c.scene, verdict) == want for c in some])
    missed = tables.miss(next(verdict for verdict in wrong if not verdict.colour))
    assert missed and "showed red ball, left" in missed
    table = tables.accuracy_table({"drawn": right, "one ball": wrong}).splitlines()
    assert len(table) == 5 and table[1].split() == [
        "drawn,",
        "seen",
        "3",
        "100.0%",
        "100.0%",
        "100.0%",
        "100.0%",
    ]
    told = json.loads(json.dumps(tables.as_json("drawn", right), allow_nan=False))
    assert told["seen"]["count"] == told["unseen"]["count"] == 3 and told["misses"] == []


def test_steadiness_tells_drawn_from_shuffled():
    some = scores.steady_cases(8, 33, 64, 64)[:4]
    assert [c.scene.motion for c in some] == list(scores.STEADY[:4])
    truth = scores.drawn(some)
    calm = scores.steadiness(truth, some)
    shaken = scores.steadiness(
        lambda prompt, seed: truth(prompt, seed)[rng(seed).permutation(33)], some
    )
    assert (
        calm["throw_r2"] > 0.999 > 0.9 > shaken["throw_r2"]
        and calm["jitter"] * 5 < shaken["jitter"]
    )
    assert calm["bounce_lower"] == 1 >= calm["there"] > 0.97 and shaken["bounce_lower"] < 1
    assert len(tables.steadiness_table({"drawn": calm, "shuffled": shaken}).splitlines()) == 4
    nothing = scores.steadiness(lambda prompt, seed: np.zeros((33, 64, 64, 3), np.uint8), some)
    assert (
        nothing["there"] == 0 and np.isnan(nothing["colour"]) and np.isnan(nothing["bounce_lower"])
    )


def test_sheet_shows_the_frames():
    _, clip = drawn("left")
    page = np.array(tables.sheet([("first", clip), ("second", clip[::-1])], columns=3))
    assert page.shape == (2 * 80, 3 * 66, 3)
    np.testing.assert_array_equal(page[15:79, :64], clip[0])
    np.testing.assert_array_equal(page[95:159, 132:196], clip[0])


def test_psnr():
    one = np.full((2, 4, 4, 3), 100, np.uint8)
    assert scores.psnr(one, one + np.uint8(10)) == pytest.approx(20 * np.log10(25.5))
