"""HunYuan and dots.llm1."""

from __future__ import annotations

from typing import Any

from .convert import renamed, stacked
from .record import Family, Gguf, Tensors, rope


def dots(tensors: Tensors, config: Any) -> Tensors:
    return renamed(stacked(tensors, config), ("e_score_correction_bias", "e_score_correction.bias"))


def stretched(config: Any) -> dict[str, Any]:
    """The converter stretches the base of rotations, and says no more of it."""
    settings, d_head = config.rope_parameters, config.head_dim
    alpha = settings.get("alpha", 1.0)
    return {"rope.freq_base": settings["rope_theta"] * alpha ** (d_head / (d_head - 2))}


def hunyuan_keys(config: Any) -> dict[str, Any]:
    return stretched(config) | {
        "expert_count": config.num_experts,
        "expert_used_count": config.moe_topk,
        "expert_feed_forward_length": config.intermediate_size,
        "expert_shared_feed_forward_length": config.intermediate_size,
    }


def dots_keys(config: Any) -> dict[str, Any]:
    return {
        "leading_dense_block_count": config.first_k_dense_replace,
        "expert_count": config.n_routed_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_count": config.n_shared_experts,
        "expert_weights_scale": config.routed_scaling_factor,
        "expert_weights_norm": config.norm_topk_prob,
        "expert_gating_func": 2,
    }


ALPHA = rope("dynamic", alpha=50.0, factor=1.0)
SPARSE = {"num_experts": 6, "moe_topk": 3}
DOTS = {"moe_intermediate_size": 40, "n_routed_experts": 8, "num_experts_per_tok": 3,
        "n_shared_experts": 2, "first_k_dense_replace": 1, "head_dim": 12}  # fmt: skip
FAMILIES = {
    "hunyuan": Family(
        "HunYuanDenseV1Config",
        gguf=Gguf("hunyuan-dense", keys=stretched, sizes=ALPHA),
        variants={
            "alpha": {"head_dim": 20, **ALPHA},
            "plain": {"head_dim": 12, "tie_word_embeddings": True},
            "biases": {"head_dim": 12, "attention_bias": True, **rope("linear", factor=2.0)},
        },
    ),
    "hunyuan-moe": Family(
        "HunYuanMoEV1Config",
        gguf=Gguf("hunyuan-moe", convert=stacked, keys=hunyuan_keys, sizes=SPARSE | ALPHA),
        variants={
            "alpha": {"head_dim": 20, **SPARSE, **ALPHA},
            "one-expert": {"head_dim": 12, "num_experts": 4, "moe_topk": 1},
            "biases": {"head_dim": 12, **SPARSE, "attention_bias": True},
        },
    ),
    "dots1": Family(
        "Dots1Config",
        gguf=Gguf(
            "dots1", convert=dots, keys=dots_keys,
            sizes={**DOTS, "head_dim": 32, "num_key_value_heads": 8, "moe_intermediate_size": 256,
                   "norm_topk_prob": True,
                   "routed_scaling_factor": 2.5, "n_routed_experts": 6},
        ),
        variants={
            "shared": {**DOTS, "norm_topk_prob": True, "routed_scaling_factor": 2.5},
            "groups": {**DOTS, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 0},
            "window": {**DOTS, "sliding_window": 7, "max_window_layers": 1, "attention_bias": True},
        },
    ),
}  # fmt: skip
