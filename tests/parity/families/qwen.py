"""Qwen2 and Qwen3, dense and with experts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import stacked
from .record import ROPES, SHARED, Family, Gguf, Tensors

HYBRID = {
    "head_dim": 24,
    "linear_key_head_dim": 10,
    "linear_value_head_dim": 14,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 6,
    "num_experts": 6,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 40,
}
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40}


def squeezed(tensors: Tensors, config: Any) -> Tensors:
    """A matrix of one row as a vector."""
    return {
        name: data.reshape(-1) if "shared_expert_gate" in name else data
        for name, data in stacked(tensors, config).items()
    }


def expert_keys(config: Any) -> dict[str, Any]:
    return {
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
    }


SECTIONS = {"rope.dimension_sections": [2, 1, 1, 0]}
"""Which of a position's numbers rotate which pairs; of text they are one number."""
DELTA_SIZES = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 8,
}


def delta_keys(config: Any) -> dict[str, Any]:
    return {
        "ssm.conv_kernel": config.linear_conv_kernel_dim,
        "ssm.state_size": config.linear_key_head_dim,
        "ssm.group_count": config.linear_num_key_heads,
        "ssm.time_step_rank": config.linear_num_value_heads,
        "ssm.inner_size": config.linear_num_value_heads * config.linear_value_head_dim,
        "full_attention_interval": 2,
        "rope.dimension_count": config.head_dim // 4,
    }


def tiled_delta_net(tensors: Tensors, config: Any) -> Tensors:
    """The same of Qwen3.5: value heads lie one of each key head after the other, out_proj's columns
    too, which cannot be moved within packed blocks."""
    heads, all_heads = config.linear_num_key_heads, config.linear_num_value_heads
    width = config.linear_value_head_dim
    keys = 2 * heads * config.linear_key_head_dim
    order = np.arange(all_heads).reshape(heads, -1).T.flatten()
    rows = (order[:, None] * width + np.arange(width)).flatten()
    out = {}
    for name, data in delta_net(tensors, config).items():
        if "in_proj_qkv" in name or "conv1d" in name:
            data = np.concatenate((data[:keys], data[keys:][rows]))
        elif "in_proj_z" in name:
            data = data[rows]
        elif any(part in name for part in ("in_proj_a.", "in_proj_b.", "ssm_a", "dt_proj")):
            data = data[order]
        elif "linear_attn.out_proj" in name:
            packed = data.reshape(len(data), all_heads, -1)
            data = packed[:, order].reshape(data.shape)
        out[name] = np.ascontiguousarray(data)
    return out


def delta_net(tensors: Tensors, config: Any) -> Tensors:
    """Norms plus one, A itself, and what in_proj_qkvz has for each key head put together."""
    out = {}
    for name, data in squeezed(tensors, config).items():
        if name.endswith("norm.weight") and "linear_attn" not in name:
            data = data + np.float32(1)
        if name.endswith(".A_log"):
            name, data = name.replace("model.layers", "blk"), -np.exp(data)
            name = name.replace("linear_attn.A_log", "ssm_a")
        elif name.endswith(".dt_bias"):
            name = name.replace(".dt_bias", ".dt_proj.bias")
        elif "conv1d" in name:
            data = data[:, 0]
        if "in_proj_qkvz" in name:
            layer = name.replace("model.layers", "blk").split(".linear_attn")[0]
            heads, each = config.linear_num_key_heads, config.linear_num_value_heads
            key, value = config.linear_key_head_dim, config.linear_value_head_dim * each // heads
            rows = data.reshape(heads, -1, data.shape[1])
            parts = np.split(rows, np.cumsum([key, key, value]), 1)
            q, k, v, z = (part.reshape(-1, data.shape[1]) for part in parts)
            out[f"{layer}.attn_qkv.weight"] = np.concatenate((q, k, v))
            out[f"{layer}.attn_gate.weight"] = z.copy()
        else:
            out[name] = np.ascontiguousarray(data)
    return out


FAMILIES = {
    "qwen2": Family(
        "Qwen2Config",
        gguf=Gguf("qwen2"),
        variants={
            "grouped": {},
            "tied": {"tie_word_embeddings": True},
            "window": {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
            "yarn": ROPES["yarn"],
            "full-heads": {"num_key_value_heads": 4},
        },
    ),
    "qwen3": Family(
        "Qwen3Config",
        gguf=Gguf("qwen3"),
        variants={
            "grouped": {"head_dim": 12},
            "head-dim": {"head_dim": 20},
            "tied": {"head_dim": 16, "tie_word_embeddings": True},
            "biases": {"head_dim": 12, "attention_bias": True},
            "window": {
                "head_dim": 12,
                "use_sliding_window": True,
                "sliding_window": 5,
                "max_window_layers": 2,
            },
            "dynamic": {"head_dim": 12, **ROPES["dynamic"]},
        },
    ),
    "qwen2-moe": Family(
        "Qwen2MoeConfig",
        gguf=Gguf(
            "qwen2moe",
            convert=squeezed,
            keys=lambda config: {
                **expert_keys(config),
                "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
            },
            plain=("shared_expert_gate",),
            sizes={**EXPERTS, "moe_intermediate_size": 256, "shared_expert_intermediate_size": 256},
        ),
        variants={
            "shared": {**EXPERTS, "shared_expert_intermediate_size": 56},
            "normalized": {
                **EXPERTS,
                "shared_expert_intermediate_size": 24,
                "norm_topk_prob": True,
                "num_experts_per_tok": 4,
            },
            "sparse-step": {
                **EXPERTS,
                "shared_expert_intermediate_size": 32,
                "decoder_sparse_step": 2,
            },
        },
    ),
    "qwen3-moe": Family(
        "Qwen3MoeConfig",
        gguf=Gguf(
            "qwen3moe",
            convert=stacked,
            keys=expert_keys,
            sizes={**EXPERTS, "moe_intermediate_size": 256, "norm_topk_prob": True},
        ),
        variants={
            "normalized": {**EXPERTS, "head_dim": 12, "norm_topk_prob": True},
            "unnormalized": {**EXPERTS, "head_dim": 20, "norm_topk_prob": False},
            "some-dense": {
                **EXPERTS,
                "head_dim": 12,
                "norm_topk_prob": True,
                "mlp_only_layers": [1],
                "attention_bias": True,
            },
            "many": {
                **EXPERTS,
                "head_dim": 16,
                "num_experts": 32,
                "num_experts_per_tok": 8,
                "norm_topk_prob": True,
                "tie_word_embeddings": True,
            },
        },
    ),
    "qwen3-next": Family(
        "Qwen3NextConfig",
        gguf=Gguf(
            "qwen3next",
            convert=delta_net,
            keys=lambda config: {
                **expert_keys(config),
                "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
                **delta_keys(config),
            },
            plain=("shared_expert_gate", "conv1d", "in_proj_ba"),
            sizes={
                **EXPERTS,
                "moe_intermediate_size": 256,
                "shared_expert_intermediate_size": 256,
                **DELTA_SIZES,
            },
        ),
        shared=SHARED | HYBRID | {"num_hidden_layers": 4, "shared_expert_intermediate_size": 44},
        variants={
            "experts": {},
            "some-dense": {"mlp_only_layers": [1], "linear_num_value_heads": 4},
            "listed": {
                "layer_types": ["full_attention", *["linear_attention"] * 3],
                "linear_conv_kernel_dim": 3,
                "attention_bias": True,
            },
            "one-head-each": {"linear_num_value_heads": 2, "norm_topk_prob": False},
        },
    ),
    "qwen3.5": Family(
        "Qwen3_5TextConfig",
        shared=SHARED | HYBRID | {"num_hidden_layers": 4},
        gguf=Gguf(
            "qwen35",
            convert=tiled_delta_net,
            keys=lambda config: {**delta_keys(config), **SECTIONS},
            plain=("conv1d", "in_proj_a", "in_proj_b", "linear_attn.out_proj"),
            sizes=DELTA_SIZES,
        ),
        variants={
            "grouped": {},
            "tied": {"tie_word_embeddings": True, "linear_conv_kernel_dim": 2},
            "listed": {"layer_types": [*["linear_attention"] * 3, "full_attention"]},
        },
    ),
    "qwen3.5-moe": Family(
        "Qwen3_5MoeTextConfig",
        shared=SHARED | HYBRID | {"num_hidden_layers": 4, "shared_expert_intermediate_size": 44},
        gguf=Gguf(
            "qwen35moe",
            convert=tiled_delta_net,
            keys=lambda config: {
                **expert_keys(config),
                **delta_keys(config),
                **SECTIONS,
                "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
            },
            plain=(
                "shared_expert_gate",
                "conv1d",
                "in_proj_a",
                "in_proj_b",
                "linear_attn.out_proj",
            ),
            sizes={
                **EXPERTS,
                **DELTA_SIZES,
                "moe_intermediate_size": 256,
                "shared_expert_intermediate_size": 256,
            },
        ),
        variants={
            "experts": {},
            "interval": {"full_attention_interval": 2, "linear_num_value_heads": 4},
            "one-head-each": {"linear_num_value_heads": 2},
        },
    ),
}
