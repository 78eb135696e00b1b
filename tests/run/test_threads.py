"""Pipelines in threads: one run at a time in a process, the same clips, nothing that ends it.

What MLX does with threads may end the process, so each case has one of its own.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import mlxvid
from mlxvid.errors import CancelledError
from mlxvid.run.turns import turn

START = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor
import mlxvid
folder = sys.argv[1]
mlxvid.load  # MLX is first imported in the main thread
def load():
    return mlxvid.load(folder)
def clip(pipe, seed=1, **more):
    return pipe.generate("a red ball", seed=seed, steps=2, **more).frames.tobytes()
def in_thread(work):
    with ThreadPoolExecutor(1) as one:
        return one.submit(work).result()
"""

CASES = {
    "at once": """
pipe = load()
with ThreadPoolExecutor(4) as pool:
    clips = list(pool.map(lambda seed: clip(pipe, seed), [1, 2, 1, 2]))
assert clips[:2] == clips[2:] and clips[0] != clips[1]
assert clips[0] == clip(pipe)
""",
    "two pipelines": """
with ThreadPoolExecutor(2) as pool:
    clips = list(pool.map(lambda _: clip(load()), range(4)))
assert len(set(clips)) == 1
""",
    "loaded elsewhere": """
pipe = in_thread(load)
first = clip(pipe)
assert first == in_thread(lambda: clip(pipe)) == in_thread(lambda: clip(pipe))
""",
    "after a clip": """
pipe = load()
assert in_thread(lambda: clip(pipe)) == clip(pipe) == in_thread(lambda: clip(pipe))
""",
    "tasks": """
async def main():
    pipe = await asyncio.to_thread(load)
    return await asyncio.gather(*(asyncio.to_thread(clip, pipe) for _ in range(3)))
assert len(set(asyncio.run(main()))) == 1
""",
    "other work meanwhile": """
import numpy as np
from mlxvid.catalog import card_of
from mlxvid.run.planning import plan
pipe = load()
first = pipe.generate("a red ball", seed=1, steps=2).frames
def other(number):
    plan(card_of("mini"))
    load().generate("a ball", seed=2, steps=1)
    return pipe.reconstruct(first).shape
with ThreadPoolExecutor(3) as pool:
    others = [pool.submit(other, number) for number in range(3)]
    clips = [clip(pipe) for _ in range(3)]
    assert {job.result() for job in others} == {first.shape}
assert set(clips) == {first.tobytes()}
""",
    "previews": """
pipe = load()
pool = ThreadPoolExecutor(1)
shown = []
def progress(now):
    if now.stage == "denoise" and now.step:
        shown.append(pool.submit(now.preview).result().shape)
clip(pipe, on_progress=progress)
pool.shutdown()
assert len(shown) == 2
""",
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_threads(tiny_folder, case):
    ended = subprocess.run(
        [sys.executable, "-c", START + CASES[case], str(tiny_folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


# --- waiting -------------------------------------------------------------------------------------


def test_who_waits_can_leave_the_line_at_once(tiny):
    cancel = threading.Event()
    ended: list[type] = []

    def wait():
        try:
            tiny.generate("a red ball", cancel=cancel)
        except CancelledError:
            ended.append(CancelledError)

    waiting = threading.Thread(target=wait)
    with turn():
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        cancel.set()
        waiting.join(10)  # while the turn is another's still
        assert ended == [CancelledError]


def test_a_run_that_fails_gives_its_turn_away(tiny):
    with pytest.raises(mlxvid.SettingError):
        tiny.generate("a red ball", steps=0)
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        tiny.generate("a red ball", cancel=stop)
    made: list[int] = []
    other = threading.Thread(
        target=lambda: made.append(len(tiny.generate("a red ball", steps=1, seed=1).frames))
    )
    other.start()
    other.join(60)
    assert made == [9]


def test_within_a_run_the_same_thread_may_ask_for_more(tiny):
    shapes = []

    def progress(now):
        if now.stage == "decode" and now.step == 0:
            shapes.append(tiny.reconstruct(first).shape)

    first = tiny.generate("a red ball", seed=1, steps=1).frames
    tiny.generate("a red ball", seed=1, steps=1, on_progress=progress)
    assert shapes == [first.shape]
