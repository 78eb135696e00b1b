"""The drawn world: seeded, inside its own rules, and drawn as its shapes and paths say."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.training import drawing, world

AREAS = {
    "ball": np.pi,
    "square": 1.72**2,
    "ring": np.pi * (1.02**2 - 0.46**2),
    "cross": 4 * 0.68 - 0.68**2,
    "triangle": 3 * 3**0.5 * 0.66**2,
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_same_seed_same_clip():
    one, two, other = (world.sample(rng(seed), 9, 48, 64) for seed in (5, 5, 6))
    assert one.caption == two.caption and one.caption != other.caption
    np.testing.assert_array_equal(drawing.draw(one), drawing.draw(two))


@pytest.mark.parametrize("motion", world.MOTIONS)
@pytest.mark.parametrize("shape", [(1, 48, 64), (17, 64, 48)])
def test_draws_every_motion_in_range(motion, shape):
    clip = drawing.draw(world.sample(rng(1), *shape, motion=motion))
    assert clip.shape == (*shape, 3) and clip.dtype == np.float32
    assert -1 <= clip.min() and clip.max() <= 1 and np.isfinite(clip).all()
    assert shape[0] == 1 or np.abs(np.diff(clip, axis=0)).max() > 0.1  # something moves


@pytest.mark.parametrize("unseen", [False, True])
def test_sample_keeps_seen_and_unseen_apart(unseen):
    source = rng(2)
    for _ in range(200):
        scene = world.sample(source, 2, 16, 16, unseen=unseen)
        assert world.is_unseen(scene.shape, scene.colour, scene.motion) == unseen
        assert scene.motion != "spin" or scene.shape in world.TURNS_VISIBLY


def test_unseen_pairs_leave_every_attribute_seen():
    looks = world.UNSEEN_LOOKS
    acts = world.UNSEEN_ACTS
    for shape in world.SHAPES:
        assert any((c, shape) not in looks for c in world.COLOURS) and any(
            (shape, m) not in acts for m in world.MOTIONS
        )
    for colour in world.COLOURS:
        assert any((colour, s) not in looks for s in world.SHAPES)
    for motion in world.MOTIONS:
        assert any((s, motion) not in acts for s in world.SHAPES)


def test_caption_names_what_is_drawn():
    source = rng(3)
    for _ in range(200):
        scene = world.sample(source, 9, 16, 16, unseen=None)
        words = scene.caption.replace(",", "").split()
        assert scene.colour in words and scene.shape in words
        assert "a orange" not in scene.caption and (
            "background" not in words or scene.background in words
        )
        if scene.motion in ("throw", "pan", "shadow"):
            assert ("right" if scene.direction > 0 else "left") in words
    assert not any(
        m in world.sample(rng(4), 1, 16, 16, motion="fall").caption for m in world.MOTIONS["fall"]
    )  # a still has no motion


@pytest.mark.parametrize("shape", AREAS)
def test_shape_has_its_area(shape):
    y, x = np.mgrid[-60:60, -60:60] + 0.5
    covered = np.clip(0.5 - drawing.distance(shape, x, y, np.full(1, 40.0)), 0, 1).sum()
    assert covered == pytest.approx(AREAS[shape] * 40**2, rel=0.01)


def test_no_such_shape():
    with pytest.raises(ValueError, match="^no shape is called 'blob'$"):
        drawing.distance("blob", np.zeros(1), np.zeros(1), np.ones(1))


def test_bounce_rests_on_the_floor_and_loses_height():
    thing = world.build(rng(7), "red", "ball", "bounce", 33, 96, 96).things[0]
    y = thing.y
    assert y.max() <= world.FLOOR - 0.85 * thing.radius[0] + 1e-9
    tops = [y[i] for i in range(1, 32) if y[i - 1] > y[i] <= y[i + 1]]
    assert len(tops) >= 1 and all(
        later > earlier for earlier, later in zip([y[0], *tops], tops, strict=False)
    )


def test_throw_is_a_parabola_and_pan_moves_posts_with_the_thing():
    y = world.build(rng(8), "red", "ball", "throw", 33, 96, 96).things[0].y
    np.testing.assert_allclose(np.diff(y, 3), 0, atol=1e-9)
    assert np.diff(y, 2).min() > 0  # downwards is positive
    scene = world.build(rng(9), "red", "ball", "pan", 17, 96, 96)
    assert scene.posts is not None
    np.testing.assert_allclose(
        np.diff(scene.posts, axis=1),
        np.broadcast_to(np.diff(scene.things[0].x), (len(scene.posts), 16)),
        atol=1e-9,
    )


@pytest.mark.parametrize("motion", ["pan", "shadow", "behind"])
def test_cut_shows_the_same_frames(motion):
    scene = world.sample(rng(10), 17, 48, 64, motion=motion)
    np.testing.assert_allclose(
        drawing.draw(world.cut(scene, 4, 9)), drawing.draw(scene)[4:13], atol=1e-6
    )
