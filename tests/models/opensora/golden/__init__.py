"""Comparisons of Open-Sora 1.2 with golden data of its reference, which can't be installed."""

from __future__ import annotations

from tests.golden.files import Checker

from . import pieces, rflow, sizes, stdit3, text, vae

CHECKS: dict[str, Checker] = {
    "ops": pieces.check,
    "rflow_": rflow.check,
    "size_tables": sizes.check,
    "stdit3_": stdit3.check,
    "text_and_strategy": text.check,
    "vae": vae.check,
}
