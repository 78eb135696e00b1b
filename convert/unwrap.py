"""Takes weight files apart: the networks in a file, without what stands before their names."""

from __future__ import annotations

from collections.abc import Mapping

from mlxvid.weights.tensors import Tensor
from mlxvid.weights.wrappers import groups, passed_over

from .release import WeightFile


def networks(
    path: str, tensors: Mapping[str, Tensor], inside: tuple[str, ...] = (), depth: int = 4
) -> list[WeightFile]:
    """The networks in a file, each with what stood before its names; averages alone, where there
    are both.
    """
    found = groups(tensors)
    left_out = passed_over(found)
    files = []
    for key, group in found.items():
        if key in left_out:
            continue
        keys = (*inside, key) if key else inside
        if not key or not depth:
            files.append(WeightFile(path, group, keys, tuple(left_out)))
            continue
        for file in networks(path, group, keys, depth - 1):
            passed = (*left_out, *file.passed_over)
            files.append(WeightFile(path, file.tensors, file.inside, passed))
    return files
