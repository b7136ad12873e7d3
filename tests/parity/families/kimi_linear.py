"""Kimi Linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from .deepseek import keys as latent_keys
from .deepseek import split
from .record import SHARED, Family, Gguf, Tensors

LAYERS = ["linear_attention", "full_attention", "linear_attention"]
SIZES = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 20,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "moe_intermediate_size": 40,
    "num_local_experts": 8,
    "num_experts_per_tok": 3,
    "linear_head_dim": 12,
    "linear_num_heads": 4,
    "layer_types": LAYERS,
}
FILE = {
    "num_key_value_heads": 8,
    "kv_lora_rank": 256,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 32,
    "v_head_dim": 32,
    "moe_intermediate_size": 256,
    "num_local_experts": 8,
    "num_experts_per_tok": 3,
    "linear_head_dim": 256,
    "linear_num_heads": 8,
    "layer_types": LAYERS[:2],
}
PARTS = {"w1": "gate", "w2": "down", "w3": "up"}


def converted(tensors: Tensors, config: Any) -> Tensors:
    """Convolutions in four dimensions, rates as they are used, experts by GGUF's names."""
    out = {}
    for name, data in split(tensors, config).items():
        layer = name.replace("model.layers", "blk").partition(".block_sparse_moe")[0]
        if name.endswith("_conv1d.weight"):
            data = data.reshape(1, data.shape[0], 1, data.shape[-1])
        elif name.endswith(".A_log"):
            data = -np.exp(data)
        elif name.endswith(".dt_bias"):
            name = name.replace("dt_bias", "dt_proj.bias")
        elif ".experts." in name:
            name = f"{layer}.ffn_{PARTS[name.split('.')[-2]]}_exps.weight"
        elif name.split(".")[-2] in ("gate_proj", "up_proj", "down_proj"):
            # transformers saves the dense half under this name too; the makers do not
            name = name.replace("block_sparse_moe.", "mlp.")
        out[name] = data
    return out


def keys(config: Any) -> dict[str, Any]:
    config.n_routed_experts = config.num_local_experts
    config.first_k_dense_replace = config.mlp_layer_types.count("dense")
    return {
        **latent_keys(config, 2),
        "attention.head_count_kv": [int(kind == "full_attention") for kind in config.layer_types],
        "ssm.conv_kernel": config.linear_conv_kernel_dim,
        "kda.head_dim": config.linear_head_dim,
        "expert_weights_norm": None,
        "expert_group_count": None,
        "expert_group_used_count": None,
    }


FAMILIES = {
    "kimi-linear": Family(
        "KimiLinearConfig",
        gguf=Gguf(
            "kimi-linear",
            convert=converted,
            keys=keys,
            plain=("conv1d", "kv_b_proj", "A_log"),
            sizes=FILE,
        ),
        shared=SHARED | SIZES,
        variants={
            "mixed": {},
            "groups": {
                "n_group": 4,
                "topk_group": 2,
                "q_lora_rank": 28,
                "attention_bias": True,
                "linear_conv_kernel_dim": 3,
                "n_shared_experts": 2,
            },
            "dense": {
                "mlp_layer_types": ["sparse", "dense", "dense"],
                "linear_head_dim": 20,
                "linear_num_heads": 3,
                "norm_topk_prob": False,
                "layer_types": [*LAYERS[:2], "full_attention"],
            },
        },
    ),
}
