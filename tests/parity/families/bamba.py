"""Bamba: Mamba-2, and a few layers of attention that rotates half of each head."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import interleaved, renamed
from .record import SHARED, Family, Gguf, Tensors, rope

LAYERS: dict[str, Any] = {
    "attn_layer_indices": [1],
    "mamba_n_heads": 6,
    "mamba_d_head": 16,
    "mamba_d_state": 10,
    "mamba_chunk_size": 16,
}


def converted(tensors: Tensors, config: Any) -> Tensors:
    """A itself, vectors with a dimension more, norms by group; heads are turned as a whole, though
    half of each rotates."""
    out = {}
    for name, data in interleaved(tensors, config).items():
        layer = name.replace("model.layers", "blk").split(".mamba")[0]
        if name.endswith(".A_log"):
            out[f"{layer}.ssm_a"] = -np.exp(data)[:, None]
        elif name.endswith("mamba.D"):
            out[f"{layer}.ssm_d"] = data[:, None]
        elif name.endswith("mamba.norm.weight"):
            out[name] = data.reshape(config.mamba_n_groups, -1)
        elif name.endswith(".dt_bias"):
            out[f"{layer}.ssm_dt.bias"] = data
        elif "conv1d.weight" in name:
            out[name] = np.ascontiguousarray(data[:, 0])
        else:
            out[name] = data
    return renamed(out, (".feed_forward.", ".mlp."))


def keys(config: Any) -> dict[str, Any]:
    heads, part = config.num_attention_heads, config.rope_parameters["partial_rotary_factor"]
    kinds = config.layers_block_type
    kv_heads = config.num_key_value_heads
    return {
        "attention.head_count_kv": [kv_heads * (kind == "full_attention") for kind in kinds],
        "rope.dimension_count": int(config.hidden_size // heads * part),
        "rope.scaling.finetuned": True,
        "ssm.conv_kernel": config.mamba_d_conv,
        "ssm.state_size": config.mamba_d_state,
        "ssm.group_count": config.mamba_n_groups,
        "ssm.inner_size": config.mamba_expand * config.hidden_size,
        "ssm.time_step_rank": config.mamba_n_heads,
    }


FAMILIES = {
    "bamba": Family(
        "BambaConfig",
        gguf=Gguf(
            "granitehybrid",
            convert=converted,
            keys=keys,
            plain=("conv1d",),
            sizes={
                "attn_layer_indices": [1],
                "mamba_n_heads": 8,
                "mamba_d_head": 64,
                "mamba_d_state": 24,
                "mamba_n_groups": 2,
            },
        ),
        shared=SHARED | LAYERS,
        variants={
            "half": {},
            "biases": {
                "attn_layer_indices": [0, 2],
                "attention_bias": True,
                "mlp_bias": True,
                "mamba_proj_bias": True,
                "mamba_conv_bias": False,
                "mamba_d_conv": 3,
                "mamba_n_groups": 3,
                "tie_word_embeddings": True,
            },
            "quarter": {
                "attn_layer_indices": [2],
                "num_attention_heads": 3,
                "num_key_value_heads": 1,
                "mamba_expand": 3,
                "mamba_n_heads": 9,
                **rope("default", partial_rotary_factor=0.25),
            },
        },
    ),
}
