"""mlx-lm's Llama block, without the rest of mlx-lm.

`import mlx_lm` imports transformers, and with it PyTorch where that is installed: seconds and
hundreds of megabytes for what is not used here. Its modules of networks need nothing but MLX.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from .llama_config import LlamaConfig

PACKAGE = "mlx_lm"


def _mlx_lm_llama() -> ModuleType:
    """The module mlx_lm.models.llama; `mlx_lm` itself stays unimported unless it was before."""
    if PACKAGE in sys.modules:
        return importlib.import_module("mlx_lm.models.llama")
    spec = find_spec(PACKAGE)
    if spec is None:
        raise ImportError("mlx-lm is not installed; install mlxvid again.")
    # A package that is known by its place alone: its submodules are found, its code isn't run.
    sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        return importlib.import_module("mlx_lm.models.llama")
    finally:
        # Whoever imports mlx_lm later gets the whole.
        for name in list(sys.modules):
            if name == PACKAGE or name.startswith(f"{PACKAGE}."):
                del sys.modules[name]


llama = _mlx_lm_llama()
TransformerBlock = llama.TransformerBlock
"""TransformerBlock(args)(x [B, L, D], mask) -> [B, L, D]: attention, then feed-forward."""


def block_args(config: LlamaConfig):
    """The sizes of a block, as mlx-lm has them."""
    return llama.ModelArgs(
        model_type="llama",
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        intermediate_size=config.intermediate_size,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        rms_norm_eps=config.rms_norm_eps,
        vocab_size=config.vocab_size,
        rope_theta=config.rope_base,
        attention_bias=config.attention_bias,
        mlp_bias=config.mlp_bias,
    )
