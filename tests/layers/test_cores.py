"""Parts of work are the same whichever core computes them, and end as one."""

from __future__ import annotations

import threading

import mlx.core as mx
import numpy as np
import pytest

from mlxvid import _blas
from mlxvid.layers import bounds, cores


@pytest.fixture(params=[1, 2, 3], ids=lambda count: f"{count} cores")
def several(request, monkeypatch):
    monkeypatch.setattr(cores, "count", lambda: request.param)
    return request.param


def products(count: int) -> tuple[mx.array, list]:
    x = mx.random.normal((count, 40, 40), key=mx.random.key(1)) * 2
    return x, [lambda n=n: x[n] @ x[n] + n for n in range(count)]


def test_parts_are_those_that_one_core_makes(several):
    x, parts = products(11)
    made = cores.made(parts, x)
    for n, ours in enumerate(made):
        assert mx.allclose(ours, x[n] @ x[n] + n, atol=1e-4)


def test_one_part_stays_lazy(several):
    # What is compiled can't be evaluated on the way.
    more = mx.compile(lambda x: cores.made([lambda: x + 1], x)[0])
    assert mx.array_equal(more(mx.ones(3)), mx.full(3, 2.0))


@pytest.mark.parametrize("length", [1, 2, 7, 12, 100])
@pytest.mark.parametrize("most", [1, 3, 50])
def test_slices_cover_a_length_evenly(several, length, most):
    slices = cores.slices(length, most)
    assert [n for own in slices for n in range(own.start, own.stop)] == list(range(length))
    sizes = [own.stop - own.start for own in slices]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(slices) == 1 or len(slices) == length or len(slices) % several == 0


def test_a_part_of_a_part_stays_whole(several):
    seen = []

    def part() -> mx.array:
        inner = cores.made([lambda: mx.ones(1), lambda: mx.zeros(1)])
        seen.append((cores.whole(), cores.slices(100, 1)))
        return mx.concatenate(inner)

    for made in cores.made([part] * 3):
        assert mx.array_equal(made, mx.array([1.0, 0.0]))
    assert seen == [(True, [slice(0, 100)])] * 3
    assert not cores.whole()


def threads() -> int:
    """What OpenBLAS takes now."""
    if _blas._openblas is None:
        pytest.skip("MLX doesn't use OpenBLAS here")
    return _blas._openblas.scipy_openblas_get_num_threads()


def test_blas_takes_one_thread_within(several):
    assert threads() == _blas.threads()
    within = []

    def part() -> mx.array:
        within.append(threads())
        return mx.ones(2)

    cores.made([part] * 3)
    assert within == [1, 1, 1]
    assert threads() == _blas.threads()


def test_what_a_part_raises_ends_the_work(several):
    x, parts = products(4)

    def wrong() -> mx.array:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        cores.made([*parts, wrong], x)
    assert not cores.whole()
    assert threads() == _blas.threads()


def test_a_listener_may_end_the_work_between_parts(several):
    x, parts = products(20)
    heard = []

    def listener(share: float | None) -> None:
        heard.append(share)
        if len(heard) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), bounds.heard(listener):
        cores.made(parts, x)
    assert heard == [None, None]
    cores.made(parts, x)
    assert len(heard) == 2


def test_any_thread_has_its_parts_made(several):
    x, parts = products(6)
    made: list[mx.array] = []

    def work() -> None:
        made.extend(np.array(array) for array in cores.made(parts, x))

    cores.made(parts, x)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(made) == 6
