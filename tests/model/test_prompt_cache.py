"""States of prompts in memory and on the disk: found again bit by bit, bounded, private, and never
in the way.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import pytest

from mlxvid.model import prompt_cache
from mlxvid.model.prompt_cache import PromptCache, digest_of, prompts_folder

DIGEST = "0123abcd" * 8
OTHER = "fedc9876" * 8


def states(seed: int = 0, dtype: mx.Dtype = mx.float32) -> mx.array:
    return mx.random.normal((2, 5, 8), key=mx.random.key(seed)).astype(dtype)


def kept() -> list[Path]:
    """Everything in the folder, hidden files too."""
    folder = prompts_folder()
    assert folder is not None
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_states_are_found_again_bit_by_bit(dtype):
    made = states(dtype=dtype)
    PromptCache().put(DIGEST, made)
    again = PromptCache().get(DIGEST)
    assert again is not None and again.dtype == dtype and mx.array_equal(again, made)
    assert PromptCache().get(OTHER) is None
    assert [path.name for path in kept()] == [f"{DIGEST}.safetensors"]


def test_the_last_few_are_found_in_memory_alone(monkeypatch):
    monkeypatch.setenv("MLXVID_PROMPT_CACHE", "0")
    cache = PromptCache()
    for number in range(5):
        cache.put(str(number), states(number))
        assert cache.get("0") is not None  # used again and again, so it stays
    assert cache.get("1") is None
    assert mx.array_equal(cache.get("4"), states(4))
    assert PromptCache().get("4") is None
    monkeypatch.delenv("MLXVID_PROMPT_CACHE")
    assert kept() == []


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_nobody_else_may_look(umask):
    before = os.umask(umask)
    try:
        PromptCache().put(DIGEST, states())
        kept()[0].parent.chmod(0o755)
        PromptCache().put(OTHER, states())
    finally:
        os.umask(before)
    assert stat.S_IMODE(kept()[0].parent.stat().st_mode) == 0o700


# --- damaged and foreign -------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    mx.save_safetensors(str(path), {"states": states()})


def strange(path: Path) -> None:
    mx.save_safetensors(str(path), {"weight": states()}, {"sum": "1"})


def another_s(path: Path) -> None:
    PromptCache().put(OTHER, states(1))
    os.replace(path.with_name(f"{OTHER}.safetensors"), path)


@pytest.mark.parametrize("damage", [cut, flip, empty, foreign, strange, another_s])
def test_what_is_damaged_or_foreign_is_made_again(damage, caplog):
    PromptCache().put(DIGEST, states())
    damage(kept()[0])
    cache = PromptCache()
    assert cache.get(DIGEST) is None
    cache.put(DIGEST, states())
    assert mx.array_equal(PromptCache().get(DIGEST), states())
    assert not caplog.records


def test_a_folder_or_a_pipe_in_a_file_s_place_is_passed_over(caplog):
    PromptCache().put(DIGEST, states())
    path = kept()[0]
    path.unlink()
    path.mkdir()
    assert PromptCache().get(DIGEST) is None
    path.rmdir()
    os.mkfifo(path)
    assert PromptCache().get(DIGEST) is None


def test_a_disk_that_takes_nothing_costs_no_more_than_time(own_cache, caplog):
    own_cache.mkdir(parents=True)
    (own_cache / "prompts").write_text("in the way")
    cache = PromptCache()
    for name in (DIGEST, OTHER):
        cache.put(name, states())
        assert mx.array_equal(cache.get(name), states())
    assert not caplog.records
    assert (own_cache / "prompts").read_text() == "in the way"


def test_what_can_t_be_put_in_place_leaves_nothing_behind(caplog):
    PromptCache().put(DIGEST, states())
    path = kept()[0]
    path.unlink()
    (path / "inside").mkdir(parents=True)
    PromptCache().put(DIGEST, states())
    assert not caplog.records
    assert kept() == [path]


# --- bounds --------------------------------------------------------------------------------------


def age(name: str, seconds: int) -> None:
    """Make a file that old."""
    path = prompts_folder() / f"{name}.safetensors"
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


@pytest.mark.parametrize("bound", ["files", "bytes"])
def test_those_that_were_not_used_for_longest_go(bound, monkeypatch):
    for number in range(4):
        PromptCache().put(str(number), states(number))
        age(str(number), 100 - number)
    size = max(path.stat().st_size for path in kept())
    assert PromptCache().get("0") is not None  # used now
    if bound == "files":
        monkeypatch.setattr(prompt_cache, "MOST_FILES", 3)
    else:
        monkeypatch.setattr(prompt_cache, "MOST_BYTES", 3 * size)
    PromptCache().put("new", states(9))
    assert {path.stem for path in kept()} == {"0", "3", "new"}


# --- the name ------------------------------------------------------------------------------------

USE = {"dtype": "float32", "quantize": None}
IDS = mx.array([[3, 4, 1], [5, 1, 0]])
MASK = IDS > 0


@pytest.fixture
def weights(tmp_path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    return path


@pytest.mark.parametrize(
    "other",
    [
        lambda w: digest_of({**USE, "dtype": "bfloat16"}, [w], IDS, MASK),
        lambda w: digest_of({**USE, "quantize": 4}, [w], IDS, MASK),
        lambda w: digest_of(USE, [w, w.parent], IDS, MASK),
        lambda w: digest_of(USE, [w], IDS + 1, MASK),
        lambda w: digest_of(USE, [w], IDS, mx.ones_like(MASK)),
        lambda w: digest_of(USE, [w], IDS[:1], MASK[:1]),
        lambda w: digest_of(USE, [w], IDS.reshape(3, 2), MASK.reshape(3, 2)),
        lambda w: digest_of(USE, [w], IDS, MASK, mx.zeros((1, 2, 2, 3))),
    ],
)
def test_another_name_for_whatever_the_states_depend_on(other, weights):
    own = digest_of(USE, [weights], IDS, MASK)
    assert own == digest_of(dict(USE), [weights], mx.array(IDS), MASK)
    assert other(weights) != own


def test_a_file_of_the_same_size_and_date_is_another_file(weights):
    before = digest_of(USE, [weights], IDS, MASK)
    facts = weights.stat()
    beside = weights.with_name("new")
    beside.write_bytes(b"xyz")
    os.utime(beside, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.replace(beside, weights)
    assert weights.stat().st_mtime_ns == facts.st_mtime_ns
    assert digest_of(USE, [weights], IDS, MASK) != before
