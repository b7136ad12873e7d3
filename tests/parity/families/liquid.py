"""LFM2, dense and with experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import stacked
from .record import SHARED, Family, Gguf, Tensors

LAYERS = ["conv", "full_attention", "conv"]
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
PARTS = {"w1": "gate", "w2": "down", "w3": "up"}
SIZES = {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3}


def converted(tensors: Tensors, config: Any) -> Tensors:
    """Convolutions in two dimensions, the balance of experts as a bias."""
    out = {}
    for name, data in stacked(tensors, config).items():
        if "conv.conv.weight" in name:
            data = np.ascontiguousarray(data[:, 0])
        if "expert_bias" in name:
            layer = name.replace("model.layers", "blk").split(".feed_forward")[0]
            name = f"{layer}.exp_probs_b.bias"
        if ".experts." in name:
            layer = name.replace("model.layers", "blk").split(".feed_forward")[0]
            name = f"{layer}.ffn_{PARTS[name.split('.')[-2]]}_exps.weight"
        out[name] = data
    return out


def keys(config: Any) -> dict[str, Any]:
    kv_heads = config.num_key_value_heads
    return {
        "attention.head_count_kv": [
            0 if kind == "conv" else kv_heads for kind in config.layer_types
        ],
        "shortconv.l_cache": config.conv_L_cache,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
    }


FAMILIES = {
    "lfm2": Family(
        "Lfm2Config",
        gguf=Gguf(
            "lfm2",
            convert=converted,
            keys=keys,
            plain=("conv.conv",),
            sizes={**SIZES, "block_auto_adjust_ff_dim": False},
        ),
        shared=SHARED | {"norm_eps": 1e-5},
        variants={
            "listed": {"layer_types": LAYERS, "block_multiple_of": 16},
            "indices": {"full_attn_idxs": [0, 2], "conv_L_cache": 4, "conv_bias": True},
            "as-told": {
                "layer_types": LAYERS,
                "block_auto_adjust_ff_dim": False,
                "tie_word_embeddings": False,
            },
        },
    ),
    "lfm2-moe": Family(
        "Lfm2MoeConfig",
        gguf=Gguf(
            "lfm2moe",
            convert=converted,
            keys=lambda config: {
                **keys(config),
                "expert_count": config.num_experts,
                "expert_used_count": config.num_experts_per_tok,
                "expert_feed_forward_length": config.moe_intermediate_size,
                "leading_dense_block_count": config.num_dense_layers,
                "expert_gating_func": 2,
            },
            plain=("conv.conv",),
            sizes={**SIZES, **EXPERTS, "moe_intermediate_size": 256, "num_dense_layers": 1},
        ),
        shared=SHARED | EXPERTS | {"layer_types": LAYERS, "num_dense_layers": 1},
        variants={
            "experts": {},
            "no-dense": {"num_dense_layers": 0, "norm_topk_prob": False},
            "scaled": {"routed_scaling_factor": 1.7, "num_experts_per_tok": 4, "conv_bias": True},
        },
    ),
}
