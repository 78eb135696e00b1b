"""The sizes of weights, read from the headers of their files alone."""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.errors import WeightsError
from mlxvid.weights.sizes import read_sizes

LYING = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 1125899906842624]}}'
BROKEN = {
    "empty": b"",
    "short": b"\x05",
    "no length": b"\xff" * 64,
    "a list": b"\x02" + bytes(7) + b"[]",
    "a tensor without facts": b"\x0a" + bytes(7) + b'{"a": {}} ',
    "beyond its end": len(LYING).to_bytes(8, "little") + LYING + bytes(8),
}


def test_sizes_are_told_by_component_and_type(tmp_path):
    transformer = tmp_path / "transformer"
    vae = tmp_path / "vae"
    transformer.mkdir()
    vae.mkdir()
    halves = {"w": mx.zeros((3, 5), mx.float16)}
    mx.save_safetensors(str(transformer / "a.safetensors"), halves, {"format": "mlx"})
    others = {"w": mx.zeros((7,)), "i": mx.zeros((2,), mx.uint32)}
    mx.save_safetensors(str(transformer / "b.safetensors"), others)
    (transformer / "m.safetensors.index.json").write_text(
        '{"weight_map": {"w": "a.safetensors", "i": "b.safetensors"}}'
    )
    mx.save_safetensors(str(vae / "a.safetensors"), {"w": mx.zeros((4, 4), mx.bfloat16)})
    assert read_sizes(tmp_path) == {
        "transformer": {"float16": 30, "float32": 28, "u32": 8},
        "vae": {"bfloat16": 32},
    }


def test_a_folder_that_is_not_there_has_none(tmp_path):
    assert read_sizes(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_weights_file_is_named(tmp_path, what):
    path = tmp_path / "vae" / "model.safetensors"
    path.parent.mkdir()
    path.write_bytes(BROKEN[what])
    with pytest.raises(WeightsError) as caught:
        read_sizes(tmp_path)
    assert str(path) in str(caught.value)
    assert "download" in str(caught.value)
