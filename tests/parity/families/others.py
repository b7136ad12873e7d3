"""StarCoder2, GLM-4, SmolLM3 and Granite."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import interleaved, renamed, stacked
from .record import ROPES, Family, Gguf, Tensors, rope

GLM_MOE = {
    "head_dim": 16,
    "n_routed_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 40,
}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.7,
    "logits_scaling": 2.0,
}


GRANITE_4 = {
    "layer_types": ["full_attention"] * 3,
    "position_embedding_type": "rope",
    "shared_intermediate_size": 56,
    "mamba_n_heads": 4,
}


MAMBA = {
    "layer_types": ["mamba", "attention", "mamba"],
    "mamba_n_heads": 6,
    "mamba_d_head": 16,
    "mamba_d_state": 10,
    "mamba_chunk_size": 16,
}


def granite_keys(config: Any) -> dict[str, Any]:
    return {
        "embedding_scale": config.embedding_multiplier,
        "attention.scale": config.attention_multiplier,
        "residual_scale": config.residual_multiplier,
        "logit_scale": config.logits_scaling,
    }


def granite_moe(tensors: Tensors, config: Any) -> Tensors:
    out = {}
    for name, data in interleaved(tensors, config).items():
        if "input_linear" in name:
            layer = name.split(".block_sparse_moe")[0]
            for part, rows in zip(("gate", "up"), np.split(data, 2, 1), strict=True):
                out[f"{layer}.mlp.experts.{part}_proj.weight"] = np.ascontiguousarray(rows)
        else:
            out[name] = data
    return out


def granite_shared(tensors: Tensors, config: Any) -> Tensors:
    shared, others = {}, {}
    for name, data in tensors.items():
        layer, found, part = name.partition(".shared_mlp.")
        if not found:
            others[name] = data
        elif part == "output_linear.weight":
            shared[f"{layer}.mlp.shared_expert.down_proj.weight"] = data
        else:
            for half, rows in zip(("gate", "up"), np.split(data, 2), strict=True):
                kept = np.ascontiguousarray(rows)
                shared[f"{layer}.mlp.shared_expert.{half}_proj.weight"] = kept
    return granite_moe(others, config) | shared


def granite_4_keys(config: Any) -> dict[str, Any]:
    return {
        **granite_keys(config),
        "attention.head_count_kv": [0, config.num_key_value_heads],
        "rope.scaling.finetuned": config.position_embedding_type == "rope",
        "expert_shared_feed_forward_length": config.shared_intermediate_size,
        "ssm.conv_kernel": config.mamba_d_conv,
        "ssm.state_size": config.mamba_d_state,
        "ssm.group_count": config.mamba_n_groups,
        "ssm.inner_size": config.mamba_expand * config.hidden_size,
        "ssm.time_step_rank": config.mamba_n_heads,
    }


def granite_4(tensors: Tensors, config: Any) -> Tensors:
    """A itself, vectors with a dimension more, norms by group, the shared half's names."""
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
        elif "shared_mlp.output_linear" in name:
            out[name.replace("shared_mlp.output_linear", "mlp.down_proj")] = data
        elif "shared_mlp.input_linear" in name:
            for part, rows in zip(("gate", "up"), np.split(data, 2), strict=True):
                to = name.replace("shared_mlp.input_linear", f"mlp.{part}_proj")
                out[to] = np.ascontiguousarray(rows)
        else:
            out[name] = data
    return out


def glm_moe(tensors: Tensors, config: Any) -> Tensors:
    return renamed(stacked(tensors, config), ("e_score_correction_bias", "e_score_correction.bias"))


def half_rotated(config: Any) -> dict[str, Any]:
    part: float = config.rope_parameters["partial_rotary_factor"]
    return {"rope.dimension_count": int(config.head_dim * part)}


FAMILIES = {
    "starcoder2": Family(
        "Starcoder2Config",
        gguf=Gguf(
            "starcoder2",
            keys=lambda config: {"attention.layer_norm_epsilon": config.norm_epsilon},
        ),
        variants={
            "grouped": {},
            "window": {"sliding_window": 7, "tie_word_embeddings": False},
            "no-bias": {"use_bias": False, "num_key_value_heads": 4},
        },
    ),
    "glm4": Family(
        "Glm4Config",
        gguf=Gguf("glm4", keys=half_rotated),
        variants={
            "grouped": {"head_dim": 16},
            "no-bias": {"head_dim": 20, "attention_bias": False, "num_key_value_heads": 4},
            "all-rotated": {
                "head_dim": 12,
                "tie_word_embeddings": True,
                **rope("default", partial_rotary_factor=1.0),
            },
        },
    ),
    "glm4-moe": Family(
        "Glm4MoeConfig",
        gguf=Gguf(
            "glm4moe",
            convert=glm_moe,
            keys=lambda config: {
                **half_rotated(config),
                "expert_count": config.n_routed_experts,
                "expert_used_count": config.num_experts_per_tok,
                "expert_feed_forward_length": config.moe_intermediate_size,
                "expert_shared_count": config.n_shared_experts,
                "expert_weights_scale": config.routed_scaling_factor,
                "expert_weights_norm": config.norm_topk_prob,
                "leading_dense_block_count": config.first_k_dense_replace,
                "expert_gating_func": 2,
            },
            sizes={**GLM_MOE, "moe_intermediate_size": 256, "head_dim": 32},
        ),
        variants={
            "shared": GLM_MOE,
            "normed-heads": {**GLM_MOE, "use_qk_norm": True, "attention_bias": True},
            "groups": {
                **GLM_MOE,
                "n_routed_experts": 8,
                "n_group": 4,
                "topk_group": 2,
                "routed_scaling_factor": 1.7,
                "first_k_dense_replace": 2,
                "n_shared_experts": 2,
            },
        },
    ),
    "smollm3": Family(
        "SmolLM3Config",
        gguf=Gguf("smollm3", convert=interleaved, sizes={"num_hidden_layers": 4}),
        variants={
            "every-fourth": {"num_hidden_layers": 4},
            "listed": {"no_rope_layers": [1, 0, 1], "attention_bias": True},
            "window": {
                "no_rope_layer_interval": 2,
                "use_sliding_window": True,
                "sliding_window": 7,
                "mlp_bias": True,
            },
            "yarn": ROPES["yarn"],
        },
    ),
    "granite": Family(
        "GraniteConfig",
        gguf=Gguf("granite", convert=interleaved, keys=granite_keys, sizes=MULTIPLIERS),
        variants={
            "plain": {},
            "multipliers": MULTIPLIERS,
            "biases": {**MULTIPLIERS, "attention_bias": True, "mlp_bias": True},
            "tied": {"tie_word_embeddings": True, "logits_scaling": 8.0},
        },
    ),
    "granite-moe": Family(
        "GraniteMoeConfig",
        gguf=Gguf(
            "granitemoe",
            convert=granite_moe,
            keys=lambda config: {
                **granite_keys(config),
                "expert_count": config.num_local_experts,
                "expert_used_count": config.num_experts_per_tok,
            },
            sizes={**MULTIPLIERS, "num_local_experts": 4},
        ),
        variants={
            "plain": {"num_local_experts": 4},
            "multipliers": {**MULTIPLIERS, "num_local_experts": 6, "num_experts_per_tok": 3},
            "tied": {"num_local_experts": 8, "tie_word_embeddings": True, "attention_bias": True},
        },
    ),
    "granite-shared": Family(
        "GraniteMoeSharedConfig",
        gguf=Gguf(
            "granitemoe",
            convert=granite_shared,
            keys=lambda config: {
                **granite_keys(config),
                "expert_count": config.num_local_experts,
                "expert_used_count": config.num_experts_per_tok,
                "expert_shared_feed_forward_length": config.shared_intermediate_size,
            },
            sizes={**MULTIPLIERS, "num_local_experts": 4, "shared_intermediate_size": 256},
        ),
        variants={
            "plain": {"num_local_experts": 4, "shared_intermediate_size": 40},
            "multipliers": {
                **MULTIPLIERS,
                "num_local_experts": 6,
                "num_experts_per_tok": 3,
                "shared_intermediate_size": 24,
            },
            "alone": {"num_local_experts": 3, "shared_intermediate_size": 0},
        },
    ),
    "granite-4": Family(
        "GraniteMoeHybridConfig",
        gguf=Gguf(
            "granitehybrid",
            keys=granite_4_keys,
            convert=granite_4,
            plain=("conv1d",),
            sizes={
                **MULTIPLIERS,
                "layer_types": ["mamba", "attention"],
                "mamba_n_heads": 8,
                "mamba_d_head": 64,
                "mamba_d_state": 24,
                "mamba_n_groups": 2,
                "num_local_experts": 0,
                "shared_intermediate_size": 256,
            },
        ),
        variants={
            "dense": {**GRANITE_4, **MULTIPLIERS, "num_local_experts": 0},
            "experts": {**GRANITE_4, "num_local_experts": 4},
            "no-positions": {
                **GRANITE_4,
                **MULTIPLIERS,
                "num_local_experts": 0,
                "position_embedding_type": None,
            },
            "hybrid": {**GRANITE_4, **MAMBA, **MULTIPLIERS, "num_local_experts": 0},
            "hybrid-experts": {
                **GRANITE_4,
                **MAMBA,
                "mamba_n_groups": 2,
                "mamba_d_conv": 3,
                "mamba_conv_bias": False,
                "mamba_proj_bias": True,
                "num_local_experts": 4,
            },
            "hybrid-limits": {
                **GRANITE_4,
                **MAMBA,
                "layer_types": ["attention", "mamba", "mamba"],
                "position_embedding_type": None,
                "num_local_experts": 0,
            },
        },
    ),
}
