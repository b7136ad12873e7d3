"""DeepSeek V2 and V3."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import renamed, stacked
from .record import Family, Gguf, Tensors, rope

LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 20,
    "q_lora_rank": 28,
    "qk_nope_head_dim": 12,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "moe_intermediate_size": 40,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "first_k_dense_replace": 1,
    "n_group": 4,
    "topk_group": 2,
}
LARGE = {
    **LATENT,
    "num_key_value_heads": 8,
    "kv_lora_rank": 256,
    "q_lora_rank": 256,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
    "moe_intermediate_size": 256,
    "head_dim": 16,
}
INDEX = {"max_position_embeddings": 128, "index_topk": 96, "index_head_dim": 16, "index_n_heads": 3}
YARN = {
    "factor": 8.0,
    "original_max_position_embeddings": 16,
    "mscale": 0.7,
    "mscale_all_dim": 0.7,
}


def split(tensors: Tensors, config: Any) -> Tensors:
    out = {}
    merged = renamed(
        stacked(tensors, config), ("e_score_correction_bias", "e_score_correction.bias")
    )
    for name, data in merged.items():
        if "kv_b_proj" not in name:
            out[name] = data
            continue
        nope, rank = config.qk_nope_head_dim, config.kv_lora_rank
        rows = data.reshape(config.num_attention_heads, -1, rank)
        keys = rows[:, :nope].swapaxes(1, 2)
        out[name.replace("kv_b", "k_b")] = np.ascontiguousarray(keys)
        out[name.replace("kv_b", "v_b")] = np.ascontiguousarray(rows[:, nope:])
    return out


def keys(config: Any, gating: int) -> dict[str, Any]:
    turned = config.qk_rope_head_dim
    return {
        "attention.head_count_kv": 1,
        "attention.q_lora_rank": config.q_lora_rank,
        "attention.kv_lora_rank": config.kv_lora_rank,
        "attention.key_length": config.kv_lora_rank + turned,
        "attention.value_length": config.kv_lora_rank,
        "attention.key_length_mla": config.qk_nope_head_dim + turned,
        "attention.value_length_mla": config.v_head_dim,
        "rope.dimension_count": turned,
        "leading_dense_block_count": getattr(config, "first_k_dense_replace", None),
        "expert_count": config.n_routed_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_count": config.n_shared_experts,
        "expert_weights_scale": config.routed_scaling_factor,
        "expert_weights_norm": config.norm_topk_prob,
        "expert_group_count": config.n_group,
        "expert_group_used_count": config.topk_group,
        "expert_gating_func": gating,
    }


V2 = {**LATENT, "topk_method": "group_limited_greedy", "n_shared_experts": 2}
FAMILIES = {
    "deepseek-v2": Family(
        "DeepseekV2Config",
        gguf=Gguf(
            "deepseek2",
            convert=split,
            keys=lambda config: keys(config, 1),
            plain=("kv_b_proj",),
            sizes={**LARGE, "topk_method": "group_limited_greedy"},
        ),
        variants={
            "grouped": V2,
            "greedy": {**V2, "q_lora_rank": None, "topk_method": "greedy", "n_group": None},
            "scaled": {**V2, "routed_scaling_factor": 3.0, "first_k_dense_replace": 0},
            "yarn": {**V2, **rope("yarn", **YARN)},
        },
    ),
    "deepseek-v3": Family(
        "DeepseekV3Config",
        gguf=Gguf(
            "deepseek2",
            convert=split,
            keys=lambda config: keys(config, 2),
            plain=("kv_b_proj",),
            sizes=LARGE,
        ),
        variants={
            "groups": LATENT,
            "no-query-rank": {**LATENT, "q_lora_rank": None, "attention_bias": True},
            "halves": {**LATENT, "rope_interleave": False, "norm_topk_prob": False},
            "yarn": {**LATENT, **rope("yarn", **YARN)},
        },
    ),
    # its GGUF files are DeepSeek's
    "glm4-moe-lite": Family(
        "Glm4MoeLiteConfig",
        gguf=Gguf(
            "deepseek2",
            convert=split,
            keys=lambda config: {**keys(config, 2), "leading_dense_block_count": 1},
            plain=("kv_b_proj",),
            sizes={**LARGE, "n_group": 1, "topk_group": 1},
        ),
        variants={
            "flash": {**LATENT, "n_group": 1, "topk_group": 1},
            "groups": {
                **LATENT,
                "q_lora_rank": None,
                "norm_topk_prob": False,
                "mlp_layer_types": ["sparse", "dense", "sparse"],
            },
            "biases": {**LATENT, "attention_bias": True, "rope_interleave": False},
            "yarn": {**LATENT, **rope("yarn", **YARN)},
        },
    ),
    # both without an indexer: within index_topk tokens it chooses all of them
    "deepseek-v3.2": Family(
        "DeepseekV32Config",
        variants={
            "groups": {**LATENT, **INDEX},
            "listed": {**LATENT, **INDEX, "mlp_layer_types": ["sparse", "dense", "sparse"],
                       "attention_bias": True, "norm_topk_prob": False},
            "yarn": {**LATENT, **INDEX, **rope("yarn", **YARN)},
        },
    ),
    "glm-dsa": Family(
        "GlmMoeDsaConfig",
        gguf=Gguf(
            "glm-dsa",
            convert=split,
            keys=lambda config: keys(config, 2) | {
                "attention.indexer.head_count": config.index_n_heads,
                "attention.indexer.key_length": config.index_head_dim,
                "attention.indexer.top_k": config.index_topk,
            },
            plain=("kv_b_proj", "indexer"),
            sizes={**LARGE, **INDEX, "n_group": 1, "topk_group": 1},
        ),
        variants={
            "shared-choice": {**LATENT, **INDEX, "n_group": 1, "topk_group": 1,
                              "indexer_types": ["full", "shared", "full"]},
            "groups": {**LATENT, **INDEX, "mlp_layer_types": ["sparse", "dense", "sparse"]},
            "biases": {**LATENT, **INDEX, "attention_bias": True, "norm_topk_prob": False},
        },
    ),
}  # fmt: skip
