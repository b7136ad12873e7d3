"""MiniMax-M2, and MiniMax-Text-01."""

from __future__ import annotations

from typing import Any

from .convert import renamed, stacked
from .record import SHARED, Family, Gguf, Remote, Tensors, rope


def moved(tensors: Tensors, config: Any) -> Tensors:
    return renamed(stacked(tensors, config), ("e_score_correction_bias", "e_score_correction.bias"))


EXPERTS = {"num_local_experts": 6, "num_experts_per_tok": 3, "head_dim": 12}


def half(theta: float = 5e6) -> dict[str, Any]:
    settings = rope("default", partial_rotary_factor=0.5)
    settings["rope_parameters"]["rope_theta"] = theta
    return settings


FACTORS: dict[str, float] = {
    f"{half}_{factor}_factor": number
    for half, (alpha, beta) in {
        "full_attn": (1.7, 0.9), "linear_attn": (2.2, 1.1), "mlp": (1.4, 0.8),
    }.items()
    for factor, number in (("alpha", alpha), ("beta", beta))
}  # fmt: skip
STATES: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2, "block_size": 16}


def in_first_words(told: dict[str, Any]) -> dict[str, Any]:
    """A configuration as MiniMax's own code has it."""
    halves = {"full_attn": "full_attention", "linear_attn": "linear_attention", "mlp": "mlp"}
    out = {key: value for key, value in told.items() if key not in ("layer_types", *FACTORS)}
    out |= {
        f"layernorm_{halves[half]}_{factor}": told[f"{half}_{factor}_factor"]
        for half in halves
        for factor in ("alpha", "beta")
    }
    kinds = [int(kind == "full_attention") for kind in told["layer_types"]]
    return out | {"attn_type_list": kinds, "postnorm": True, "shared_intermediate_size": 0}


FAMILIES = {
    "minimax-m2": Family(
        "MiniMaxM2Config",
        gguf=Gguf(
            "minimax-m2",
            convert=moved,
            keys=lambda config: {
                "rope.dimension_count": int(
                    config.head_dim * config.rope_parameters["partial_rotary_factor"]
                ),
                "expert_count": config.num_local_experts,
                "expert_used_count": config.num_experts_per_tok,
                "expert_feed_forward_length": config.intermediate_size,
                "expert_gating_func": 2,
            },
            sizes={**EXPERTS, "head_dim": 32, **half()},
        ),
        variants={
            "half": {**EXPERTS, **half()},
            "whole": {**EXPERTS, "head_dim": 16, "num_key_value_heads": 4, **rope("default")},
            "one-expert": {**EXPERTS, "num_experts_per_tok": 1, **half(1e4)},
            "yarn": {**EXPERTS, **rope("yarn", factor=4.0, original_max_position_embeddings=16,
                                       partial_rotary_factor=0.5)},
        },
    ),
    "minimax": Family(
        "MiniMaxConfig",
        shared=SHARED | STATES,
        variants={
            "factors": {"layer_types": ["linear_attention", "linear_attention", "full_attention"],
                        **FACTORS},
            "alternating": {"num_hidden_layers": 4, "head_dim": 10, "num_attention_heads": 6,
                            "num_experts_per_tok": 1},
            "window": {"sliding_window": 7, "tie_word_embeddings": True, "num_attention_heads": 8,
                       "num_key_value_heads": 1,
                       "layer_types": ["full_attention", "linear_attention", "full_attention"]},
            "no-attention": {"layer_types": ["linear_attention"] * 3, **FACTORS},
        },
    ),
    "minimax-text-01": Family(
        "MiniMaxConfig",
        shared=SHARED | STATES,
        remote=Remote("MiniMaxText01ForCausalLM", config=in_first_words),
        variants={
            "factors": {"layer_types": ["linear_attention", "linear_attention", "full_attention"],
                        **FACTORS},
            "no-factors": {},
            "wide": {"num_local_experts": 5, "num_experts_per_tok": 3, "head_dim": 14, **FACTORS},
        },
    ),
}  # fmt: skip
