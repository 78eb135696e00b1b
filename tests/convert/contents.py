"""What a converted folder holds, for comparing."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx


def weights_in(folder: Path) -> dict[str, mx.array]:
    """Every tensor of a component, from all of its files."""
    weights: dict[str, mx.array] = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights.update(mx.load(str(file)))
    return weights


def dtypes_in(folder: Path) -> set[mx.Dtype]:
    """The types of a component's tensors."""
    return {array.dtype for array in weights_in(folder).values()}


def same(one: dict[str, mx.array], two: dict[str, mx.array]) -> bool:
    """Whether both have the same tensors, types included."""
    if one.keys() != two.keys():
        return False
    for name, array in one.items():
        if array.dtype != two[name].dtype or not mx.array_equal(array, two[name]):
            return False
    return True


def bytes_in(folder: Path) -> dict[str, bytes]:
    """The content of every file, by its path in `folder`."""
    contents = {}
    for path in folder.rglob("*"):
        if path.is_file():
            contents[str(path.relative_to(folder))] = path.read_bytes()
    return contents


def assert_states(error: object, *facts: str) -> None:
    """Assert that an error is one printable sentence which states all of `facts`."""
    message = str(error)
    assert message.isprintable() and message.endswith(".")
    for fact in facts:
        assert fact in message
