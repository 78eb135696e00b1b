"""Broken and hostile safetensors files and indices: refused in one sentence."""

from __future__ import annotations

import json

import mlx.core as mx
import pytest

from tests.weights import crafted

STEM = "diffusion_pytorch_model"
DAMAGED = "FILE is damaged or cut short"
SHORT = "a in FILE claims 16 bytes where the file has 8"


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    ("header", "length", "fact"),
    [
        ({}, 2**63, f"FILE claims a header of {2**63} bytes"),
        ({}, 99_000_000, "FILE claims a header of 99000000 bytes"),
        (b"version https://git-lfs.github.com/spec/v1", 8, DAMAGED),
        (b"[" * 100_000, None, DAMAGED),
        (b"[]", None, DAMAGED),
        ({"a": 3}, None, DAMAGED),
        (entry(offsets=[0, "8"]), None, DAMAGED),
        (entry(shape=[-2]), None, DAMAGED),
        (entry(shape=[4], offsets=[0, 16]), None, SHORT),
        (entry(shape=[4]), None, SHORT),
        (entry(shape=[2**20] * 9), None, "a in FILE has a shape that no tensor has"),
    ],
)
def test_headers_that_lie(header, length, fact, source, refused):
    path = source / "vae" / f"{STEM}.safetensors"
    crafted.safetensors_file(path, header, bytes(8), length)
    refused(fact.replace("FILE", f"VAE/{STEM}.safetensors"), "download")


@pytest.mark.parametrize("dtype", ["F4", []])
def test_types_that_are_not_read(dtype, source, refused):
    path = source / "vae" / f"{STEM}.safetensors"
    crafted.safetensors_file(path, entry(dtype), bytes(8))
    refused(f"a in VAE/{STEM}.safetensors has the type {dtype}", "16 or 32 bits")


@pytest.mark.parametrize(
    "name", ["../../secret.safetensors", "/etc/passwd", "..", "part.txt", "", 3]
)
def test_an_index_that_points_outside_its_folder(name, source, refused):
    index = source / "vae" / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    refused(f"VAE/{index.name}", "outside its folder", "download")


def test_shards_missing_alone_or_twice_the_same(source, valid_weights, refused):
    shards = [f"{STEM}-0000{n}-of-00002.safetensors" for n in (1, 2)]
    mx.save_safetensors(str(source / "vae" / shards[0]), valid_weights)
    refused(f"VAE/{shards[0]}", ".index.json", "missing", "download")

    index = source / "vae" / f"{STEM}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    refused(f"VAE/{shards[1]} is missing", index.name, "download")

    first = next(iter(valid_weights))
    mx.save_safetensors(str(source / "vae" / shards[1]), {first: valid_weights[first]})
    refused(f"{first} in VAE/{shards[0]} is in {shards[1]} too", "download")
