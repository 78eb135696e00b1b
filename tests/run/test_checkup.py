"""The checks of a machine, each with what it says of a good one and of a bad one."""

from __future__ import annotations

import os

import mlx.core as mx
import pytest

from mlxvid.model.machine import GIB, Machine
from mlxvid.run import checkup
from mlxvid.run.checkup import (
    TOLERANCES,
    differences,
    folder_finding,
    gpu_generation,
    matrix_units_finding,
    memory_finding,
    numbers,
    products_finding,
)


def test_every_check_answers_here():
    found = checkup.checkup()
    names = [finding.name for finding in found]
    assert {"system", "mlx", "device", "float32", "products", "memory", "cache"} <= set(names)
    for finding in found:
        assert finding.value
        assert finding.state != "wrong", finding
        assert (finding.advice is None) == (finding.state == "good") or finding.name == "kernel"


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_products_here_are_within_tolerance(dtype):
    assert 0 < max(differences(dtype)) < TOLERANCES[dtype]


def test_a_wrong_product_is_found(monkeypatch):
    right = mx.conv2d
    monkeypatch.setattr(mx, "conv2d", lambda *a, **k: mx.zeros_like(right(*a, **k)))
    (finding,) = checkup.products()
    assert finding.state == "wrong"
    assert "float32" in finding.value
    assert finding.advice


def test_products_that_are_not_finite_are_wrong():
    assert products_finding({"float32": float("nan")}).state == "wrong"


def test_products_with_ten_bits_are_wrong():
    # An M5's, where MLX_ENABLE_TF32 is left on: see docs/macs.md.
    assert products_finding(dict.fromkeys(TOLERANCES, 3e-4)).value.startswith("wrong in float32 (")


@pytest.mark.parametrize(
    ("value", "state"), [("0", "good"), ("1", "wrong"), ("", "wrong"), ("2", "wrong")]
)
def test_float32_is_exact_only_where_mlx_is_told_so(monkeypatch, value, state):
    monkeypatch.setenv("MLX_ENABLE_TF32", value)
    (finding,) = checkup.exact_float32()
    assert finding.state == state
    assert finding.state == "good" or "MLX_ENABLE_TF32" in str(finding.advice)


@pytest.mark.parametrize(
    ("generation", "macos", "in_wheel", "state", "word"),
    [
        (16, (26, 2), True, "good", None),
        (17, (26, 2), True, "good", None),
        (17, (26, 1), True, "note", "26.2"),
        (17, (15, 6, 1), False, "note", "26.2"),
        (17, (26, 3), False, "note", "newest pip"),
    ],
)
def test_an_m5_uses_its_matrix_units_or_is_told_why_not(generation, macos, in_wheel, state, word):
    finding = matrix_units_finding(generation, macos, in_wheel)
    assert finding.state == state
    assert (word is None and finding.advice is None) or word in finding.advice


@pytest.mark.parametrize(
    ("architecture", "generation"),
    [
        ("applegpu_g13s", 13),
        ("applegpu_g17d", 17),
        ("applegpu_g9p", 9),
        ("", None),
        ("sm_90", None),
        ("applegpu_gx", None),
    ],
)
def test_the_generation_is_read_from_the_architecture(architecture, generation):
    assert gpu_generation(architecture) == generation


def test_a_version_becomes_numbers():
    assert numbers("26.2") == (26, 2)
    assert numbers("") == ()
    assert numbers("14.0") >= checkup.OLDEST_MACOS


def test_little_memory_is_noted():
    small = Machine("Mac", 8 * GIB, 5 * GIB, True)
    assert memory_finding(small).state == "note"
    assert memory_finding(Machine("Mac", 32 * GIB, 21 * GIB, True)).state == "good"


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path):
    finding = folder_finding("cache", tmp_path / "not" / "yet", "MLXVID_CACHE")
    assert finding.state != "wrong"
    assert "free" in finding.value


def test_a_file_in_a_folders_place_is_wrong(tmp_path):
    (tmp_path / "cache").write_text("a file")
    finding = folder_finding("cache", tmp_path / "cache" / "runs", "MLXVID_CACHE")
    assert finding.state == "wrong"
    assert "MLXVID_CACHE" in str(finding.advice)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_can_not_be_written_is_wrong(tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert folder_finding("cache", tmp_path, "MLXVID_CACHE").state == "wrong"
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(checkup, "LITTLE_SPACE", 2**80)
    assert folder_finding("cache", tmp_path, "MLXVID_CACHE").state == "note"
