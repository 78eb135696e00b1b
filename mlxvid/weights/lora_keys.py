"""The names of tensors in LoRA files: which layer's change, which part of it, and in what method.

Facts from Diffusers, PEFT, LyCORIS, ComfyUI, DiffSynth-Studio, musubi-tuner, VideoX-Fun and
SwissArmyTransformer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")

# Of plain factors and of their bias, of LyCORIS's products, and of full differences.
RANKED = ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b")
"""The parts whose first axis is the rank."""

# What stands before a layer's name, taken off one after the other. In the flat names of kohya's
# trainers the dots are underscores; VideoX-Fun has one underscore more.
_BEFORE = (
    "base_model.",
    "model.",
    "diffusion_model.",
    "transformer.",
    "unet.",
    "pipe.",
    "dit.",
    "lora_unet_",
    "lora_transformer_",
    "lycoris_",
    "_",
)
_TEXT_ENCODER = re.compile(
    r"(?:base_model\.)?(?:lora_te\d?_|lora_(?:t5|clip)_|text_encoders?[._\d]|te\d?\.|text_model\.|"
    r"cond_stage_model\.|conditioner\.)"
)
# What compilers and sharding put between the names.
_WRAPPER = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|module)\."
)
# Diffusers before it used PEFT: attn1.processor.to_q_lora.down.weight.
_PROCESSOR = re.compile(r"\.processor\.(\w+?)_lora\.(?=down|up)")
# An adapter's name before the last segment ("lora_A.default.weight", as PEFT has it) says nothing:
# a file holds one adapter.
_ADAPTER = r"(?:\.[^.]+)?"
_FACTOR = r"lora(?:[_.]|_linear_layer\.)"
_PARTS = {
    part: re.compile(rf"(.+?)\.(?:{tail})", re.DOTALL)
    for part, tail in (
        ("down_b", rf"{_FACTOR}(?:A|down){_ADAPTER}\.bias"),
        ("up_b", rf"{_FACTOR}(?:B|up){_ADAPTER}\.bias"),
        ("down", rf"{_FACTOR}(?:A|down){_ADAPTER}(?:\.weight)?"),
        ("up", rf"{_FACTOR}(?:B|up){_ADAPTER}(?:\.weight)?"),
        ("alpha", r"(?:lora_|network_)?alpha"),
        ("scaling", r"scaling"),
        ("diff", r"diff|w_norm"),
        ("diff_b", r"diff_b|b_norm"),
        ("magnitude", rf"dora_scale|lora_magnitude_vector{_ADAPTER}(?:\.weight)?"),
        *((f"hada_w{n}", rf"hada_w{n}{_ADAPTER}") for n in ("1_a", "1_b", "2_a", "2_b")),
        *((f"lokr_w{n}", rf"lokr_w{n}{_ADAPTER}") for n in ("1", "1_a", "1_b", "2", "2_a", "2_b")),
    )
}
# SwissArmyTransformer numbers the layers that a model has in one matrix, and has a zero for others.
_NUMBERED = re.compile(r"(.+?)\.matrix_([AB])\.(\d+)", re.DOTALL)
_MODULATION = re.compile(r"(.+?)\.diff_m", re.DOTALL)
# What is known and not read, by the last segments of a name.
_METHODS = {
    "AdaLoRA": r"lora_E|ranknum",
    "BOFT": r"boft_[RsS]",
    "GLoRA": r"[ab][12]\.weight",
    "IA3": r"ia3_l|on_input",
    "OFT": r"oft_\w+",
    "Tucker's decomposition": r"lora_mid\.weight|hada_t[12]|lokr_t2",
    "VeRA": r"vera_lambda_[bd]",
}


def split(key: str) -> tuple[str, str]:
    """A file's key as the name of a layer and the part of its change.

    The parts are down, up, up_b (a bias), down_b and alpha of the factors, or scaling in place of
    alpha over rank; diff and diff_b in full; the magnitude of DoRA; hada_… and lokr_…. What is no
    part of a LoRA is ("", "").
    """
    key = _PROCESSOR.sub(_without_processor, key)
    match = _NUMBERED.fullmatch(key)
    if match:
        return f"{match[1]}.{match[3]}", "down" if match[2] == "A" else "up"
    match = _MODULATION.fullmatch(key)
    if match:
        return f"{match[1]}.modulation", "diff"
    for part, pattern in _PARTS.items():
        match = pattern.fullmatch(key)
        if match:
            return match[1], part
    return "", ""


def are_numbered(keys: Iterable[str]) -> bool:
    """Whether these are the keys of SwissArmyTransformer."""
    return any(_NUMBERED.fullmatch(key) for key in keys)


def without_model(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Without the model's own tensors, which SwissArmyTransformer saves beside its LoRA."""
    if not are_numbered(tensors):
        return dict(tensors)
    return {key: value for key, value in tensors.items() if _NUMBERED.fullmatch(key)}


def _without_processor(match: re.Match[str]) -> str:
    layer = "to_out.0" if match[1] == "to_out" else match[1]
    return f".{layer}.lora."


def spellings(place: str) -> Iterator[str]:
    """The name of a layer, and what remains of it without what stands before."""
    place = _WRAPPER.sub("", place)
    while place:
        yield place
        before = next((text for text in _BEFORE if place.startswith(text)), None)
        if before is None:
            return
        place = place.removeprefix(before)


def bare(place: str) -> str:
    """The name of a layer without what stands before it."""
    return list(spellings(place))[-1] if place else ""


def is_text_encoder(key: str) -> bool:
    """Whether a key is that of a text encoder's layer."""
    return bool(_TEXT_ENCODER.match(key))


def foreign_method(key: str) -> str | None:
    """The method of adaptation that a key belongs to and that is not read here; None for none."""
    for method, tail in _METHODS.items():
        if re.search(rf"\.(?:{tail}){_ADAPTER}$", key):
            return method
    return None
