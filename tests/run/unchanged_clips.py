"""Clips of every family, made from fixed settings: what must stay as it is, bit for bit, whatever
is rebuilt around it.

``python -m tests.run.unchanged_clips`` records them anew, for a change that is meant to change
them; with names of cases after it these alone.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

import mlxvid

RECORDED = Path(__file__).parent.parent / "golden" / "unchanged_clips.npz"
PROMPT = "a red ball moving left"


def picture(seed: int, width: int, height: int, frames: int | None = None) -> np.ndarray:
    """A picture, or the frames of a clip, uint8: coarse noise."""
    shape = (height // 8, width // 8, 3) if frames is None else (frames, height // 8, width // 8, 3)
    coarse = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return coarse.repeat(8, axis=-3).repeat(8, axis=-2)


SMALL = dict(width=48, height=32, frames=9, steps=3)
MINI = dict(width=64, height=48, frames=9, steps=3)
LATTE = dict(width=48, height=32, steps=3)
OPENSORA = dict(width=48, height=32, frames=17, steps=3)
COGVIDEOX = dict(width=48, height=32, frames=9, steps=3)
LTX = dict(width=64, height=32, frames=9, steps=3)

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mini": ("mini", MINI),
    "mini-heun": ("mini", {**MINI, "sampler": "heun", "shift": 2.0}),
    "mini-full": ("mini", {**MINI, "attention": "full", "guidance": 1.0}),
    "mini-spatial": ("mini", {**MINI, "attention": "spatial"}),
    "mini-pictures": (
        "mini",
        {**MINI, "image": picture(1, 64, 48), "keyframes": {4: picture(2, 64, 48)}},
    ),
    "mini-last": (
        "mini",
        {**MINI, "sampler": "heun", "last_image": picture(3, 64, 48), "image": picture(4, 64, 48)},
    ),
    "wan-t2v": ("t2v", {**SMALL, "negative_prompt": "blurry, ugly"}),
    "wan-t2v-heun": ("t2v", {**SMALL, "sampler": "heun", "guidance": 1.0}),
    "wan-t2v-euler": ("t2v", {**SMALL, "sampler": "euler", "steps": 4}),
    "wan-i2v": ("i2v", {**SMALL, "image": picture(5, 48, 32)}),
    "wan-flf2v": (
        "flf2v",
        {**SMALL, "image": picture(6, 48, 32), "last_image": picture(7, 48, 32)},
    ),
    "latte": ("latte", {**LATTE, "negative_prompt": "blurry"}),
    "latte-picture": ("latte", {**LATTE, "frames": 1}),
    "latte-full": ("latte", {**LATTE, "attention": "full"}),
    "opensora": ("opensora", OPENSORA),
    "opensora-given": (
        "opensora",
        {**OPENSORA, "image": picture(8, 48, 32), "options": {"edit": 0.6}},
    ),
    "opensora-extend": (
        "opensora",
        {**OPENSORA, "frames": 34, "steps": 2, "extend": picture(9, 48, 32, 17)},
    ),
    "opensora-join": (
        "opensora",
        {**OPENSORA, "frames": 34, "steps": 2, "join": picture(10, 48, 32, 17)},
    ),
    "opensora-picture": ("opensora", {**OPENSORA, "frames": 1, "options": {"aesthetic": 0.0}}),
    "cogvideox-2b": ("cogvideox-2b", {**COGVIDEOX, "negative_prompt": "blurry"}),
    "cogvideox-5b": ("cogvideox-5b", COGVIDEOX),
    "cogvideox-1.5-i2v": (
        "cogvideox-1.5-i2v",
        {**COGVIDEOX, "frames": 17, "image": picture(11, 48, 32)},
    ),
    "ltx": ("ltx", {**LTX, "options": {"upscale": False}}),
    "ltx-guided": ("ltx-0.9.1", {**LTX, "guidance": 2.0, "options": {"stg": 0}}),
    "ltx-two-passes": ("ltx", LTX),
    "ltx-given": (
        "ltx",
        {
            **LTX,
            "frames": 17,
            "keyframes": {0: picture(11, 64, 32), 8: (picture(12, 64, 32, 9), 0.7)},
            "options": {"prepare": False},  # as this machine's H.264 has it
        },
    ),
    **{
        f"latte-{sampler}": ("latte", {**LATTE, "sampler": sampler, "frames": 1})
        for sampler in (
            "ddpm",
            "pndm",
            "euler-discrete",
            "euler-ancestral",
            "heun-discrete",
            "kdpm2-ancestral",
            "dpm++",
            "dpm++-single",
            "deis",
            "unipc-discrete",
        )
    },
}


def writers() -> dict[str, Callable[[Path], Any]]:
    """By model, what writes it to a folder."""
    from tests.models.cogvideox import tiny as tiny_cogvideox
    from tests.models.latte import tiny as tiny_latte
    from tests.models.ltx import tiny as tiny_ltx
    from tests.models.opensora import tiny as tiny_opensora
    from tests.models.wan import tiny as tiny_wan

    def latte(folder: Path) -> None:
        tiny_latte.pipeline().save_pretrained(folder)

    def ltx(folder: Path) -> None:
        pipeline = tiny_ltx.pipeline("C", "LTXConditionPipeline")
        tiny_ltx.saved(pipeline, folder, "0.9.8-13b-distilled", tiny_ltx.upsampler())

    def ltx_0_9_1(folder: Path) -> None:
        tiny_ltx.saved(tiny_ltx.pipeline("B", "LTXPipeline"), folder, "0.9.1")

    return {
        **{
            kind: lambda folder, kind=kind: tiny_wan.write_model(folder, kind)
            for kind in tiny_wan.KINDS
        },
        **{
            f"cogvideox-{kind}": lambda folder, kind=kind: tiny_cogvideox.write_model(folder, kind)
            for kind in tiny_cogvideox.KINDS
        },
        "latte": latte,
        "opensora": tiny_opensora.write_model,
        "ltx": ltx,
        "ltx-0.9.1": ltx_0_9_1,
    }


class Models:
    """Each model, loaded once."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._loaded: dict[str, mlxvid.Pipeline] = {}

    def frames(self, case: str, **watched: Any) -> np.ndarray:
        """The clip of a case, uint8 [F, H, W, 3]. watched: such as on_progress and cancel."""
        return self.loaded(case).generate(PROMPT, seed=7, **CASES[case][1], **watched).frames

    def loaded(self, case: str) -> mlxvid.Pipeline:
        """The model of a case."""
        name, _ = CASES[case]
        if name not in self._loaded:
            place = self._folder / name
            if name != "mini":
                writers()[name](place)
            self._loaded[name] = mlxvid.load(name if name == "mini" else str(place))
        return self._loaded[name]


def arithmetic() -> str:
    """A digest of this processor's arithmetic: machines with the same one make the same clips, bit
    for bit.
    """
    a = mx.array(np.random.default_rng(0).standard_normal((96, 160)).astype(np.float32))
    x = mx.softmax(a @ a.T, axis=-1) @ mx.exp(-mx.abs(a))
    kernel = mx.array(np.random.default_rng(1).standard_normal((8, 3, 3, 4)).astype(np.float32))
    y = mx.conv2d(x.reshape(4, 24, 40, 4), kernel, padding=1)
    z = mx.fast.rms_norm(mx.erf(y) * mx.sigmoid(y), None, 1e-6)
    return hashlib.sha256(np.array(z).tobytes()).hexdigest()


def main() -> None:
    names = sys.argv[1:] or list(CASES)
    with np.load(RECORDED) as recorded:
        clips = {case: recorded[case] for case in CASES if case in recorded}
    with tempfile.TemporaryDirectory() as folder:
        models = Models(Path(folder))
        clips |= {case: models.frames(case) for case in names}
    np.savez_compressed(RECORDED, arithmetic=np.array(arithmetic()), **clips)
    print(f"{len(clips)} clips, {RECORDED.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
