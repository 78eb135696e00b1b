"""Checkpoints of PyTorch read without it: types, strides and containers, in both of its forms."""

from __future__ import annotations

from collections import OrderedDict

import mlx.core as mx
import numpy as np
import pytest
import torch

from mlxvid.errors import WeightsError
from mlxvid.weights import torch_file
from mlxvid.weights.fp8 import FP8

from . import crafted

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
]


def save(value, path, zipped):
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return torch_file.read(path)


def same(tensor, expected):
    """The same shape and values; of 16 bits and more, bit for bit."""
    read = tensor.read()
    assert tensor.shape == tuple(expected.shape) == read.shape
    if expected.is_floating_point():
        read = read.astype(mx.float32)
        expected = expected.to(torch.float32)
    return np.array_equal(np.array(read), expected.numpy(), equal_nan=True)


@FORMS
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_is_read_exactly(dtype, zipped, tmp_path):
    values = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)) * 3
    saved = {
        "a.weight": values.to(getattr(torch, dtype)),
        "b": (values > 0).to(getattr(torch, dtype)),
    }
    read = save(saved, tmp_path / "a.pth", zipped)
    assert list(read) == ["a.weight", "b"] and {t.dtype for t in read.values()} == {dtype}
    assert all(same(read[name], tensor) for name, tensor in saved.items())
    assert read["a.weight"].where == f"a.weight in {tmp_path / 'a.pth'}"


@FORMS
def test_strides_offsets_shared_storages_and_odd_shapes(zipped, tmp_path):
    base = torch.arange(60.0).reshape(3, 4, 5)
    saved = {
        "whole": base,
        "turned": base.permute(2, 0, 1),
        "slice": base[1:, ::2, 3],
        "column": base[:, :1, 2:3],
        "number": torch.tensor(2.5),
        "none": torch.empty(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2, 3)),
    }
    read = save(saved, tmp_path / "a.pth", zipped)
    assert all(same(read[name], tensor.detach()) for name, tensor in saved.items())


@FORMS
def test_a_modules_state_dict_and_one_beside_other_things(zipped, tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    read = save(module.state_dict(), tmp_path / "a.pth", zipped)
    assert read.keys() == module.state_dict().keys()
    assert all(same(read[name], tensor) for name, tensor in module.state_dict().items())
    checkpoint = {
        "epoch": 3,
        "lr": 0.5,
        "size": torch.Size([2, 3]),
        "args": [None, True, ("a", {1: 2})],
        "dtype": torch.bfloat16,
    }
    read = save(
        {**checkpoint, "state_dict": OrderedDict(module.state_dict())}, tmp_path / "b.pth", zipped
    )
    assert read.keys() == module.state_dict().keys()


@FORMS
def test_tensors_stay_in_the_file_until_they_are_read(zipped, tmp_path):
    values = save({"a": torch.ones(1000, 1000)}, tmp_path / "a.pth", zipped)["a"].values
    assert not values.flags.owndata and not values.flags.writeable


def test_pieces_are_the_whole_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("mlxvid.weights.tensors.PIECE_BYTES", 4 * 7 * 3)
    saved = torch.randn(10, 7)
    tensor = save({"a": saved}, tmp_path / "a.pth", True)["a"]
    pieces = list(tensor.pieces())
    assert [len(piece) for piece in pieces] == [3, 3, 3, 1]
    assert np.array_equal(np.array(mx.concatenate(pieces)), saved.numpy())


@pytest.mark.parametrize("dtype", FP8)
def test_all_256_codes_of_fp8_are_torchs(dtype):
    expected = (
        torch.arange(256, dtype=torch.uint8).view(getattr(torch, dtype)).to(torch.float32).numpy()
    )
    assert np.array_equal(FP8[dtype], expected, equal_nan=True)
    assert np.array_equal(
        np.signbit(FP8[dtype][FP8[dtype] == 0]), np.signbit(expected[expected == 0])
    )


def test_big_endian_values(tmp_path):
    crafted.zip_file(
        tmp_path / "a.pth",
        crafted.table(a=crafted.tensor()),
        {"0": np.arange(4, dtype=">f4").tobytes()},
        order="big",
    )
    assert same(torch_file.read(tmp_path / "a.pth")["a"], torch.arange(4.0))


def test_what_torch_itself_would_refuse_is_refused(tmp_path):
    torch.save({"a": torch.ones(3), "b": np.float64(2)}, tmp_path / "a.pth")
    with pytest.raises(
        WeightsError, match=r"holds numpy\.\S*scalar, which .* nothing of it was run"
    ):
        torch_file.read(tmp_path / "a.pth")
    torch.save({"a": torch.ones(3).to_sparse()}, tmp_path / "b.pth")
    with pytest.raises(WeightsError, match=r"holds torch\._utils\._rebuild_sparse_tensor, which"):
        torch_file.read(tmp_path / "b.pth")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"holds torch\.nn\.modules\.linear\.Linear, which"):
        torch_file.read(tmp_path / "c.pth")
