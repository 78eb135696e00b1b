"""What Open-Sora 1.2 makes when it is not told otherwise, what clips it can make, and where its
parts are.

Facts from hpcaitech/Open-Sora, tag v1.2.0: its configs and its table of what was seen in training.
"""

from __future__ import annotations

from mlxvid.model.geometry import Defaults

from .geometry import OpenSoraGeometry

GEOMETRY = OpenSoraGeometry(t_factor=4, s_factor=8, channels=4, patch=(1, 2, 2))

# 240p and wide, as the reference's; its 426 pixels come out as 424 in any case.
DEFAULTS = Defaults(width=424, height=240, frames=51, fps=24.0, steps=30, guidance=7.0)

CAPABILITIES = frozenset(
    {
        "image",
        "last-image",
        "keyframes",
        "extend",
        "join",
        "attention",
        "shift",
        "aesthetic",
        "motion-score",
        "camera-motion",
        "edit",
    }
)

# Components that stay in float32 where the rest is in bfloat16.
FLOAT32 = frozenset({"vae"})

# The release is in two repositories, and goes with the encoder of T5 v1.1 XXL. Its own choice of
# that, DeepFloyd/t5-v1_1-xxl, has float32 weights in PyTorch's format; this one has the same in
# bfloat16, in half as many bytes, as safetensors. The newest revision of the transformer, 9a85839,
# differs from this one in two flags of the reference's own CUDA kernels.
REPOSITORY, REVISION = "hpcai-tech/OpenSora-STDiT-v3", "dccc046bf978d03e783508ed15bcea04c6f5b34c"
PARTS = {
    "vae": ("hpcai-tech/OpenSora-VAE-v1.2", "33d153e9b5a9f771a8a84f98bd3f46458a8ed0bf"),
    "text_encoder": ("city96/t5-v1_1-xxl-encoder-bf16", "1b9c856aadb864af93c1dcdc226c2774fa67bc86"),
}
