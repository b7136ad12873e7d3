"""MiniMax-M2."""

from __future__ import annotations

from typing import Any

from .convert import renamed, stacked
from .record import Family, Gguf, Tensors, rope


def moved(tensors: Tensors, config: Any) -> Tensors:
    return renamed(stacked(tensors, config), ("e_score_correction_bias", "e_score_correction.bias"))


EXPERTS = {"num_local_experts": 6, "num_experts_per_tok": 3, "head_dim": 12}


def half(theta: float = 5e6) -> dict[str, Any]:
    settings = rope("default", partial_rotary_factor=0.5)
    settings["rope_parameters"]["rope_theta"] = theta
    return settings


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
}  # fmt: skip
