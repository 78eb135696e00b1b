"""Which files of a repository are required: each set of weights once."""

from __future__ import annotations

import pytest

from mlxvid.hub.selection import PATTERNS, required_files


@pytest.mark.parametrize(
    ("paths", "index", "expected"),
    [
        (
            "a.json b.txt c.model d.safetensors e.bin f.md x/g.json",
            None,
            "a.json b.txt c.model d.safetensors x/g.json",
        ),
        (
            "model_index.json a.safetensors",
            {"_class_name": "P", "list": [1, 2]},
            "model_index.json a.safetensors",
        ),
        (
            "t/m.safetensors t/m-00001-of-00002.safetensors t/m-00002-of-00002.safetensors "
            "t/m.safetensors.index.json",
            "t",
            "t/m-00001-of-00002.safetensors t/m-00002-of-00002.safetensors "
            "t/m.safetensors.index.json",
        ),
        (
            "t/m.safetensors t/m.fp16.safetensors t/m-00001-of-00002.fp16.safetensors "
            "t/m.fp16-00001-of-00002.safetensors t/m.safetensors.index.fp16.json "
            "t/tokenizer_config.json",
            "t",
            "t/m.safetensors t/tokenizer_config.json",
        ),
        ("t/m.fp16.safetensors t/config.json", "t", "t/config.json t/m.fp16.safetensors"),
        (
            "t/m.safetensors t2/m.safetensors u/m.safetensors tt/m.safetensors",
            "t t2",
            "t/m.safetensors t2/m.safetensors",
        ),
        (
            "t/m.safetensors t/m.bin t/m.safetensors.index.json t/m-00001-of-00001.safetensors "
            "t/m.bin.index.json",
            "t",
            "t/m-00001-of-00001.safetensors t/m.safetensors.index.json",
        ),
        (
            "t/pytorch_model.bin t/config.json v/m.pth",
            "t v",
            "t/config.json t/pytorch_model.bin v/m.pth",
        ),
        (
            "t/model.safetensors t/pytorch_model.bin v/m.bin v/m.fp16.bin v/old.ckpt m.bin",
            "t v",
            "t/model.safetensors v/m.bin",
        ),
        (
            "t/m.fp16.safetensors t/m-00001-of-00001.bin t/m.bin.index.json",
            "t",
            "t/m.fp16.safetensors",
        ),
    ],
)
def test_which_files_are_required(paths, index, expected):
    if isinstance(index, str):
        index = {name: ["library", "Class"] for name in index.split()}
    assert sorted(required_files(paths.split(), index, PATTERNS)) == sorted(expected.split())
    if index is not None:
        # As to convert, for which other layouts' files count too.
        with_torch = [*PATTERNS, "*.bin", "*.pth"]
        assert sorted(required_files(paths.split(), index, with_torch)) == sorted(expected.split())
