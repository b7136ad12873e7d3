"""Phi-2, Phi-3 and Phi-3.5-MoE."""

from __future__ import annotations

from typing import Any

from .convert import stacked
from .record import ROPES, Family, Gguf, rope


def long_after(trained: int, **more: Any) -> dict[str, Any]:
    settings = ROPES["longrope"]["rope_parameters"]
    inside = {**settings, **more, "original_max_position_embeddings": trained}
    return {"rope_parameters": inside, "original_max_position_embeddings": trained}


def layer_norms(config: Any) -> dict[str, Any]:
    rotated = int(config.head_dim * config.rope_parameters["partial_rotary_factor"])
    return {
        "attention.layer_norm_epsilon": config.layer_norm_eps,
        "rope.dimension_count": rotated,
    }


def no_window(config: Any) -> dict[str, Any]:
    """llama.cpp's converter writes 0 where there is none."""
    return {"attention.sliding_window": config.sliding_window or 0}


FAMILIES = {
    "phi2": Family(
        "PhiConfig",
        gguf=Gguf("phi2", keys=layer_norms, sizes={"num_key_value_heads": 8}),
        variants={
            "half-rotated": {"num_key_value_heads": None, "hidden_size": 64},
            "grouped": {"hidden_size": 64, "hidden_act": "gelu"},
            "less-rotated": {
                "num_key_value_heads": None,
                "hidden_size": 80,
                "partial_rotary_factor": 0.4,
                "qk_layernorm": True,
            },
        },
    ),
    "phi3": Family(
        "Phi3Config",
        gguf=Gguf("phi3", keys=no_window),
        variants={
            "grouped": {},
            "full-heads": {"num_key_value_heads": 4, "tie_word_embeddings": True},
            "window": {"sliding_window": 9},
            # transformers computes everything anew when a text outgrows the short factors, so that
            # none may do so here
            "longrope": long_after(8),
            "partial": {"hidden_size": 64, **rope("default", partial_rotary_factor=0.75)},
        },
    ),
    "phimoe": Family(
        "PhimoeConfig",
        gguf=Gguf(
            "phimoe",
            convert=stacked,
            keys=lambda config: {
                **no_window(config),
                "expert_count": config.num_local_experts,
                "expert_used_count": config.num_experts_per_tok,
            },
            sizes={"num_local_experts": 4, "attention_bias": True, "lm_head_bias": True},
        ),
        variants={
            "plain": {"num_local_experts": 4},
            "biases": {"num_local_experts": 8, "attention_bias": True, "lm_head_bias": True},
            "jitter": {"num_local_experts": 6, "router_jitter_noise": 0.3, "sliding_window": 9},
            "longrope": {
                "num_local_experts": 4,
                **long_after(90, short_mscale=1.1, long_mscale=1.3),
            },
        },
    ),
}
