"""What LTX-Video's models can be told: the settings of their own, and which release takes what."""

from __future__ import annotations

from mlxvid.model.card import CLIP_TO_CLIP
from mlxvid.model.settings import Setting

OPTIONS = (
    Setting(
        "stg",
        "number",
        "Spatio-temporal guidance",
        "how strongly the clip is steered away from one with less attention; 0: not at all",
        "options",
        low=0,
        high=20,
        metavar="SCALE",
        digits=2,
    ),
    Setting(
        "rescale",
        "number",
        "Rescaling",
        "how far guidance is kept from raising contrast, 0 to 1",
        "options",
        low=0,
        high=1,
        metavar="SHARE",
        digits=2,
    ),
    Setting(
        "decode_timestep",
        "number",
        "Decoder's time",
        "how much noise the decoder takes the latents to have, 0 to 1",
        "options",
        low=0,
        high=1,
        metavar="TIME",
        digits=3,
    ),
    Setting(
        "decode_noise",
        "number",
        "Decoder's noise",
        "the share of noise that the decoder is given with the latents",
        "options",
        low=0,
        high=1,
        metavar="SHARE",
        digits=3,
    ),
    Setting(
        "upscale",
        "switch",
        "Two passes",
        "first at two thirds of the size, then a second pass over latents made twice as large",
        "options",
    ),
    Setting(
        "image_noise",
        "number",
        "Noise on pictures",
        "noise on what is given and held, which brings more motion; 0 leaves it exact",
        "options",
        low=0,
        high=1,
        metavar="SCALE",
        digits=3,
    ),
    Setting(
        "prepare",
        "switch",
        "Prepare pictures",
        "as the release does: softened and compressed, which the motion comes from",
        "options",
    ),
)
TAKES = CLIP_TO_CLIP | {
    "negative_prompt",
    "loras",
    "image",
    "stg",
    "rescale",
    "upscale",
    "prepare",
}
WITH_TIMES = frozenset({"decode_timestep", "decode_noise"})
# What a model takes that is given pictures and clips at any frame.
CONDITIONED = frozenset(
    {
        "last_image",
        "keyframes",
        "keyframe_clips",
        "keyframe_strength",
        "extend",
        "join",
        "control",
        "image_noise",
    }
)
