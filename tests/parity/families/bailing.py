"""Ling and Ring (BailingMoE)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import interleaved, renamed, stacked
from .record import ROPES, Family, Gguf, Remote, Tensors
from .remote import joined
from .small import MULTIPLIERS, single_experts


def as_shared_granite(settings: dict[str, Any]) -> dict[str, Any]:
    """Ling's first in the words of Granite with experts, which scales nothing here."""
    hidden, heads = settings["hidden_size"], settings["num_attention_heads"]
    d_head = settings.get("head_dim") or hidden // heads
    wide = settings["moe_intermediate_size"]
    return settings | {
        "intermediate_size": wide,
        "num_local_experts": settings["num_experts"],
        "shared_intermediate_size": wide * settings["num_shared_experts"],
        "attention_multiplier": d_head**-0.5,
        "attention_bias": False,
        "ling_wide": settings["intermediate_size"],
    }


def as_ling(told: dict[str, Any]) -> dict[str, Any]:
    words = (*MULTIPLIERS, "num_local_experts", "shared_intermediate_size", "attention_bias")
    out = {key: value for key, value in told.items() if key not in words}
    return out | {"intermediate_size": out.pop("ling_wide"), "norm_topk_prob": True}


LING = {"self_attn.o_proj": "attention.dense", "self_attn.": "attention.",
        "model.embed_tokens": "model.word_embeddings"}  # fmt: skip


def ling(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    out = joined(tensors, ("q_proj", "k_proj", "v_proj"), "query_key_value")
    out = single_experts(renamed(out, *LING.items()), told)
    halves = ("gate_proj", "up_proj")
    for name in [name for name in out if ".shared_mlp.input_linear" in name]:
        for half, data in zip(halves, out.pop(name).chunk(2), strict=True):
            to = name.replace("shared_mlp.input_linear", f"mlp.shared_experts.{half}")
            out[to] = data.contiguous()
    return renamed(
        out, (".w1.", ".gate_proj."), (".w2.", ".down_proj."), (".w3.", ".up_proj."),
        ("shared_mlp.output_linear", "mlp.shared_experts.down_proj"),
    )  # fmt: skip


def ling_keys(config: Any) -> dict[str, Any]:
    return {
        "feed_forward_length": config.ling_wide,
        "rope.dimension_count": config.hidden_size // config.num_attention_heads,
        "leading_dense_block_count": 0,
        "expert_count": config.num_local_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.intermediate_size,
        "expert_shared_count": config.num_shared_experts,
        "expert_weights_scale": 1.0,
        "expert_weights_norm": True,
    }


def stacked_ling(tensors: Tensors, config: Any) -> Tensors:
    """Names of what Granite's have fused, and rows of q and k by adjacent pairs."""
    out = {}
    for name, data in interleaved(tensors, config).items():
        index = name.removeprefix("model.layers.").split(".")[0]
        if name.endswith("block_sparse_moe.input_linear.weight"):
            gate, up = np.split(data, 2, 1)
            out[f"blk.{index}.ffn_gate_exps.weight"] = gate
            out[f"blk.{index}.ffn_up_exps.weight"] = up
        elif name.endswith("block_sparse_moe.output_linear.weight"):
            out[f"blk.{index}.ffn_down_exps.weight"] = data
        elif name.endswith("shared_mlp.input_linear.weight"):
            gate, up = np.split(data, 2)
            out[f"blk.{index}.ffn_gate_shexp.weight"] = gate
            out[f"blk.{index}.ffn_up_shexp.weight"] = up
        elif name.endswith("shared_mlp.output_linear.weight"):
            out[f"blk.{index}.ffn_down_shexp.weight"] = data
        else:
            out[name] = data
    return out


def as_glm(settings: dict[str, Any]) -> dict[str, Any]:
    """Ling 2.0 in GLM-4.5's words."""
    part, groups = settings["partial_rotary_factor"], settings["n_group"]
    theta = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": part}
    if settings["num_experts"] % groups:  # odd sizes
        settings = settings | {"num_experts": 3 * groups}
    return {
        "rope_parameters": theta,
        **settings,
        "n_routed_experts": settings["num_experts"],
        "n_shared_experts": settings["num_shared_experts"],
        "attention_bias": settings["use_qkv_bias"],
    }


def as_ling_2(told: dict[str, Any]) -> dict[str, Any]:
    words = ("n_routed_experts", "n_shared_experts", "attention_bias")
    out = {key: value for key, value in told.items() if key not in words}
    return out | {"score_function": "sigmoid", "moe_router_enable_expert_bias": True}


def ling_2(tensors: Tensors, told: dict[str, Any]) -> Tensors:
    words = {"q_norm": "query_layernorm", "k_norm": "key_layernorm",
             "e_score_correction_bias": "expert_bias"}  # fmt: skip
    out = joined(tensors, ("q_proj", "k_proj", "v_proj"), "query_key_value")
    return renamed(out, *LING.items(), *words.items())


def rotated(config: Any) -> int:
    part: float = config.rope_parameters["partial_rotary_factor"]
    return int(config.head_dim * part)


def ling_2_keys(config: Any) -> dict[str, Any]:
    return {
        "rope.dimension_count": rotated(config),
        "leading_dense_block_count": config.first_k_dense_replace,
        "expert_count": config.n_routed_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_feed_forward_length": config.moe_intermediate_size,
        "expert_shared_count": config.n_shared_experts,
        "expert_weights_scale": config.routed_scaling_factor,
        "expert_weights_norm": config.norm_topk_prob,
        "expert_group_count": config.n_group,
        "expert_group_used_count": config.topk_group,
        "expert_gating_func": 2,
    }


def stacked_ling_2(tensors: Tensors, config: Any) -> Tensors:
    out = joined(tensors, ("q_proj", "k_proj", "v_proj"), "qkv_proj")
    return renamed(stacked(out, config), ("e_score_correction_bias", "expert_bias.bias"))


EXPERTS = {"moe_intermediate_size": 40, "num_experts": 8, "num_experts_per_tok": 3,
           "num_shared_experts": 2}  # fmt: skip
GROUPS = {**EXPERTS, "num_shared_experts": 1, "first_k_dense_replace": 1, "n_group": 4,
          "topk_group": 2, "routed_scaling_factor": 2.5, "partial_rotary_factor": 0.5,
          "norm_topk_prob": True, "use_qk_norm": True, "use_qkv_bias": False,
          "head_dim": 16}  # fmt: skip
FAMILIES = {
    "bailing": Family(
        "GraniteMoeSharedConfig",
        remote=Remote("BailingMoeForCausalLM", as_shared_granite, as_ling, ling),
        gguf=Gguf("bailingmoe", keys=ling_keys, convert=stacked_ling,
                  sizes={**EXPERTS, "moe_intermediate_size": 256}),
        variants={
            "shared": EXPERTS,
            "one-expert": {**EXPERTS, "num_experts_per_tok": 1, "num_shared_experts": 1},
            "alone": {**EXPERTS, "num_shared_experts": 0, "num_experts": 5,
                      "num_key_value_heads": 4, **ROPES["linear"]},
        },
    ),
    "bailing2": Family(
        "Glm4MoeConfig",
        remote=Remote("BailingMoeV2ForCausalLM", as_glm, as_ling_2, ling_2),
        gguf=Gguf("bailingmoe2", keys=ling_2_keys, convert=stacked_ling_2,
                  sizes={**GROUPS, "moe_intermediate_size": 256, "head_dim": 32}),
        variants={
            "groups": GROUPS,
            "no-norms": {**GROUPS, "use_qk_norm": False, "n_group": 1, "topk_group": 1,
                         "use_qkv_bias": True, "norm_topk_prob": False},
            "all-rotated": {**GROUPS, "partial_rotary_factor": 1.0, "first_k_dense_replace": 0,
                            "num_shared_experts": 2, "head_dim": 12},
        },
    ),
}  # fmt: skip
